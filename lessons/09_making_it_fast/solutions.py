"""One solution for each exercise of lesson 09. Yours may be another."""
import math

import numpy as np


def least_seconds(M, K, N, peak, bandwidth):
    """-> seconds"""
    moved = 4 * (M * K + K * N + M * N)
    return max(2 * M * K * N / peak, moved / bandwidth)


def product_in_pieces(a, b, multiply, size):
    """a (M, K), b (K, N) -> out (M, N)"""
    (M, K), N = a.shape, b.shape[1]
    out = np.zeros((M, N))
    for i in range(0, M, size):
        for j in range(0, N, size):
            for k in range(0, K, size):
                out[i:i + size, j:j + size] += multiply(a[i:i + size, k:k + size], b[k:k + size, j:j + size])
    return out


def merge(first, second):
    """(largest, total, weighted (D,)) twice -> the same three of both"""
    largest = max(first[0], second[0])
    if largest == -math.inf:
        return first  # both are empty
    shrinks = [math.exp(half[0] - largest) for half in (first, second)]  # e^-inf is 0: an empty half has no weight
    total = sum(shrink * half[1] for shrink, half in zip(shrinks, (first, second)))
    weighted = sum(shrink * half[2] for shrink, half in zip(shrinks, (first, second)))
    return largest, total, weighted


def attention_backward(dout, q, k, v, out, L, size):
    """dout, q, k, v, out (T, D), L (T,) -> dq, dk, dv (T, D)"""
    T, D = q.shape
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    delta = (dout * out).sum(axis=1, keepdims=True)  # (T, 1): each row's sum of p dp
    for t in range(0, T, size):
        rows = slice(t, t + size)
        for j in range(0, t + size, size):
            keys = slice(j, j + size)
            p = np.exp(q[rows] @ k[keys].T / math.sqrt(D) - L[rows, None])  # (rows, keys)
            p[np.arange(T)[keys] > np.arange(T)[rows, None]] = 0.0
            dscores = p * (dout[rows] @ v[keys].T - delta[rows]) / math.sqrt(D)
            dv[keys] += p.T @ dout[rows]
            dq[rows] += dscores @ k[keys]
            dk[keys] += dscores.T @ q[rows]
    return dq, dk, dv
