"""GELU and SwiGLU in one pass over memory: 0.3 instead of 20 ns per number.

The tanh form of GELU is x sigmoid(2 u) with u the argument of tanh, so one exponential serves it. The forward also
writes down the slope while everything is at hand; the backward is then a single multiplication.
"""
import math

import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.exponential import erf, exp, sigmoid
from minigpt.nn.kernels.shapes import must_fit
from minigpt.nn.ops import GELU_CUBE, GELU_SCALE


def gelu_forward(x):
    """x Phi(x) with GPT-2's tanh approximation. Elementwise; the cache is the slope at x."""
    return _elementwise(_gelu, x)


def gelu_backward(dy, cache):
    """dy -> dx"""
    return dy * cache


def gelu_erf_forward(x):
    """x Phi(x). Elementwise; the cache is the slope at x."""
    return _elementwise(_gelu_erf, x)


def gelu_erf_backward(dy, cache):
    """dy -> dx"""
    return dy * cache


def _elementwise(kernel, x):
    x = np.ascontiguousarray(x)
    y, slope = np.empty_like(x), np.empty_like(x)
    kernel(x.reshape(-1), y.reshape(-1), slope.reshape(-1))
    return y, slope


def swiglu_forward(gate, up):
    """silu(gate) up. Elementwise."""
    must_fit(gate.shape == up.shape, gate=gate, up=up)
    gate, up = np.ascontiguousarray(gate), np.ascontiguousarray(up, gate.dtype)
    y = np.empty_like(gate)
    _swiglu_forward(gate.reshape(-1), up.reshape(-1), y.reshape(-1))
    return y, (gate, up)


def swiglu_backward(dy, cache):
    """dy -> dgate, dup"""
    gate, up = cache
    must_fit(dy.shape == gate.shape, dy=dy, gate=gate)
    dgate, dup = np.empty_like(gate), np.empty_like(gate)
    dy = np.ascontiguousarray(dy, gate.dtype)
    _swiglu_backward(dy.reshape(-1), gate.reshape(-1), up.reshape(-1), dgate.reshape(-1), dup.reshape(-1))
    return dgate, dup


@jit(in_order=True)
def _gelu(x, y, slope):
    one, twice, cube = x.dtype.type(1), x.dtype.type(2 * GELU_SCALE), x.dtype.type(GELU_CUBE)
    for i in range(len(x)):
        square = x[i] * x[i]
        s = sigmoid(twice * x[i] * (one + cube * square))
        y[i] = x[i] * s
        slope[i] = s + x[i] * s * (one - s) * twice * (one + x.dtype.type(3) * cube * square)


@jit
def _gelu_erf(x, y, slope):
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    root, density = x.dtype.type(math.sqrt(0.5)), x.dtype.type(math.sqrt(0.5 / math.pi))
    for i in range(len(x)):
        phi = half * (one + erf(root * x[i]))
        y[i] = x[i] * phi
        slope[i] = phi + x[i] * density * exp(-half * x[i] * x[i])


@jit
def _swiglu_forward(gate, up, y):
    for i in range(len(gate)):
        y[i] = gate[i] * sigmoid(gate[i]) * up[i]


@jit
def _swiglu_backward(dy, gate, up, dgate, dup):
    one = gate.dtype.type(1)
    for i in range(len(gate)):
        s = sigmoid(gate[i])
        dup[i] = dy[i] * gate[i] * s
        dgate[i] = dy[i] * up[i] * s * (one + gate[i] * (one - s))
