"""The Numba twins: the same function and gradient as the definition, found automatically.

Whatever the fast backend replaces is compared with nn/ops.py on its rows of cases.py.
"""
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigpt.nn import ops
from minigpt.nn.backend import get_ops
from tests import naive
from tests.cases import CASES, assert_close, floats_in, run

FAST = get_ops("fast", "numba")  # the kernels of "blas" and those for matrix products
TWINS = {name for name, function in vars(FAST).items() if function is not getattr(ops, name)}
ROWS = [case for case in CASES if f"{case.op}_forward" in TWINS]
SMALL = [case for case in ROWS if not case.option.startswith("several tiles")]
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def of(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def test_attention_and_cross_entropy_have_twins_and_twins_come_in_pairs():
    assert {"attention_forward", "cross_entropy_forward"} <= TWINS
    for name, function in vars(get_ops("fast", "blas")).items():
        assert function in (getattr(ops, name), getattr(FAST, name)), f"{name} has a kernel that is not tested here"
    for name in TWINS:
        op, direction = name.rsplit("_", 1)
        other = {"forward": "backward", "backward": "forward", "update": "update"}[direction]
        assert f"{op}_{other}" in TWINS, f"{name} has a kernel and its other half has none"
        assert list(inspect.signature(getattr(FAST, name)).parameters) == list(inspect.signature(getattr(ops, name)).parameters)


def slices(case, dtype):
    """The case's inputs as slices of wider arrays, as queries, keys and values are."""
    return {name: np.repeat(value[..., None, :], 2, axis=-2)[..., 1, :] if name in case.gradient_names() and value is not None
            else value for name, value in case.arguments(dtype).items()}


def reversed_rows(case, dtype):
    """The case's inputs as views that run backwards through memory."""
    return {name: np.ascontiguousarray(value[..., ::-1])[..., ::-1] if isinstance(value, np.ndarray) else value
            for name, value in case.arguments(dtype).items()}


@of(ROWS)
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)], ids=["float32", "float64"])
def test_twin_agrees_with_the_definition(case, dtype, tolerance):
    expected_out, _, cotangent, expected = run(ops, case, case.arguments(dtype))
    for arguments in (case.arguments(dtype), slices(case, dtype), reversed_rows(case, dtype)):
        out, cache, _, grads = run(FAST, case, arguments, cotangent)
        assert_close(out, expected_out, tolerance)
        for name, gradient in grads.items():
            assert_close(gradient, expected[name], tolerance)
        assert {array.dtype for array in floats_in((out, cache, grads))} == {np.dtype(dtype)}


@of(ROWS)
def test_backward_twice_is_the_same_and_leaves_its_inputs_alone(case):
    arguments = case.arguments(np.float32)
    _, cache, cotangent, first = run(FAST, case, arguments)
    first = {name: gradient if gradient is None else gradient.copy() for name, gradient in first.items()}
    before = cotangent.copy()
    second = getattr(FAST, f"{case.op}_backward")(cotangent, cache)
    for gradient, again in zip(first.values(), second if isinstance(second, tuple) else (second,), strict=True):
        np.testing.assert_array_equal(gradient, again)
    np.testing.assert_array_equal(cotangent, before)
    for name, value in case.arguments(np.float32).items():
        np.testing.assert_array_equal(arguments[name], value)


@of(SMALL)
def test_large_inputs_do_not_overflow(case):
    arguments = case.arguments(np.float32)
    name = case.gradient_names()[0]
    arguments[name] = arguments[name] * np.float32(100.0)
    expected, _, cotangent, _ = run(ops, case, arguments)
    out, _, _, grads = run(FAST, case, arguments, cotangent)
    assert_close(out, expected, 1e-4)
    assert all(np.isfinite(array).all() for array in floats_in(grads))


@of(ROWS)
def test_a_gradient_of_another_type_is_taken_as_the_definition_takes_it(case):
    """A float64 weight in somebody's loss makes a float64 cotangent; the kernels read it as what it is."""
    arguments = case.arguments(np.float32)
    _, _, cotangent, expected = run(ops, case, arguments)
    _, _, _, grads = run(FAST, case, arguments, cotangent.astype(np.float64))
    for name, gradient in grads.items():
        assert_close(gradient, expected[name], 1e-5)


