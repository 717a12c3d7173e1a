"""One solution for each exercise of lesson 04. Yours may be another."""
import numpy as np


def alibi_scores(scores):
    """(H, T, T) -> (H, T, T)"""
    H, T, _ = scores.shape
    slopes = 2.0 ** (-8.0 * np.arange(1, H + 1) / H)
    distance = np.arange(T)[:, None] - np.arange(T)[None, :]  # (T, T)
    return np.where(distance < 0, -np.inf, scores - slopes[:, None, None] * distance)


def turn(x, sign):
    """x (T, D), sign 1 or -1 -> (T, D)"""
    T, D = x.shape
    angles = sign * np.arange(T)[:, None] * 10000.0 ** (-np.arange(0, D, 2) / D)  # (T, D/2)
    a, b = x[:, 0::2], x[:, 1::2]
    y = np.empty_like(x)
    y[:, 0::2] = a * np.cos(angles) - b * np.sin(angles)
    y[:, 1::2] = b * np.cos(angles) + a * np.sin(angles)
    return y


def rope_neighbours(x):
    """x (T, D) -> y (T, D)"""
    return turn(x, 1)


def rope_neighbours_backward(dy):
    """dy (T, D) -> dx (T, D)"""
    return turn(dy, -1)


def convert(weight):
    """weight (C, D) -> (C, D)"""
    return np.concatenate([weight[:, 0::2], weight[:, 1::2]], axis=1)
