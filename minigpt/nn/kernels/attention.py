"""Attention by tiles: no (T, T) matrix is kept, only the log-sum-exp of every query's scores (Dao et al. 2022).

COLUMNS queries at a time stand side by side in the columns of `scores`, the keys are its rows: softmax then is vector
code without sums across a register. Backward rebuilds the same probabilities from the log-sum-exp.
Logarithms are to base 2: exp2 needs one multiplication less than exp, and that one is folded into the scale of q.
A "panel" array (P, T, COLUMNS) holds channels p * COLUMNS + c in panel p, with zeros where there are no more.
"""
import math

import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.exponential import LOG2_E, exp2
from minigpt.nn.kernels.primitives import contiguous, maximum, stack_array
from minigpt.nn.kernels.tile import COLUMNS, ROWS, tile, tile_transposed

WIDTH = math.ceil(COLUMNS / ROWS) * ROWS  # of a block of queries: whole tiles


def attention_forward(q, k, v, starts=None, slopes=None):
    """softmax(q k^T / sqrt(D)) v, causal; see ops. The cache keeps the inputs, the output and (B, H, T) log-sum-exps."""
    B, T, H, D = q.shape
    starts = np.zeros((0, 0), np.int32) if starts is None else np.asarray(starts, np.int32)
    slopes = np.zeros(0, q.dtype) if slopes is None else np.asarray(slopes, q.dtype)
    out = np.empty((B, T, H, D), q.dtype)
    lse = np.empty((B, H, T), q.dtype)
    inputs = _by_head(q), _by_head(k), _by_head(v), starts, slopes
    _forward(*inputs, _by_head(out), lse)
    return out, (inputs, out, lse)


def attention_backward(dout, cache):
    """dout (B, T, H, D) -> dq (B, T, H, D), dk (B, T, K, D), dv (B, T, K, D): views into one (B, T, H + 2 K, D)"""
    inputs, out, lse = cache
    B, T, H, D = out.shape
    K = inputs[1].shape[1]
    dqkv = np.empty((B, T, H + 2 * K, D), out.dtype)
    dq, dk, dv = dqkv[:, :, :H], dqkv[:, :, H : H + K], dqkv[:, :, H + K :]
    _backward(_by_head(dout), *inputs, _by_head(out), lse, _by_head(dq), _by_head(dk), _by_head(dv))
    return dq, dk, dv


def _by_head(x):
    """x (B, T, H, D) -> view (B, H, T, D) whose rows are contiguous"""
    return (x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)).transpose(0, 2, 1, 3)


