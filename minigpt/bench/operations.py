"""Single operations: the NumPy definitions beside their kernels, and the ladder of matrix products."""
import numpy as np

from minigpt.bench.measure import quartiles
from minigpt.nn.backend import get_ops
from minigpt.nn.kernels import matmul
from minigpt.nn.threads import blas_threads

B, T, C, H, V = 1, 256, 128, 4, 2048  # one shard of a step of our default model


def cases():
    """Operation -> its inputs, at the size of one shard."""
    rng = np.random.default_rng(0)

    def x(*shape):
        return rng.standard_normal(shape, np.float32)

    ids, angles = rng.integers(0, V, (B, T)).astype(np.int32), rng.random((T, C // H // 2))
    return {
        "linear": (x(B, T, C), x(C, 3 * C), x(3 * C)),
        "unembedding": (x(B * T, C), x(V, C)),
        "embedding": (ids, x(V, C)),
        "layernorm": (x(B, T, C), x(C), x(C)),
        "rmsnorm": (x(B, T, C), x(C)),
        "gelu": (x(B, T, 4 * C),),
        "swiglu": (x(B, T, 3 * C), x(B, T, 3 * C)),
        "rope": (x(B, T, 2 * H, C // H), np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)),
        "attention": (x(B, T, H, C // H), x(B, T, H, C // H), x(B, T, H, C // H)),
        "cross_entropy": (x(B * T, V), ids.reshape(-1)),
    }


def operations(repeats=9):
    """-> rows [operation, shape of its first input, numpy us, fast us, ratio], forward and backward, BLAS on one thread"""
    rows = []
    with blas_threads(1):
        for name, inputs in cases().items():
            times = {backend: _forward_and_backward(get_ops(backend), name, inputs, repeats) for backend in ("numpy", "fast")}
            for i, direction in enumerate(("forward", "backward")):
                slow, fast = times["numpy"][i], times["fast"][i]
                rows.append([f"{name} {direction}", "x".join(map(str, inputs[0].shape)), f"{1e6 * slow:.0f}", f"{1e6 * fast:.0f}", f"{slow / fast:.1f}"])
    return rows


def _forward_and_backward(ops, name, inputs, repeats):
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    out, cache = forward(*inputs)
    dout = np.ones_like(out)
    return quartiles(lambda: forward(*inputs), repeats)[1], quartiles(lambda: backward(dout, cache), repeats)[1]


LADDER = ((256, 128, 384), (256, 512, 128), (2048, 256, 1024))  # M, K, N
ATTENTION = ((256, 32), (256, 64), (64, 32), (64, 64))  # T, D


def ladder(repeats=9):
    """-> rows [product, one GFLOP/s per size of LADDER]: every rung, and np.matmul in the same three orientations, on one thread"""
    columns = [_rungs(*size) for size in LADDER]
    with blas_threads(1):
        speeds = [{name: 2 * M * K * N / quartiles(work, repeats)[1] / 1e9 for name, work in rungs.items()}
                  for (M, K, N), rungs in zip(LADDER, columns)]
    return [[name, *(f"{column[name]:.0f}" for column in speeds)] for name in columns[0]]


def _rungs(M, K, N):
    """Name -> a call that multiplies; operands are transposed before any clock runs."""
    rng = np.random.default_rng(0)
    a, b, out = rng.random((M, K), np.float32), rng.random((K, N), np.float32), np.zeros((M, N), np.float32)
    at, bt, zero = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), np.zeros((1, N), np.float32)
    return {
        "three loops": lambda: matmul.naive(a, b, out),
        "rows of b": lambda: matmul.reordered(a, b, out),
        "pieces in the cache": lambda: matmul.blocked(a, b, out),
        "tiles in registers, a @ b": lambda: matmul.product(a, b, zero, out),
        "np.matmul, a @ b": lambda: np.matmul(a, b, out=out),
        "tiles in registers, a @ b.T": lambda: matmul.product_with_transposed(a, bt, out),
        "np.matmul, a @ b.T": lambda: np.matmul(a, bt.T, out=out),
        "tiles in registers, a.T @ b": lambda: matmul.product_of_transposed(at, b, out, 0),
        "np.matmul, a.T @ b": lambda: np.matmul(at.T, b, out=out),
    }


def attention(repeats=9):
    """-> rows [T x D, GFLOP/s forward, backward of the kernel, then of the definition]; only what a causal mask leaves is counted"""
    rows, rng = [], np.random.default_rng(0)
    with blas_threads(1):
        for size, D in ATTENTION:
            inputs = [rng.standard_normal((4, size, 4, D), np.float32) for _ in range(3)]
            work = 4 * 4 * 2 * size * (size + 1) / 2 * D * 2 / 1e9  # two products of a triangle each, in GFLOP
            speeds = []
            for backend in ("fast", "numpy"):
                forward, backward = _forward_and_backward(get_ops(backend), "attention", inputs, repeats)
                speeds += [work / forward, 2.5 * work / backward]  # the backward has five products
            rows.append([f"T {size}, D {D}", *(f"{speed:.0f}" for speed in speeds)])
    return rows
