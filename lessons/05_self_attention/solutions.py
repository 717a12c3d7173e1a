"""One solution for each exercise of lesson 05. Yours may be another."""
import math

import numpy as np


def attention_weights(q, k):
    """q (T, D), k (T, D) -> weights (T, T)"""
    scores = q @ k.T / math.sqrt(q.shape[1])  # (T, T)
    scores[np.triu_indices(len(q), 1)] = -np.inf
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def windowed_attention(q, k, v, window):
    """q, k, v (T, D) -> out (T, D)"""
    out = np.zeros_like(v)
    for t in range(len(q)):
        first = max(0, t - window + 1)
        scores = k[first:t + 1] @ q[t] / math.sqrt(q.shape[1])  # (places seen,)
        weights = np.exp(scores - scores.max())
        out[t] = weights / weights.sum() @ v[first:t + 1]
    return out


def grouped_attention(q, k, v):
    """q (T, H, D), k and v (T, K, D) -> out (T, H, D)"""
    group = q.shape[1] // k.shape[1]
    out = np.zeros_like(q)
    for head in range(q.shape[1]):
        out[:, head] = attention_weights(q[:, head], k[:, head // group]) @ v[:, head // group]
    return out


def streaming_attention(query, pairs):
    """query (D,), pairs of (key, value) -> out (D,)"""
    largest, total, out = -math.inf, 0.0, np.zeros_like(query)
    for key, value in pairs:
        score = query @ key / math.sqrt(len(query))
        before, largest = largest, max(largest, score)
        shrink = math.exp(before - largest)  # what was collected so far was measured against the old largest score
        weight = math.exp(score - largest)
        total = total * shrink + weight
        out = out * shrink + weight * value
    return out / total
