"""The generated instructions of the hot loops: a kernel that stops being vector code is 3 to 60 times slower without an error."""
import os
import platform
import re

import numba
import pytest
from numba import float32 as f
from numba import int32, int64

from minigpt.jit import OPTIONS
from minigpt.nn.kernels import activations, adamw, attention, block, cross_entropy, decode, embedding, matmul, norms, rope
from minigpt.nn.kernels.primitives import vectors
from minigpt.nn.kernels.tile import COLUMNS, ROWS, tile, tile_transposed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1" or platform.machine().lower() not in ("x86_64", "amd64") or vectors()[0] < 256,
    reason="reads the instructions of x86 with AVX2")]

BITS = vectors()[0]
WIDE = "zmm" if BITS == 512 else "ymm"
f1, f2, f3, heads = f[::1], f[:, ::1], f[:, :, ::1], f[:, :, :, :]
n = int64

# kernels that are made of tiles, and the types of their arguments
PRODUCTS = [
    (tile, (f2, n, n, f2, n, n, f2, n, n, n, f2, n, n)),
    (tile_transposed, (f2, n, n, f2, n, n, f2, n, n, n, f2, n, n)),
    (matmul.product, (f2, f2, f2, f2)),
    (matmul.product_with_transposed, (f2, f2, f2)),
    (matmul.product_of_transposed, (f2, f2, f2, n)),
    (attention._products, (f3, f3, n, n, n, f2)),
    (attention._weighted_rows, (f2, f3, n, n, n, f2)),
    (attention._add_weighted, (f2, f3, n, n, n, n, f3)),
]
# kernels whose inner loops must consist of vectors
LOOPS = [
    (attention._softmax, (f2, n, n, f, f2)),
    (attention._softmax_backward, (f2, f2, n, n, f, f2)),
    (attention._mask, (f2, n, n, n, f2, f)),
    (attention._dots, (f3, f3, f2)),
    (attention._scale, (f3, f1)),
    (attention._turn, (f3, f3)),
    (cross_entropy._forward, (f2, int64[::1], f1, f1)),
    (cross_entropy._backward, (f1, f2, int64[::1], f1, f2)),
    (activations._gelu, (f1, f1, f1)),
    (activations._gelu_erf, (f1, f1, f1)),
    (activations._swiglu_forward, (f1, f1, f1)),
    (activations._swiglu_backward, (f1, f1, f1, f1, f1)),
    (norms._layernorm_forward, (f2, f1, f1, f, f2, f1, f1)),
    (norms._layernorm_backward, (f2, f2, f1, f1, f1, f2, f1, f1)),
    (norms._rmsnorm_forward, (f2, f1, f, f2, f1)),
    (norms._rmsnorm_backward, (f2, f2, f1, f1, f2, f1)),
    (adamw._update, (f1, f1, f1, f1, f1)),
    (embedding._add_rows, (int32[::1], f2, f2)),
    (rope._rotate, (heads, f3, f3, f, heads)),
    (decode._add_rows, (f1, f1, n, n, n, n, f1)),
    (decode._dot, (f1, f1)),
    (decode._norm, (f1, f1, n, n, n, f, f1)),
    (decode._activate, (f1, f1, n)),
    (block._add, (f2, f2)),
    (matmul.reordered, (f2, f2, f2)),
    (matmul.blocked, (f2, f2, f2)),
]


def names(rows):
    return [f"{kernel.__module__.rsplit('.', 1)[-1]}.{kernel.__name__}" for kernel, _ in rows]


def assembly(kernel, types):
    """The instructions for these types; compiled anew, because code that comes from the cache cannot be looked at."""
    anew = numba.njit(**OPTIONS)(kernel.py_func)
    anew.compile(types)
    return anew.inspect_asm(anew.signatures[0])


@pytest.mark.parametrize("kernel, types", PRODUCTS, ids=names(PRODUCTS))
def test_products_hold_whole_tiles_in_vector_registers(kernel, types):
    text = assembly(kernel, types)
    packed = len(re.findall(rf"vfmadd\d+ps.*%{WIDE}", text))
    assert packed >= ROWS * COLUMNS * 32 // BITS
    assert not re.findall(r"vfmadd\d+s[sd]", text)  # multiply-adds of single numbers


@pytest.mark.parametrize("kernel, types", LOOPS, ids=names(LOOPS))
def test_loops_are_vector_code_in_single_precision_without_calls(kernel, types):
    text = assembly(kernel, types)
    assert len(re.findall(rf"%{WIDE}", text)) >= 8
    # single numbers are left over where a row ends: what is done with them must also be done with whole vectors
    for operation in ("add", "mul", "sub", "div", "max", "fmadd"):
        if kernel is not attention._mask and re.search(rf"\tv{operation}\d*ss", text):
            assert re.search(rf"\tv{operation}\d*ps.*%{WIDE}", text), f"{operation} takes one number at a time"
    assert not re.findall(r"\b(?:expf?|exp2f?|tanhf?|erff?|powf?)\b", text)  # the library's functions take one number
    assert not re.findall(rf"v(?:add|mul|sub|div|fmadd\d+)pd.*%{WIDE}", text)  # a float64 constant would widen the loop
