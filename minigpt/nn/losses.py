"""Losses: arrays in, (loss, gradient, stats) out. They never see a model."""
import numpy as np

from minigpt.nn.backend import get_ops


def cross_entropy(logits, targets, mask=None, denominator=None, ops=None):
    """Mean negative log-likelihood of the targets in nats, over the positions that the mask keeps.

    logits (..., V), targets (...) int, mask (...) 0/1 or weights; None: every position -> loss, dlogits (..., V), stats
    denominator: divide by it instead of by the mask's sum, so that the losses and gradients of a batch's shards add up.
    stats: {"nll_sum": nats, "tokens": the mask's sum}. A logit that is NaN shows in the loss, masked or not.
    """
    ops = ops or get_ops("numpy")
    nll_sum, tokens, weight, cache = _weighted(logits, targets, mask, ops)
    scale = 1.0 / (float(denominator) if denominator is not None else tokens or 1.0)  # an empty mask gives loss 0
    dlogits = ops.cross_entropy_backward(weight * scale, cache)  # (N, V)
    return nll_sum * scale, dlogits.reshape(logits.shape), {"nll_sum": nll_sum, "tokens": tokens}


def negative_log_likelihood(logits, targets, mask=None, ops=None):
    """What `cross_entropy` is the mean of, for those who want no gradient -> the sum in nats, the mask's sum"""
    return _weighted(logits, targets, mask, ops or get_ops("numpy"))[:2]


def _weighted(logits, targets, mask, ops):
    rows = logits.reshape(-1, logits.shape[-1])  # (N, V)
    targets = np.asarray(targets).reshape(-1)  # (N,)
    if targets.shape != (len(rows),) or targets.dtype.kind not in "iu" or mask is not None and np.size(mask) != len(rows):
        raise ValueError(f"{len(rows)} rows of logits, {targets.size} targets of type {targets.dtype}, {np.size(mask) if mask is not None else 'no'} mask; "
                         "each row needs a target, an integer, and if there is a mask a weight")
    if targets.size and not 0 <= int(targets.min()) <= int(targets.max()) < rows.shape[1]:
        raise ValueError(f"targets run from {targets.min()} to {targets.max()}; they must lie in [0, {rows.shape[1]})")
    nll, cache = ops.cross_entropy_forward(rows, targets)  # (N,)
    weight = np.ones_like(nll) if mask is None else np.asarray(mask).reshape(-1).astype(nll.dtype)  # (N,)
    tokens = float(weight.sum())
    return float((nll * weight).sum(dtype=np.float64)), tokens, weight, cache
