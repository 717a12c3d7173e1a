"""Muon's update in one call on our own matrix product: a third of the time, BLAS being slow at matrices this small."""
import math

import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.matmul import product, product_with_itself
from minigpt.nn.kernels.shapes import must_fit
from minigpt.nn.ops import MUON_MOMENTUM, POLYNOMIALS


def muon_update(p, g, m, lr, decay):
    """One Muon update of a matrix in place. p g m (n_in, n_out)"""
    must_fit(p.shape == g.shape == m.shape, p=p, g=g, m=m)
    step = lr * math.sqrt(max(1.0, p.shape[1] / p.shape[0]))
    _update(p, g, m, np.array([1.0 - MUON_MOMENTUM, MUON_MOMENTUM, 1.0 - lr * decay, step], p.dtype), np.array(POLYNOMIALS, p.dtype))


@jit
def _update(p, g, m, numbers, polynomials):
    rate, momentum, keep, step = numbers
    x, square = np.empty(p.shape, p.dtype), p.dtype.type(0)
    for i in range(len(p)):
        row, gradient, mean = x[i], g[i], m[i]
        for j in range(len(row)):
            mean[j] += rate * (gradient[j] - mean[j])
            row[j] = rate * gradient[j] + momentum * mean[j]
            square += row[j] * row[j]
    scale = p.dtype.type(1) / (np.sqrt(square) + p.dtype.type(1e-7))
    for i in range(len(x)):
        row = x[i]
        for j in range(len(row)):
            row[j] *= scale
    tall = len(p) > p.shape[1]
    x = _orthogonal(np.ascontiguousarray(x.T) if tall else x, polynomials)
    x = np.ascontiguousarray(x.T) if tall else x
    for i in range(len(p)):
        row, update = p[i], x[i]
        for j in range(len(row)):
            row[j] = row[j] * keep - step * update[j]


@jit
def _orthogonal(x, polynomials):
    """(a + b G + c G^2) x with G = x x^T, polynomial after polynomial. x (n, m), n <= m"""
    n = len(x)
    gram, factor, y, zero = np.empty((n, n), x.dtype), np.empty((n, n), x.dtype), np.empty_like(x), np.zeros((1, x.shape[1]), x.dtype)
    for i in range(len(polynomials)):
        a, b, c = polynomials[i]
        product_with_itself(x, gram)
        product_with_itself(gram, factor)  # it is symmetric, so this is its square
        for r in range(n):
            row, first = factor[r], gram[r]
            for k in range(n):
                row[k] = b * first[k] + c * row[k]
            row[r] += a
        product(factor, x, zero, y)
        x, y = y, x
    return x
