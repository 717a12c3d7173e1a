"""Rotary positions in one pass, also over queries and keys that are a slice of a wider array."""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.primitives import contiguous
from minigpt.nn.kernels.shapes import must_fit


def rope_forward(x, cos, sin):
    """x (B, T, H, D), cos and sin (T, D/2) or (B, T, D/2) -> y (B, T, H, D)"""
    return _rotated(x, cos, sin, 1.0), (cos, sin)


def rope_backward(dy, cache):
    """dy (B, T, H, D) -> dx (B, T, H, D)"""
    return _rotated(dy, *cache, -1.0)


def _rotated(x, cos, sin, direction):
    must_fit(cos.shape == sin.shape and (cos.shape[-2], 2 * cos.shape[-1]) == (x.shape[1], x.shape[3]) and cos.shape[:-2] in ((), x.shape[:1]), x=x, cos=cos, sin=sin)
    x = x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)
    y = np.empty(x.shape, x.dtype)
    shape = (-1, *cos.shape[-2:])  # (1 or B, T, D/2)
    cos, sin = np.ascontiguousarray(cos).reshape(shape), np.ascontiguousarray(sin).reshape(shape)
    _rotate(x.transpose(0, 2, 1, 3), cos, sin, x.dtype.type(direction), y.transpose(0, 2, 1, 3))
    return y


@jit
def _rotate(x, cos, sin, direction, y):
    B, H, T, D = x.shape
    half = D // 2
    for b in range(B):
        for t in range(T):
            c, s = cos[min(b, len(cos) - 1), t], sin[min(b, len(sin) - 1), t]
            for h in range(H):
                row, out = contiguous(x[b, h, t]), contiguous(y[b, h, t])
                first, second, to_first, to_second = row[:half], row[half:], out[:half], out[half:]
                for i in range(half):
                    to_first[i] = first[i] * c[i] - direction * second[i] * s[i]
                    to_second[i] = second[i] * c[i] + direction * first[i] * s[i]
