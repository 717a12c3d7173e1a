"""The embedding's gradient: np.add.at row by row took 10 ns per number, adding row to row takes 0.2."""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.shapes import must_fit, must_lie_below


def embedding_forward(ids, weight):
    """ids (B, T) int, weight (V, C) -> x (B, T, C)"""
    ids = np.asarray(ids)
    must_lie_below(len(weight), ids)
    return weight.take(ids, axis=0), (ids, weight.shape)


def embedding_backward(dx, cache):
    """dx (B, T, C) -> dweight (V, C)"""
    ids, (V, C) = cache
    must_fit(dx.shape == (*ids.shape, C), dx=dx, ids=ids)
    dweight = np.zeros((V, C), dx.dtype)
    _add_rows(np.ascontiguousarray(ids, np.int32).reshape(-1), np.ascontiguousarray(dx).reshape(-1, C), dweight)
    return dweight


@jit
def _add_rows(ids, dx, dweight):
    for n in range(len(ids)):
        row, drow = dweight[ids[n]], dx[n]
        for c in range(len(row)):
            row[c] += drow[c]
