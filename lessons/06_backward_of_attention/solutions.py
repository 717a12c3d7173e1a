"""One solution for each exercise of lesson 06. Yours may be another."""
import math

import numpy as np


def tempered_softmax_backward(dp, p, s, temperature):
    """dp, p, s (T,) -> ds (T,), dtemperature"""
    dz = p * (dp - (dp * p).sum())  # z = s / temperature
    return dz / temperature, float(-(dz * s).sum() / temperature**2)


def squared_relu_gate_backward(dy, gate, up):
    """dy, gate, up -> dgate, dup"""
    relu = np.maximum(gate, 0.0)
    return dy * up * 2.0 * relu, dy * relu * relu


def length_norm_backward(dy, x, gain):
    """dy, x (N, C), gain (C,) -> dx (N, C), dgain (C,)"""
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))  # (N, 1)
    n = x / length
    dn = dy * gain
    return (dn - n * (dn * n).sum(axis=1, keepdims=True)) / length, (dy * n).sum(axis=0)


def sink_attention_backward(do, q, k, v, sink):
    """do, q, k, v (T, D), sink -> dq, dk, dv (T, D), dsink"""
    T, D = q.shape
    scores = np.where(np.tri(T, dtype=bool), q @ k.T / math.sqrt(D), -np.inf)  # (T, T)
    scores = np.concatenate([scores, np.full((T, 1), sink)], axis=1)  # (T, T+1), the sink is one more place
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dp = np.concatenate([do @ v.T, np.zeros((T, 1))], axis=1)  # (T, T+1), its value is zero
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dscores = ds[:, :T] / math.sqrt(D)  # (T, T)
    return dscores @ k, dscores.T @ q, p[:, :T].T @ do, float(ds[:, T].sum())