@of(ROWS)
def test_arrays_that_do_not_fit_are_refused(case):
    """A kernel that reads one row or column too many reads somebody else's memory."""
    for name in case.gradient_names():
        arguments = case.arguments(np.float32)
        if len(case.gradient_names()) > 1 and arguments[name] is not None:
            shorter = arguments[name][:-1] if (case.op, name) == ("linear", "weight") else arguments[name][..., :-1]  # fewer outputs would fit
            arguments[name] = np.ascontiguousarray(shorter)
            with pytest.raises((ValueError, IndexError)):
                run(FAST, case, arguments)


@pytest.mark.parametrize("bad", [-1, 3])
def test_ids_that_stand_for_nothing_are_refused(bad):
    with pytest.raises(IndexError, match=f"ids from {min(bad, 0)} to {max(bad, 2)} are not all from 0 to 2"):
        FAST.cross_entropy_forward(np.zeros((3, 3), np.float32), np.array([0, bad, 2]))
    with pytest.raises(IndexError, match="are not all from 0 to 2"):
        FAST.embedding_forward(np.array([[0, bad, 2]]), np.zeros((3, 4), np.float32))


def test_starts_before_the_first_position_are_refused():
    """The definition takes them for 0; the kernel would read and write before its arrays."""
    q = np.zeros((1, 2, 1, 4), np.float32)
    with pytest.raises(ValueError, match="starts are -1 and more"):
        FAST.attention_forward(q, q, q, np.array([[0, -1]], np.int32))


def test_an_update_whose_arrays_do_not_fit_is_refused():
    p = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="shapes do not fit each other"):
        FAST.adamw_update(p, p[:2].copy(), p.copy(), p.copy(), 0.1, 0.9, 0.99, 1e-8, 0.0, 1)
    with pytest.raises(ValueError, match="shapes do not fit each other"):
        FAST.muon_update(np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32), 0.1, 0.0)


@every_dtype
@of([case for case in ROWS if case.op != "attention"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_nan_and_infinity_pass_through(case, dtype, bad):
    """A value that is no number comes out where the definition lets it out: it must reach the trainer's guard."""
    for name in case.gradient_names():
        arguments = case.arguments(dtype)
        if arguments[name] is None:
            continue
        arguments[name].reshape(-1)[3] = bad
        with np.errstate(all="ignore"):
            expected_out, _, cotangent, expected = run(ops, case, arguments)
        out, _, _, grads = run(FAST, case, arguments, cotangent)
        np.testing.assert_allclose(out, expected_out, rtol=1e-4, atol=1e-4)  # equal_nan is the default
        for key, gradient in grads.items():
            if gradient is not None:
                np.testing.assert_allclose(gradient, expected[key], rtol=1e-4, atol=1e-4)


@every_dtype
@of([case for case in SMALL if case.op == "attention"])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_nan_and_infinity_pass_through_attention(case, name, dtype, bad):
    """Where the scalar loop, which never touches what is hidden, says NaN, the twin must; where the definition, in which a
    hidden 0 times NaN is NaN, has a number, the twin has the same. Between the two it may do as it likes."""
    b, t = 1, 4
    arguments = case.arguments(dtype)
    arguments[name][b, t, 0, 2] = bad
    lists = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in arguments.items()}
    with np.errstate(all="ignore"):
        expected_out, _, cotangent, expected = run(ops, case, arguments)
    out, _, _, grads = run(FAST, case, arguments, cotangent)
    for mine, definition in [(out, expected_out), *((grads[key], expected[key]) for key in grads)]:
        known = ~np.isnan(definition)
        np.testing.assert_allclose(mine[known], definition[known], rtol=1e-4, atol=1e-4)
    assert np.isnan(out[np.isnan(naive.attention(**lists))]).all()
    if np.isnan(bad):
        assert np.isnan(out[b, t, 0]).any() and np.isnan(grads["q"][b, t, 0]).all()


@pytest.mark.slow
def test_kernels_also_run_as_plain_python():
    """With NUMBA_DISABLE_JIT=1 a reader can step through them in a debugger."""
    nodes = [f"{Path(__file__).with_name('test_gpt.py')}::test_left_padded_rows_decode_as_if_alone[(2, 3, 1, 2)-float32-0.0001-rope-fast]"]  # block and decoding
    nodes += [f"{__file__}::test_twin_agrees_with_the_definition[float32-{name}]"
             for name in ("attention-grouped_starts_slopes", "cross_entropy-rows", "layernorm-bias", "gelu-tanh", "rope-own_positions")]
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *nodes], cwd=Path(__file__).parents[1],
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
