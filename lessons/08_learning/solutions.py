"""One solution for each exercise of lesson 08. Yours may be another."""
import math

import numpy as np


def nesterov(w, g, m, rate, mu):
    """w, g, m (n,) -> new w (n,), new m (n,)"""
    m = mu * m + g
    return w - rate * (mu * m + g), m


def combine(pieces):
    """[(loss, gradient (n,), tokens)] -> loss, gradient (n,)"""
    total = max(1, sum(tokens for _, _, tokens in pieces))
    loss = sum(loss * tokens for loss, _, tokens in pieces) / total
    return loss, sum(gradient * tokens for _, gradient, tokens in pieces) / total


def restarts(step, first, growth, lowest):
    """-> factor between lowest and 1"""
    length = first
    while step >= length:
        step -= length
        length *= growth
    return lowest + (1.0 - lowest) * (1.0 + math.cos(math.pi * step / length)) / 2.0


def nearest_orthogonal(matrix):
    """(n, m) -> (n, m)"""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / np.sqrt((x * x).sum())
    error = math.inf
    for _ in range(200):
        gram = x @ x.T
        before, error = error, np.abs(gram - np.eye(len(x))).max()
        if error < 1e-12 or (error < 1e-9 and error >= before):
            break
        x = 1.5 * x - 0.5 * gram @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
