"""Attention by tiles: no (T, T) matrix is kept, only the largest score and the sum of every softmax (Dao et al. 2022).

COLUMNS queries at a time stand side by side in the columns of `scores`, the keys are its rows: softmax then is vector
code without sums across a register. Backward rebuilds e^(score - largest) and divides dout by the sum instead of it.
A "panel" array (P, T, COLUMNS) holds channels p * COLUMNS + c in panel p, with zeros where there are no more.
"""
import math

import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.exponential import LOG2_E, exp2
from minigpt.nn.kernels.primitives import SQUARE, copy_row, maximum, stack_array, transpose_square
from minigpt.nn.kernels.shapes import must_fit
from minigpt.nn.kernels.tile import COLUMNS, ROWS, aligned, tile, tile_transposed

WIDTH = math.ceil(COLUMNS / ROWS) * ROWS  # of a block of queries: whole tiles


def attention_forward(q, k, v, starts=None, slopes=None):
    """softmax(q k^T / sqrt(D)) v, causal; see ops. The cache: inputs, output, (2, B, H, T) largest scores and 1 / sums."""
    B, T, H, D = q.shape
    k, v = np.asarray(k, q.dtype), np.asarray(v, q.dtype)
    must_fit(k.shape == v.shape == (B, T, k.shape[2], D) and H % k.shape[2] == 0 and (starts is None or starts.shape == (B, T))
             and (slopes is None or slopes.shape == (H,)), q=q, k=k, v=v, starts=starts, slopes=slopes)
    if starts is not None and starts.size and starts.min() < 0:
        raise ValueError(f"starts are {starts.min()} and more; the first position is 0")
    starts = np.zeros((0, 0), np.int32) if starts is None else np.asarray(starts, np.int32)
    slopes = np.zeros(0, q.dtype) if slopes is None else np.asarray(slopes, q.dtype)
    out = np.empty((B, T, H, D), q.dtype)
    sums = np.empty((2, B, H, T), q.dtype)
    inputs = _by_head(q), _by_head(k), _by_head(v), starts, slopes
    _forward(*inputs, _by_head(out), sums)
    return out, (inputs, out, sums)


def attention_backward(dout, cache):
    """dout (B, T, H, D) -> dq (B, T, H, D), dk (B, T, K, D), dv (B, T, K, D): views into one (B, T, H + 2 K, D)"""
    inputs, out, sums = cache
    must_fit(dout.shape == out.shape, dout=dout, out=out)
    dout = np.asarray(dout, out.dtype)
    B, T, H, D = dout.shape
    K = inputs[1].shape[1]
    dqkv = np.empty((B, T, H + 2 * K, D), dout.dtype)
    dq, dk, dv = dqkv[:, :, :H], dqkv[:, :, H : H + K], dqkv[:, :, H + K :]
    _backward(_by_head(dout), *inputs, _by_head(out), sums, _by_head(dq), _by_head(dk), _by_head(dv))
    return dq, dk, dv


def _by_head(x):
    """x (B, T, H, D) -> view (B, H, T, D) whose rows are contiguous"""
    return (x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)).transpose(0, 2, 1, 3)


