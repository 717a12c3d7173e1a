"""Single operations: the NumPy definitions beside their kernels, and the ladder of matrix products."""
import numpy as np

from minigpt.bench.measure import quartiles
from minigpt.nn.backend import BACKENDS, get_ops
from minigpt.nn.kernels import matmul
from minigpt.nn.threads import blas_threads
from minigpt.show.progress import Progress

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
        "gelu_erf": (x(B, T, 4 * C),),
        "swiglu": (x(B, T, 3 * C), x(B, T, 3 * C)),
        "dropout": (x(B, T, C), 0.1, rng),
        "rope": (x(B, T, 2 * H, C // H), np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)),
        "softmax": (x(B, H, T, T),),
        "attention": (x(B, T, H, C // H), x(B, T, H, C // H), x(B, T, H, C // H)),
        "cross_entropy": (x(B * T, V), ids.reshape(-1)),
    }


def updates():
    """Optimizer -> the inputs of its update of one matrix of an MLP."""
    rng = np.random.default_rng(0)
    p, g, m, v = (rng.random((C, 4 * C), np.float32) for _ in range(4))
    return {"adamw": (p.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1), 1e-9, 0.9, 0.95, 1e-8, 0.1, 10), "muon": (p, g, m, 1e-9, 0.1)}


def operations(repeats=9):
    """-> rows [operation, shape of its first input, numpy us, fast us, ratio]: forward, backward and updates, BLAS on one thread"""
    rows, pairs, steps = [], cases(), updates()
    progress = Progress("operations", len(pairs) + len(steps), unit="operations")

    def add(label, inputs, slow, fast):
        rows.append([label, "x".join(map(str, inputs[0].shape)), f"{1e6 * slow:.0f}", f"{1e6 * fast:.0f}", f"{slow / fast:.1f}"])

    with blas_threads(1):
        for done, (name, inputs) in enumerate(pairs.items(), 1):
            for direction, slow, fast in zip(("forward", "backward"), *(_forward_and_backward(get_ops(backend), name, inputs, repeats) for backend in BACKENDS)):
                add(f"{name} {direction}", inputs, slow, fast)
            progress.update(done)
        for done, (name, inputs) in enumerate(steps.items(), 1 + len(pairs)):
            add(f"{name} update", inputs, *(_update(get_ops(backend), name, inputs, repeats) for backend in BACKENDS))
            progress.update(done)
    return rows


def _forward_and_backward(ops, name, inputs, repeats):
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    out, cache = forward(*inputs)
    dout = np.ones_like(out)
    return quartiles(lambda: forward(*inputs), repeats)[1], quartiles(lambda: backward(dout, cache), repeats)[1]


def _update(ops, name, inputs, repeats):
    update = getattr(ops, f"{name}_update")
    return quartiles(lambda: update(*inputs), repeats)[1]


LADDER = ((256, 128, 384), (256, 512, 128), (2048, 256, 1024))  # M, K, N
ATTENTION = ((256, 32), (256, 64), (64, 32), (64, 64))  # T, D


def ladder(repeats=9):
    """-> rows [product, one GFLOP/s per size of LADDER]: every rung, and np.matmul in the same three orientations, on one thread"""
    columns = [_rungs(*size) for size in LADDER]
    rows, progress = [], Progress("products", len(columns[0]), unit="products")
    with blas_threads(1):
        for name in columns[0]:
            speeds = [2 * M * K * N / quartiles(rungs[name], repeats)[1] / 1e9 for (M, K, N), rungs in zip(LADDER, columns)]
            rows.append([name, *(f"{speed:.0f}" for speed in speeds)])
            progress.update(len(rows))
    return rows


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
    rows, rng, progress = [], np.random.default_rng(0), Progress("attention", len(ATTENTION), unit="shapes")
    with blas_threads(1):
        for size, D in ATTENTION:
            inputs = [rng.standard_normal((4, size, 4, D), np.float32) for _ in range(3)]
            work = 4 * 4 * 2 * size * (size + 1) / 2 * D * 2 / 1e9  # two products of a triangle each, in GFLOP
            speeds = []
            for backend in ("fast", "numpy"):
                forward, backward = _forward_and_backward(get_ops(backend), "attention", inputs, repeats)
                speeds += [work / forward, 2.5 * work / backward]  # the backward has five products
            rows.append([f"T {size}, D {D}", *(f"{speed:.0f}" for speed in speeds)])
            progress.update(len(rows))
    return rows
