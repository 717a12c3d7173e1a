"""From logits to a token: every sampling method is a step that reshapes one distribution. Pure functions, no model."""
from collections.abc import Collection
from numbers import Integral

import numpy as np

from minigpt.files import short

DAMAGED = "the logits hold NaN or infinity; the weights are damaged or training diverged: load an earlier checkpoint"


def distribution(logits, config, seen=None, allowed=None):
    """The probabilities that the next token is drawn from.

    logits (B, V) -> probabilities (B, V) float64, rows sum to 1
    seen: one sequence of ids per row, for the repetition penalty. allowed: ids that may come next; None: all.
    Order: penalty (after Keskar et al. 2019), allowed set, temperature, top-k, min-p, top-p (Holtzman et al. 2020).
    """
    z = np.asarray(logits, np.float64)
    if not np.isfinite(z.max(axis=1)).all():
        raise ValueError(DAMAGED)
    if config.repetition_penalty != 1.0 and seen is not None:
        z = penalise(z, seen, config.repetition_penalty)
    if allowed is not None:
        z = restrict(z, allowed)
    if config.temperature == 0.0:
        p = np.zeros_like(z)
        p[np.arange(len(z)), z.argmax(axis=1)] = 1.0  # all the probability on the likeliest token
        return p
    with np.errstate(over="ignore"):  # the largest is 0; a tiny temperature may send all others to -inf
        z = (z - z.max(axis=1, keepdims=True)) / config.temperature
    if config.top_k:
        z = keep_top_k(z, config.top_k)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    if config.min_p:
        p = np.where(p >= config.min_p * p.max(axis=1, keepdims=True), p, 0.0)
    if config.top_p < 1.0:
        p = keep_top_p(p / p.sum(axis=1, keepdims=True), config.top_p)
    return p / p.sum(axis=1, keepdims=True)


def penalise(logits, seen, penalty):
    """Logits of tokens that already occur are divided by the penalty where positive, multiplied where negative. (B, V) -> (B, V)"""
    z, limit = logits.copy(), np.finfo(logits.dtype).max
    for row, ids in zip(z, seen, strict=True):
        ids = np.unique(np.asarray(ids, np.int64))
        ids = ids[ids < len(row)]  # of a model with more ids than its tokenizer, some of those read are never written
        with np.errstate(over="ignore"):  # neither a huge nor a tiny penalty makes a token infinitely unlikely or likely: it may be the only one allowed
            row[ids] = np.clip(np.where(row[ids] > 0.0, row[ids] / penalty, row[ids] * penalty), -limit, limit)
    return z


def whole_numbers(values):
    """A collection of ids -> list of int; None for anything else, such as a text, a mask of NumPy's bools or an iterator."""
    return list(map(int, values)) if isinstance(values, Collection) and all(isinstance(i, Integral) for i in values) else None


def restrict(logits, allowed):
    """Every token outside `allowed` (ids) becomes impossible: constrained decoding. (B, V) -> (B, V)"""
    ids = whole_numbers(allowed)
    if ids is None:
        raise ValueError(f"allowed is {short(allowed)}; it holds ids, which are whole numbers")
    if not ids or min(ids) < 0 or max(ids) >= logits.shape[1]:
        raise ValueError(f"allowed ids {sorted(ids)[:5]}... must be at least one id in [0, {logits.shape[1]})")
    z = np.full_like(logits, -np.inf)
    z[:, ids] = logits[:, ids]
    return z


def keep_top_k(logits, k):
    """All but the k largest logits of each row become -inf; ties with the k-th stay. (B, V) -> (B, V)"""
    if k >= logits.shape[1]:
        return logits
    kth = np.partition(logits, -k, axis=1)[:, -k, None]  # (B, 1)
    return np.where(logits >= kth, logits, -np.inf)


def keep_top_p(p, top_p):
    """The nucleus: the likeliest tokens until their sum reaches top_p, the one that reaches it included. (B, V) -> (B, V), not normalised"""
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, axis=1)
    before = np.concatenate([np.zeros((len(p), 1)), np.cumsum(sorted_p, axis=1)[:, :-1]], axis=1)  # probability of all likelier tokens
    kept = np.where(before < top_p, sorted_p, 0.0)
    out = np.zeros_like(p)
    np.put_along_axis(out, order, kept, axis=1)
    return out


def draw(probabilities, uniform):
    """One token per row by inverting the cumulative distribution. (B, V), uniform (B,) in [0, 1) -> ids (B,)"""
    cumulative = np.cumsum(probabilities, axis=1)
    target = uniform[:, None] * cumulative[:, -1:]  # the sum may be 1 - 1e-16
    return np.minimum((cumulative <= target).sum(axis=1), probabilities.shape[1] - 1)
