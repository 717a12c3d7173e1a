"""Every operation of nn/ops.py, from its rows in cases.py: the right function, the right gradient, the right types."""
import inspect

import numpy as np
import pytest

from minigpt.nn import ops
from minigpt.nn.gradcheck import TOLERANCE, directional_error
from tests import naive
from tests.cases import CASES, SIZES, assert_close, every_case, every_small_case_quickly, floats_in, run

OPERATIONS = sorted(name.removesuffix("_forward") for name in vars(ops) if name.endswith("_forward"))


# The table itself


def test_every_operation_has_rows_a_backward_and_a_naive_loop():
    assert OPERATIONS == sorted({case.op for case in CASES})
    for op in OPERATIONS:
        assert inspect.isfunction(getattr(ops, f"{op}_backward")) and inspect.isfunction(getattr(naive, op))
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(set(SIZES.values())) == len(SIZES) and min(SIZES.values()) > 1


@every_case
def test_inputs_take_both_signs_and_documents_start_late(case):
    arguments = case.arguments()
    for i, name in enumerate(case.gradient_names()):
        if arguments[name] is not None:
            assert arguments[name].std() > 0.1, "a constant parameter hides a missing gradient"
            assert i or arguments[name].min() < -0.1 < 0.1 < arguments[name].max()
    if arguments.get("starts") is not None:
        starts, T = arguments["starts"], arguments["q"].shape[1]
        assert len(np.unique(starts)) > 2 and (starts <= np.arange(T)).all()


# Forward and backward of the definition


@every_small_case_quickly
def test_forward_agrees_with_the_scalar_loop(case):
    lists = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in case.arguments().items()}
    expected = np.array(getattr(naive, case.op)(**lists))
    assert_close(run(ops, case, case.arguments())[0], expected, 1e-12)


@every_small_case_quickly
def test_gradient_agrees_with_finite_differences(case):
    arguments = case.arguments()
    _, _, cotangent, grads = run(ops, case, arguments)
    rng = np.random.default_rng(5)
    for name, gradient in grads.items():
        if arguments[name] is None:
            assert gradient is None
            continue
        assert gradient.shape == arguments[name].shape

        def f(value, name=name):
            changed = {**case.arguments(), name: value}
            return float((getattr(ops, f"{case.op}_forward")(**changed)[0] * cotangent).sum())

        for _ in range(3 if gradient.size < 10_000 else 1):
            error = directional_error(f, gradient, arguments[name], rng)
            assert error <= TOLERANCE, f"gradient of {name}: relative error {error:.1e}"


@every_case
def test_backward_twice_is_the_same_and_leaves_its_inputs_alone(case):
    arguments = case.arguments()
    out, cache, cotangent, first = run(ops, case, arguments)
    first = {name: gradient if gradient is None else gradient.copy() for name, gradient in first.items()}
    before = cotangent.copy()
    second = getattr(ops, f"{case.op}_backward")(cotangent, cache)
    second = second if isinstance(second, tuple) else (second,)
    np.testing.assert_array_equal(cotangent, before)
    for name, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(first[name], again)
    for name, value in case.arguments().items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(arguments[name], value)


def test_dropout_keeps_the_right_share_and_the_mean():
    x = np.ones((200, 500))
    y, _ = ops.dropout_forward(x, 0.3, np.random.default_rng(0))
    assert abs((y == 0).mean() - 0.3) < 0.01  # 7 standard deviations
    assert abs(y.mean() - 1.0) < 0.02


@every_case
def test_float32_stays_float32_everywhere(case):
    for dtype in (np.float32, np.float64):
        found = floats_in(run(ops, case, case.arguments(dtype)))
        assert found and {array.dtype for array in found} == {np.dtype(dtype)}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.slow if "several" in case.option else (), id=case.name)
                                  for case in CASES if case.op != "dropout"])  # whose random numbers are compared above
def test_large_inputs_do_not_overflow(case):
    """Logits in the hundreds happen; exp must not see them. Weights and shared inputs stay as they are."""
    arguments = case.arguments(np.float32)
    name = case.gradient_names()[0]
    arguments[name] = arguments[name] * np.float32(100.0)
    lists = {key: value.tolist() if isinstance(value, np.ndarray) else value
             for key, value in {**case.arguments(), **arguments, "rng": None}.items() if key in arguments}
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        out, _, _, grads = run(ops, case, arguments)
    assert_close(out, np.array(getattr(naive, case.op)(**lists)), 1e-4)
    assert all(np.isfinite(array).all() for array in floats_in(grads))