@jit
def _forward(q, k, v, starts, slopes, out, lse):
    B, H, T, D = q.shape
    group = H // k.shape[1]
    scale = q.dtype.type(LOG2_E / math.sqrt(D))
    key, value, query = _panels(T, q), _panels(T, q), _panels(COLUMNS, q)
    scores = np.zeros((key.shape[1], WIDTH), q.dtype)  # keys by queries
    rows = np.empty((WIDTH, len(key) * COLUMNS), q.dtype)  # of the output
    sight, sums = np.empty((2, COLUMNS), q.dtype), np.empty((2, COLUMNS), q.dtype)
    for b in range(B):
        for h in range(H):
            if h % group == 0:
                _copy_in(k[b, h // group], 0, 1, key)
                _copy_in(v[b, h // group], 0, 1, value)
            slope = slopes[h] * q.dtype.type(LOG2_E) if len(slopes) else q.dtype.type(0)
            for t in range(0, T, COLUMNS):
                low, high = _visible(starts, b, t, T, sight)
                _transpose_in(q[b, h], t, scale, query)
                _products(key, query, D, low, high, scores)
                _mask(scores, low, high, t, sight, slope)
                _softmax(scores, low, high, sums)
                _weighted_rows(scores, value, low, t, T, rows)
                for i in range(min(COLUMNS, T - t)):
                    _copy_out(rows[i], 1 / sums[1, i], out[b, h, t + i])
                    lse[b, h, t + i] = sums[0, i] + np.log2(sums[1, i])


@jit
def _backward(dout, q, k, v, starts, slopes, out, lse, dq, dk, dv):
    B, H, T, D = q.shape
    group = H // k.shape[1]
    scale = q.dtype.type(1 / math.sqrt(D))
    key, value, dkey, dvalue = _panels(T, q), _panels(T, q), _panels(T, q), _panels(T, q)
    query, query_rows, dout_columns, dout_rows = _panels(COLUMNS, q), _panels(COLUMNS, q), _panels(COLUMNS, q), _panels(COLUMNS, q)
    probs, dscores = np.zeros((key.shape[1], WIDTH), q.dtype), np.zeros((key.shape[1], WIDTH), q.dtype)
    rows = np.empty((WIDTH, len(key) * COLUMNS), q.dtype)
    sight, sums = np.empty((2, COLUMNS), q.dtype), np.empty((2, COLUMNS), q.dtype)
    for b in range(B):
        for h in range(H):
            if h % group == 0:
                _copy_in(k[b, h // group], 0, 1, key)
                _copy_in(v[b, h // group], 0, 1, value)
                dkey[:] = 0
                dvalue[:] = 0
            slope = slopes[h] * q.dtype.type(LOG2_E) if len(slopes) else q.dtype.type(0)
            for t in range(0, T, COLUMNS):
                low, high = _visible(starts, b, t, T, sight)
                _transpose_in(q[b, h], t, scale * q.dtype.type(LOG2_E), query)
                _transpose_in(dout[b, h], t, 1, dout_columns)
                _copy_in(q[b, h], t, scale, query_rows)
                _copy_in(dout[b, h], t, 1, dout_rows)
                for i in range(COLUMNS):
                    sums[0, i] = lse[b, h, t + i] if t + i < T else 0
                    sums[1, i] = _dot(dout[b, h, t + i], out[b, h, t + i]) if t + i < T else 0
                _products(key, query, D, low, high, probs)
                _mask(probs, low, high, t, sight, slope)
                _products(value, dout_columns, D, low, high, dscores)
                _softmax_backward(probs, dscores, low, high, sums)
                _add_weighted(probs, dout_rows, low, high, t, T, dvalue)
                _add_weighted(dscores, query_rows, low, high, t, T, dkey)
                _weighted_rows(dscores, key, low, t, T, rows)
                for i in range(min(COLUMNS, T - t)):
                    _copy_out(rows[i], scale, dq[b, h, t + i])
            if h % group == group - 1:
                _panels_out(dkey, dk[b, h // group])
                _panels_out(dvalue, dv[b, h // group])


@jit
def _panels(T, like):
    """Zeroed panels (P, T, COLUMNS) for T rows (rounded up to whole tiles) of like's last axis."""
    return np.zeros(((like.shape[-1] + COLUMNS - 1) // COLUMNS, (T + ROWS - 1) // ROWS * ROWS, COLUMNS), like.dtype)


@jit
def _visible(starts, b, t, T, sight):
    """-> the range of keys that queries t .. t+COLUMNS see, in whole tiles; sight: first and last key of each."""
    earliest = t
    for c in range(COLUMNS):
        first = starts[b, t + c] if len(starts) and t + c < T else 0
        sight[0, c] = first
        sight[1, c] = t + c
        earliest = min(earliest, first)
    return earliest // ROWS * ROWS, min(t + COLUMNS, T)


@jit
def _copy_in(x, t, scale, panels):
    """panels[p, i, c] = scale * x[t+i, p*COLUMNS+c]; x (T, D)"""
    T, D = x.shape
    for i in range(min(panels.shape[1], T - t)):
        row = contiguous(x[t + i])
        for p in range(len(panels)):
            source = row[p * COLUMNS : min(D, (p + 1) * COLUMNS)]
            target = panels[p, i]
            for c in range(len(source)):
                target[c] = source[c] * x.dtype.type(scale)
    for i in range(T - t, panels.shape[1]):
        for p in range(len(panels)):
            panels[p, i] = 0


@jit
def _transpose_in(x, t, scale, panels):
    """panels[p, c, i] = scale * x[t+i, p*COLUMNS+c]: the queries side by side"""
    T, D = x.shape
    n = min(COLUMNS, T - t)
    for d in range(D):
        target = panels[d // COLUMNS, d % COLUMNS]
        for i in range(n):
            target[i] = x[t + i, d] * x.dtype.type(scale)
        target[n:] = 0


@jit
def _copy_out(row, scale, target):
    """target = scale * row, without the zeros after target's D channels"""
    target = contiguous(target)
    for d in range(len(target)):
        target[d] = row[d] * scale


@jit
def _panels_out(panels, x):
    """x[i, p*COLUMNS+c] = panels[p, i, c]"""
    T, D = x.shape
    for i in range(T):
        row = contiguous(x[i])
        for p in range(len(panels)):
            target, source = row[p * COLUMNS : min(D, (p + 1) * COLUMNS)], panels[p, i]
            for c in range(len(target)):
                target[c] = source[c]


@jit
def _dot(a, b):
    a, b = contiguous(a), contiguous(b)
    total = a.dtype.type(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@jit
def _products(a, b, D, low, high, out):
    """out[i, c] = sum_d a[i, d] b[d, c] for keys low <= i < high: scores, or gradients of probabilities"""
    zero = np.zeros((1, COLUMNS), a.dtype)
    for i in range(low, high, ROWS):
        tile(a[0, i : i + ROWS], 0, b[0, : min(D, COLUMNS)], zero, 0, 0, 0, out, i, 0)
        for p in range(1, len(a)):
            tile(a[p, i : i + ROWS], 0, b[p, : min(D - p * COLUMNS, COLUMNS)], out, i, 0, 1, out, i, 0)


@jit
def _weighted_rows(weights, values, low, t, T, rows):
    """rows[c, d] = sum_k weights[k, c] values[k, d]: the output of query t + c, which sees keys low .. t+c only"""
    zero = np.zeros((1, COLUMNS), rows.dtype)
    for c in range(0, min(COLUMNS, T - t), ROWS):
        high = min(t + c + ROWS, T)
        for p in range(len(values)):
            tile_transposed(weights[low:high], c, values[p, low:high], zero, 0, 0, 0, rows, c, p * COLUMNS)


@jit
def _add_weighted(weights, queries, low, high, t, T, out):
    """out[k, d] += sum_c weights[k, c] queries[c, d] over the queries t + c that see key k"""
    count = min(COLUMNS, T - t)
    for k in range(low, high, ROWS):
        first = max(0, k - t)
        for p in range(len(out)):
            tile(weights[k : k + ROWS], first, queries[p, first:count], out[p], k, 0, 1, out[p], k, 0)


@jit
def _mask(scores, low, high, t, sight, slope):
    """-inf for keys that a query must not see; ALiBi's penalty per step of distance"""
    hidden = scores.dtype.type(-np.inf)
    first, last = sight[0], sight[1]
    until = first.max()
    for k in range(low, high):
        row, key = scores[k], scores.dtype.type(k)
        if slope != 0:
            for c in range(COLUMNS):
                row[c] -= slope * (last[c] - key)
        if k > t or k < until:
            for c in range(COLUMNS):
                row[c] = row[c] if first[c] <= key and key <= last[c] else hidden


@jit
def _softmax(scores, low, high, sums):
    """scores[k, c] = 2^(scores[k, c] - largest[c]); sums: the largest and the sum of every column"""
    largest, total = stack_array(scores, 1, COLUMNS), stack_array(scores, 1, COLUMNS)
    for c in range(COLUMNS):
        largest[0, c] = -np.inf
        total[0, c] = 0
    for k in range(low, high):
        row = scores[k]
        for c in range(COLUMNS):
            largest[0, c] = maximum(largest[0, c], row[c])
    for k in range(low, high):
        row = scores[k]
        for c in range(COLUMNS):
            row[c] = exp2(row[c] - largest[0, c])
            total[0, c] += row[c]
    for c in range(COLUMNS):
        sums[0, c] = largest[0, c]
        sums[1, c] = total[0, c]


@jit
def _softmax_backward(probs, dscores, low, high, sums):
    """probs = 2^(probs - lse), dscores = probs (dscores - sum of probs dprobs); sums: both column by column"""
    lse, delta = sums[0], sums[1]
    for k in range(low, high):
        p, ds = probs[k], dscores[k]
        for c in range(COLUMNS):
            p[c] = exp2(p[c] - lse[c])
            ds[c] = p[c] * (ds[c] - delta[c])
