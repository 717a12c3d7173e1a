"""exp and its relatives inside a kernel's loop: vector instructions in float32, the C library's exact ones in float64.

A call of the C library costs 2 ns (exp) to 14 ns (tanh) per number and keeps its whole loop from becoming vector
code; the polynomial costs 0.2 ns.
"""
import math

import numpy as np
from numba.core import types
from numba.extending import overload

LOG2_E = 1.0 / math.log(2.0)
LINE_BY_LINE = {"fastmath": {"contract"}, "error_model": "numpy"}  # multiply-adds may fuse, nothing may be reordered

# minimax polynomial of 2^f on [-1/2, 1/2], relative error 7e-8 before rounding
C0, C1, C2, C3, C4, C5 = map(np.float32, (
    1.0000000716553, 0.6931469670628841, 0.24022119720751672,
    0.055507132750656656, 0.009675541502617388, 0.001327647195958636))
SMALLEST, LARGEST, BIAS, MANTISSA = np.float32(-127), np.float32(128), np.int32(127), np.int32(23)


def exp2(x):
    """2^x; in float32 to 3e-7 relative, 0 below 2^-126.5, inf from 2^127.5, NaN for NaN."""
    return np.exp2(x)


def exp(x):
    """e^x; in float32 to (3 + |x|) 1e-7 relative."""
    return np.exp(x)


def sigmoid(x):
    """1 / (1 + e^-x). tanh(x) is 2 sigmoid(2 x) - 1."""
    return 1.0 / (1.0 + np.exp(-x))


def erf(x):
    """The error function; in float32 to 6e-7 of 1."""
    return math.erf(x)


def _exp2_polynomial(x):
    """2^x = 2^n 2^f with n the nearest integer: f by the polynomial, n written into the float's exponent bits."""
    x = SMALLEST if x < SMALLEST else x  # comparisons in this order let NaN through
    x = LARGEST if x > LARGEST else x
    n = np.rint(x)
    f = x - n
    power = C0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * C5))))
    return power * np.int32((np.int32(n) + BIAS) << MANTISSA).view(np.float32)


@overload(exp2, jit_options=LINE_BY_LINE)
def _exp2(x):
    return _exp2_polynomial if x == types.float32 else lambda x: np.exp2(x)


@overload(exp, jit_options=LINE_BY_LINE)
def _exp(x):
    scale = np.float32(LOG2_E)
    return (lambda x: exp2(x * scale)) if x == types.float32 else lambda x: np.exp(x)


@overload(sigmoid, jit_options=LINE_BY_LINE)
def _sigmoid(x):
    one = np.float32(1) if x == types.float32 else 1.0
    return lambda x: one / (one + exp(-x))


# Abramowitz and Stegun 7.1.26: erf(x) = 1 - (A1 t + A2 t^2 + ... + A5 t^5) e^(-x^2), t = 1 / (1 + P x), for x >= 0
ONE, P, A1, A2, A3, A4, A5 = map(np.float32, (
    1.0, 0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))


@overload(erf, jit_options=LINE_BY_LINE)
def _erf(x):
    def polynomial(x):
        t = ONE / (ONE + P * abs(x))
        tail = t * (A1 + t * (A2 + t * (A3 + t * (A4 + t * A5)))) * exp(-x * x)
        return np.copysign(ONE - tail, x)

    return polynomial if x == types.float32 else lambda x: math.erf(x)