@jit
def _forward(q, k, v, starts, slopes, out, sums):
    B, H, T, D = q.shape
    group = H // k.shape[1]
    scale = q.dtype.type(1 / math.sqrt(D))
    key, value, query, turned = _panels(T, q), _panels(T, q), _panels(COLUMNS, q), _panels(COLUMNS, q)
    scores = aligned(1, key.shape[1], WIDTH, q)[0]  # keys by queries
    rows = np.zeros((1, WIDTH, len(key) * COLUMNS), q.dtype)  # of the output; those that it does not fill are scaled too
    sight, block = np.empty((2, COLUMNS), q.dtype), np.zeros((2, COLUMNS), q.dtype)
    for b in range(B):
        for h in range(H):
            if h % group == 0:
                _load(k, b, h // group, 0, key)
                _load(v, b, h // group, 0, value)
            slope = slopes[h] / scale if len(slopes) else q.dtype.type(0)
            for t in range(0, T, COLUMNS):
                low, high = _visible(starts, b, t, T, sight)
                _load(q, b, h, t, query)
                _turn(query, turned)
                _products(key, turned, D, low, high, scores)
                _mask(scores, low, high, t, sight, slope)
                _softmax(scores, low, high, scale, block)
                _weighted_rows(scores, value, low, t, T, rows[0])
                for i in range(min(COLUMNS, T - t)):
                    block[1, i] = 1 / block[1, i]
                    sums[0, b, h, t + i], sums[1, b, h, t + i] = block[0, i], block[1, i]
                _scale(rows, block[1])
                _store(rows, out, b, h, t)


@jit
def _backward(dout, q, k, v, starts, slopes, out, sums, dq, dk, dv):
    B, H, T, D = q.shape
    group = H // k.shape[1]
    scale = q.dtype.type(1 / math.sqrt(D))
    key, value, dkey, dvalue = _panels(T, q), _panels(T, q), _panels(T, q), _panels(T, q)
    query, drows, rows = _panels(COLUMNS, q), _panels(COLUMNS, q), np.zeros((1, WIDTH, len(key) * COLUMNS), q.dtype)
    query_turned, drows_turned, out_turned = _panels(COLUMNS, q), _panels(COLUMNS, q), _panels(COLUMNS, q)
    probs, dscores = aligned(1, key.shape[1], WIDTH, q)[0], aligned(1, key.shape[1], WIDTH, q)[0]
    sight, block = np.empty((2, COLUMNS), q.dtype), np.zeros((2, COLUMNS), q.dtype)
    scales = np.full(max(T, WIDTH), scale, q.dtype)
    for b in range(B):
        for h in range(H):
            if h % group == 0:
                _load(k, b, h // group, 0, key)
                _load(v, b, h // group, 0, value)
                dkey[:] = 0
                dvalue[:] = 0
            slope = slopes[h] / scale if len(slopes) else q.dtype.type(0)
            for t in range(0, T, COLUMNS):
                low, high = _visible(starts, b, t, T, sight)
                for i in range(min(COLUMNS, T - t)):
                    block[0, i], block[1, i] = sums[0, b, h, t + i], sums[1, b, h, t + i]
                _load(out, b, h, t, query)
                _turn(query, out_turned)
                _load(q, b, h, t, query)
                _turn(query, query_turned)
                _load(dout, b, h, t, drows)
                _scale(drows, block[1])  # probs are e^(score - largest), not yet divided by their sum
                _turn(drows, drows_turned)
                _dots(drows_turned, out_turned, block)
                _products(key, query_turned, D, low, high, probs)
                _mask(probs, low, high, t, sight, slope)
                _products(value, drows_turned, D, low, high, dscores)
                _softmax_backward(probs, dscores, low, high, scale, block)
                _add_weighted(probs, drows, low, high, t, T, dvalue)
                _add_weighted(dscores, query, low, high, t, T, dkey)
                _weighted_rows(dscores, key, low, t, T, rows[0])
                _scale(rows, scales)
                _store(rows, dq, b, h, t)
            if h % group == group - 1:
                _scale(dkey, scales)
                _store(dkey, dk, b, h // group, 0)
                _store(dvalue, dv, b, h // group, 0)


@jit
def _panels(T, like):
    """Panels (P, T, COLUMNS) for T rows (rounded up to whole tiles) of like's last axis."""
    return aligned((like.shape[-1] + COLUMNS - 1) // COLUMNS, (T + ROWS - 1) // ROWS * ROWS, COLUMNS, like)


@jit
def _visible(starts, b, t, T, sight):
    """-> the range of keys that queries t .. t+COLUMNS see, in whole tiles; sight: first and last key of each."""
    earliest = t
    for c in range(COLUMNS):
        first = starts[b, t + c] if len(starts) and t + c < T else 0
        sight[0, c] = first
        sight[1, c] = t + c
        earliest = min(earliest, first)
    return earliest // ROWS * ROWS, (min(t + COLUMNS, T) + ROWS - 1) // ROWS * ROWS


@jit
def _load(heads, b, h, t, panels):
    """panels[p, i, c] = x[t+i, p*COLUMNS+c], zeros below x's last row and after its last channel; x = heads[b, h] (T, D)"""
    x = heads[b, h]
    T, D = x.shape
    count = min(panels.shape[1], T - t)
    for p in range(len(panels)):
        panel, channels = panels[p], min(COLUMNS, D - p * COLUMNS)
        for i in range(count):
            if channels == COLUMNS:
                copy_row(panel, i, 0, x, t + i, p * COLUMNS, COLUMNS)
            else:
                for c in range(COLUMNS):
                    panel[i, c] = x[t + i, p * COLUMNS + c] if c < channels else 0
        panel[count:] = 0


@jit
def _store(panels, heads, b, h, t):
    """x[t+i, p*W+c] = panels[p, i, c] for panels of width W; x = heads[b, h] (T, D)"""
    x = heads[b, h]
    T, D = x.shape
    width = panels.shape[2]
    for p in range(len(panels)):
        for i in range(min(panels.shape[1], T - t)):
            for first in range(0, min(width, D - p * width), COLUMNS):
                channels = min(COLUMNS, D - p * width - first)
                if channels == COLUMNS:
                    copy_row(x, t + i, p * width + first, panels[p], i, first, COLUMNS)
                else:
                    for c in range(channels):
                        x[t + i, p * width + first + c] = panels[p, i, first + c]


@jit
def _turn(panels, turned):
    """turned[p, c, i] = panels[p, i, c]: the queries side by side"""
    for p in range(len(panels)):
        for i in range(0, COLUMNS, SQUARE):
            for c in range(0, COLUMNS, SQUARE):
                transpose_square(panels[p], i, c, turned[p], c, i)


@jit
def _scale(panels, factors):
    """panels[p, i] *= factors[i]"""
    for p in range(len(panels)):
        for i in range(min(panels.shape[1], len(factors))):
            row, factor = panels[p, i], factors[i]
            for c in range(len(row)):
                row[c] *= factor


@jit
def _products(a, b, D, low, high, out):
    """out[i, c] = sum_d a[i, d] b[d, c] for keys low <= i < high: scores, or gradients of probabilities"""
    zero = np.zeros((1, COLUMNS), a.dtype)
    for p in range(len(a)):
        left, right, depth = a[p], b[p], min(D - p * COLUMNS, COLUMNS)
        for i in range(low, high, ROWS):
            if p == 0:
                tile(left, i, 0, right, 0, depth, zero, 0, 0, 0, out, i, 0)
            else:
                tile(left, i, 0, right, 0, depth, out, i, 0, 1, out, i, 0)


@jit
def _weighted_rows(weights, values, low, t, T, rows):
    """rows[c, d] = sum_k weights[k, c] values[k, d]: the output of query t + c, which sees keys low .. t+c only"""
    zero = np.zeros((1, COLUMNS), rows.dtype)
    for p in range(len(values)):
        value = values[p]
        for c in range(0, min(COLUMNS, T - t), ROWS):
            count = min(t + min(c + ROWS, COLUMNS), T) - low
            tile_transposed(weights, low, c, value, low, count, zero, 0, 0, 0, rows, c, p * COLUMNS)


@jit
def _add_weighted(weights, queries, low, high, t, T, out):
    """out[k, d] += sum_c weights[k, c] queries[c, d] over the queries t + c that see key k"""
    for p in range(len(out)):
        query, to = queries[p], out[p]
        for k in range(low, high, ROWS):
            first = max(0, k - t)
            tile(weights, k, first, query, first, min(COLUMNS, T - t) - first, to, k, 0, 1, to, k, 0)


@jit
def _mask(scores, low, high, t, sight, slope):
    """-inf for keys that a query must not see; ALiBi's penalty per step of distance"""
    hidden = scores.dtype.type(-np.inf)
    first, last = sight[0], sight[1]
    until = first[0]  # keys from here on are hidden from nobody for lying in an earlier document
    for c in range(COLUMNS):
        until = max(until, first[c])
    for k in range(low, high):
        row, key = scores[k], scores.dtype.type(k)
        if slope != 0:
            for c in range(COLUMNS):
                row[c] -= slope * (last[c] - key)
        if k > t or k < until:
            for c in range(COLUMNS):
                row[c] = row[c] if first[c] <= key and key <= last[c] else hidden


@jit
def _softmax(scores, low, high, scale, block):
    """scores[k, c] = e^(scale (scores[k, c] - largest[c])); block: the largest and the sum of every column"""
    scale = scale * scores.dtype.type(LOG2_E)
    largest, total = stack_array(scores, 1, COLUMNS), stack_array(scores, 1, COLUMNS)
    copy_row(largest, 0, 0, scores, low, 0, COLUMNS)
    for k in range(low, high, ROWS):
        for c in range(COLUMNS):
            for r in range(ROWS):
                largest[0, c] = maximum(largest[0, c], scores[k + r, c])
    copy_row(block, 0, 0, largest, 0, 0, COLUMNS)
    for c in range(COLUMNS):
        total[0, c] = 0
    for k in range(low, high):
        row = scores[k]
        for c in range(COLUMNS):
            row[c] = exp2(scale * (row[c] - largest[0, c]))
            total[0, c] += row[c]
    copy_row(block, 1, 0, total, 0, 0, COLUMNS)


@jit
def _dots(a, b, block):
    """block[1, c] = sum_d a[d, c] b[d, c]: the sum of probabilities times their gradients, from output and dout"""
    total = stack_array(a, 1, COLUMNS)
    for c in range(COLUMNS):
        total[0, c] = 0
    for p in range(len(a)):
        for d in range(0, COLUMNS, SQUARE):
            for c in range(COLUMNS):
                for r in range(SQUARE):
                    total[0, c] += a[p, d + r, c] * b[p, d + r, c]
    copy_row(block, 1, 0, total, 0, 0, COLUMNS)


@jit
def _softmax_backward(probs, dscores, low, high, scale, block):
    """probs = e^(scale (probs - largest)), dscores = probs (dscores - delta); block: largest and delta of every column"""
    scale = scale * probs.dtype.type(LOG2_E)
    largest, delta = stack_array(probs, 1, COLUMNS), stack_array(probs, 1, COLUMNS)
    copy_row(largest, 0, 0, block, 0, 0, COLUMNS)
    copy_row(delta, 0, 0, block, 1, 0, COLUMNS)
    for k in range(low, high):
        p, ds = probs[k], dscores[k]
        for c in range(COLUMNS):
            p[c] = exp2(scale * (p[c] - largest[0, c]))
            ds[c] = p[c] * (ds[c] - delta[0, c])
