"""The linear layer and the unembedding on our own matrix product: for matmul="numba".

A backward is one call: between two calls a worker needs the interpreter, for which it may have to wait.
"""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.matmul import product, product_of_transposed, product_with_transposed
from minigpt.nn.kernels.shapes import must_fit


def linear_forward(x, weight, bias=None):
    """x (..., C), weight (C, O), bias (O,) or None -> y (..., O)"""
    rows, weight = _rows(x), np.ascontiguousarray(weight, x.dtype)  # (N, C)
    must_fit(rows.shape[1] == len(weight) and (bias is None or bias.shape == weight.shape[1:]), x=x, weight=weight, bias=bias)
    y = np.empty((len(rows), weight.shape[1]), x.dtype)
    product(rows, weight, np.zeros((1, weight.shape[1]), x.dtype) if bias is None else np.ascontiguousarray(bias, x.dtype).reshape(1, -1), y)
    return y.reshape(*x.shape[:-1], weight.shape[1]), (rows, weight, bias is not None, x.shape)


def linear_backward(dy, cache):
    """dy (..., O) -> dx (..., C), dweight (C, O), dbias (O,) or None"""
    rows, weight, has_bias, shape = cache
    drows = _rows(dy, rows.dtype)  # (N, O)
    must_fit(drows.shape == (len(rows), weight.shape[1]), dy=dy, x=rows, weight=weight)
    dx, dweight, dbias = np.empty_like(rows), np.empty_like(weight), np.zeros(weight.shape[1], rows.dtype)
    _linear_backward(drows, rows, weight, dx, dweight, dbias, 0)
    return dx.reshape(shape), dweight, dbias if has_bias else None


def unembedding_forward(x, weight):
    """x (..., C), weight (V, C) -> logits (..., V)"""
    rows, weight = _rows(x), np.ascontiguousarray(weight, x.dtype)  # (N, C)
    must_fit(rows.shape[1] == weight.shape[1], x=x, weight=weight)
    logits = np.empty((len(rows), len(weight)), x.dtype)
    product_with_transposed(rows, weight, logits)
    return logits.reshape(*x.shape[:-1], len(weight)), (rows, weight, x.shape)


def unembedding_backward(dlogits, cache):
    """dlogits (..., V) -> dx (..., C), dweight (V, C)"""
    rows, weight, shape = cache
    drows = _rows(dlogits, rows.dtype)  # (N, V)
    must_fit(drows.shape == (len(rows), len(weight)), dlogits=dlogits, x=rows, weight=weight)
    dx, dweight = np.empty_like(rows), np.empty_like(weight)
    _unembedding_backward(drows, rows, weight, dx, dweight)
    return dx.reshape(shape), dweight


def _rows(x, dtype=None):
    return np.ascontiguousarray(x, dtype).reshape(-1, x.shape[-1])


@jit
def _linear_backward(dy, x, weight, dx, dweight, dbias, added):
    product_with_transposed(dy, weight, dx)
    product_of_transposed(x, dy, dweight, added)
    for n in range(len(dy)):
        row = dy[n]
        for c in range(len(row)):
            dbias[c] += row[c]


@jit
def _unembedding_backward(dlogits, x, weight, dx, dweight):
    product(dlogits, weight, np.zeros((1, weight.shape[1]), x.dtype), dx)
    product_of_transposed(dlogits, x, dweight, 0)
