"""The parts of which kernels are made: fast exponentials, tiles at every size, processors of other widths."""
import math
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minigpt.jit import jit
from minigpt.nn import ops
from minigpt.nn.kernels import attention, exponential, linear, matmul, primitives
from minigpt.nn.kernels.denormals import flush_denormals

AVX512 = "+avx,+avx2,+fma,+bmi,+bmi2,+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd"
OTHER_PROCESSORS = {
    "avx2": {"NUMBA_CPU_NAME": "znver3", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+f16c"},
    "intel-avx512-halves": {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": AVX512},
    "intel-avx512": {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": AVX512 + ",-prefer-256-bit"},
    "sse2": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"},
}
PRIMES = [(1, 1, 1), (2, 3, 31), (7, 13, 37), (8, 256, 32), (61, 257, 65), (67, 521, 97), (9, 600, 1), (263, 67, 33),
          (523, 263, 301)]  # M, K, N; the last has several blocks of rows and more panels than lie beside each other


@jit
def exp2_of(x, y):
    for i in range(len(x)):
        y[i] = exponential.exp2(x[i])


@jit
def exp_of(x, y):
    for i in range(len(x)):
        y[i] = exponential.exp(x[i])


@jit
def sigmoid_of(x, y):
    for i in range(len(x)):
        y[i] = exponential.sigmoid(x[i])


@jit
def erf_of(x, y):
    for i in range(len(x)):
        y[i] = exponential.erf(x[i])


# function, its definition, inputs, error in float32 (relative; of 1 for the last two)
EXPONENTIALS = [
    (exp2_of, np.exp2, np.linspace(-125, 127, 9973), 3e-7),
    (exp_of, np.exp, np.linspace(-20, 20, 9973), 3e-6),
    (sigmoid_of, lambda x: 1 / (1 + np.exp(-x)), np.linspace(-60, 60, 9973), 3e-7),
    (erf_of, np.vectorize(math.erf), np.linspace(-5, 5, 9973), 5e-7),
]


@pytest.mark.parametrize("kernel, definition, x, error", EXPONENTIALS, ids=["exp2", "exp", "sigmoid", "erf"])
def test_exponentials_are_close_in_float32_and_exact_in_float64(kernel, definition, x, error):
    for dtype, tolerance in ((np.float32, error), (np.float64, 1e-15)):
        rounded = x.astype(dtype)
        y, expected = np.empty_like(rounded), definition(rounded.astype(np.float64))
        kernel(rounded, y)
        scale = expected if kernel in (exp2_of, exp_of) else 1.0
        assert np.abs((y - expected) / scale).max() < tolerance


def test_exponentials_of_what_is_no_number_or_out_of_range():
    x = np.array([np.nan, np.inf, -np.inf, 200.0, -200.0, 0.0], np.float32)
    y = np.empty_like(x)
    for kernel, expected in ((exp2_of, [np.nan, np.inf, 0, np.inf, 0, 1]), (exp_of, [np.nan, np.inf, 0, np.inf, 0, 1]),
                             (sigmoid_of, [np.nan, 1, 0, 1, 0, 0.5]), (erf_of, [np.nan, 1, -1, 1, -1, 0])):
        kernel(x, y)
        np.testing.assert_allclose(y, np.array(expected, np.float32), atol=2e-7)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("size", PRIMES, ids=str)
def test_products_of_every_size(size, dtype, tolerance):
    M, K, N = size
    rng = np.random.default_rng(M)
    a, b, bias = (rng.standard_normal(shape).astype(dtype) for shape in ((M, K), (K, N), (1, N)))
    out, expected = np.full((M, N), np.nan, dtype), a.astype(np.float64) @ b
    largest = np.abs(expected).max()

    def close(actual, added=0.0):
        np.testing.assert_allclose(actual, expected + added, rtol=0, atol=tolerance * max(1.0, largest))

    matmul.product(a, b, bias, out)
    close(out, bias)
    matmul.product_with_transposed(a, np.ascontiguousarray(b.T), out)
    close(out)
    matmul.product_of_transposed(np.ascontiguousarray(a.T), b, out, 0)
    close(out)
    matmul.product_of_transposed(np.ascontiguousarray(a.T), b, out, 1)
    close(out, expected)
    square, other = np.full((M, M), np.nan, dtype), np.full((M, M), np.nan, dtype)
    matmul.product_with_itself(a, square)
    matmul.product_with_transposed(a, a, other)
    np.testing.assert_allclose(square, other, rtol=0, atol=tolerance * np.abs(other).max())
    np.testing.assert_array_equal(square, square.T)
    for rung in (matmul.naive, matmul.reordered, matmul.blocked):
        rung(a, b, out)
        close(out)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_touches_nothing_beyond_its_edges(dtype):
    """Tiles are whole and matrices are not: what lies behind the last row and column must stay."""
    n = primitives.SQUARE * 3 + 1
    around = np.full((n + 8, n), 7.0, dtype)
    a = np.ones((n, n), dtype)
    for product in (lambda out: matmul.product(a, a, np.zeros((1, n), dtype), out), lambda out: matmul.product_with_transposed(a, a, out),
                    lambda out: matmul.product_of_transposed(a, a, out, 0)):
        product(around[4 : n + 4])
        assert (around[:4] == 7).all() and (around[n + 4 :] == 7).all()


def test_products_without_terms_are_zeros():
    """No position of a batch may count: then the gradient of a weight is a sum of nothing."""
    nothing, bias, out = np.zeros((0, 20), np.float32), np.full((1, 20), 2, np.float32), np.full((20, 20), 7, np.float32)
    matmul.product_of_transposed(nothing, nothing, out, 1)
    assert (out == 7).all()
    matmul.product_of_transposed(nothing, nothing, out, 0)
    assert (out == 0).all()
    matmul.product(nothing.T, nothing, bias, out)
    assert (out == 2).all()
    matmul.product_with_transposed(nothing.T, nothing.T, out)
    assert (out == 0).all()
    y, cache = linear.linear_forward(nothing, out)
    assert y.shape == (0, 20) and (linear.linear_backward(y, cache)[1] == 0).all()


@pytest.mark.parametrize("T", [1, 2, 31, 32, 33, 97])
@pytest.mark.parametrize("D", [1, 20, 33, 64])
def test_attention_of_every_size(T, D):
    B, H, K = 2, 4, 2
    rng = np.random.default_rng(T * D)
    qkv = rng.standard_normal((B, T, H + 2 * K, D)).astype(np.float32)
    q, k, v = qkv[:, :, :H], qkv[:, :, H : H + K], qkv[:, :, H + K :]
    begins = np.where(rng.random((B, T)) < 0.1, np.arange(T), 0)
    starts, slopes = np.maximum.accumulate(begins, axis=1), rng.random(H).astype(np.float32)
    dout = rng.standard_normal(q.shape).astype(np.float32)
    for options in ((None, None), (starts, slopes)):
        out, cache = attention.attention_forward(q, k, v, *options)
        expected, expected_cache = ops.attention_forward(q, k, v, *options)
        pairs = zip((out, *attention.attention_backward(dout, cache)), (expected, *ops.attention_backward(dout, expected_cache)), strict=True)
        for actual, definition in pairs:
            np.testing.assert_allclose(actual, definition, rtol=0, atol=2e-5 * max(1.0, np.abs(definition).max()))


def _runs(processor):
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    features = OTHER_PROCESSORS[processor]["NUMBA_CPU_FEATURES"].split(",")
    return all(f" {feature[1:]}" in flags for feature in features if feature.startswith("+"))


@pytest.mark.audit
@pytest.mark.parametrize("processor", OTHER_PROCESSORS)
def test_kernels_compiled_for_other_processors(processor):
    """Every width of vector has tiles of its own, so every width is tested, as far as this machine can run it."""
    if not _runs(processor):
        pytest.skip("this processor has no such instructions")
    nodes = [f"{__file__}::test_products_of_every_size", f"{__file__}::test_attention_of_every_size",
             *(str(Path(__file__).parent / name) for name in
               ("test_twins.py::test_twin_agrees_with_the_definition", "test_optim.py::test_muon_is_momentum_then_orthogonalised",
                "test_kernels_decode.py::test_whole_vectors_of_keys",
                "test_kernels_decode.py::test_weights_that_float16_holds_are_read_as_float16"))]
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "not float64", *nodes],
                          cwd=Path(__file__).parents[1], env={**os.environ, **OTHER_PROCESSORS[processor]}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]


def test_all_of_avx512_is_used():
    """Left alone, LLVM uses half of Intel's registers, and everything is right and slow."""
    if not _runs("intel-avx512") or "NUMBA_CPU_NAME" in os.environ or "NUMBA_CPU_FEATURES" in os.environ:
        pytest.skip("this processor has no AVX-512, or the user has chosen what to compile for")
    assert primitives.vectors() == (512, 32)


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1" or platform.machine().lower() not in ("x86_64", "amd64"),
                    reason="reads the control word of x86")
def test_tiny_numbers_are_zero_inside_the_block_of_this_thread_only():
    tiny = np.full(64, 1e-40, np.float32)
    with ThreadPoolExecutor(1) as other:
        other.submit(int).result()  # a thread has what its creator had
        with pytest.raises(KeyError), flush_denormals():
            with flush_denormals():
                assert not (tiny * np.float32(1)).any()
            assert not (tiny * np.float32(1)).any() and other.submit(lambda: (tiny * np.float32(1)).all()).result()
            raise KeyError
        assert (tiny * np.float32(1)).all()
