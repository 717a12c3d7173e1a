"""One solution for each exercise of lesson 02. Yours may be another."""
import math

import numpy as np


def perplexity(probabilities):
    """list of float -> float"""
    return math.exp(-sum(math.log(p) for p in probabilities) / len(probabilities))


def bits_per_byte(losses, text):
    """list of float, str -> float"""
    return sum(losses) / math.log(2) / len(text.encode("utf-8"))


def mixed_bigram(ids, V, weight):
    """list of int -> (V, V)"""
    single = np.bincount(ids, minlength=V) / len(ids)  # (V,)
    pairs = np.zeros((V, V))
    for before, token in zip(ids, ids[1:]):
        pairs[before, token] += 1
    firsts = pairs.sum(axis=1, keepdims=True)  # (V, 1)
    mixed = weight * pairs / np.maximum(firsts, 1) + (1 - weight) * single
    return np.where(firsts > 0, mixed, single)


def likeliest_text(start, table, length):
    """int, (V, V), int -> list of int"""
    logs = np.log(table)
    best = np.full(len(table), -np.inf)  # best[w]: of all texts so far that end in w, the likeliest one's log-probability
    best[start] = 0.0
    came_from = []
    for _ in range(length - 1):
        through = best[:, None] + logs  # (V, V): before, next
        came_from.append(through.argmax(axis=0))
        best = through.max(axis=0)
    text = [int(best.argmax())]
    for step in reversed(came_from):
        text.append(int(step[text[-1]]))
    return text[::-1]
