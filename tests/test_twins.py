"""The Numba twins: the same function and gradient as the definition, found automatically.

Whatever the fast backend replaces is compared on its rows of cases.py.
"""
import inspect

import numpy as np
import pytest

from minigpt.nn import ops
from minigpt.nn.backend import get_ops
from tests.cases import CASES, assert_close, floats_in, run

FAST = vars(get_ops("fast"))
TWINS = {name for name, function in FAST.items() if function is not getattr(ops, name)}
every_twin = pytest.mark.parametrize("case", [case for case in CASES if f"{case.op}_forward" in TWINS],
                                     ids=lambda case: case.name)


def test_attention_and_cross_entropy_have_twins_and_twins_come_in_pairs():
    assert {"attention_forward", "cross_entropy_forward"} <= TWINS
    for name in TWINS:
        op, direction = name.rsplit("_", 1)
        other = {"forward": "backward", "backward": "forward", "update": "update"}[direction]
        assert f"{op}_{other}" in TWINS, f"{name} has a kernel and its other half has none"
        assert list(inspect.signature(FAST[name]).parameters) == list(inspect.signature(getattr(ops, name)).parameters)


@every_twin
@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)], ids=["float32", "float64"])
def test_twin_agrees_with_the_definition(case, dtype, tolerance):
    """Also when its inputs are slices of a wider array, as queries, keys and values are."""
    expected_out, _, cotangent, expected = run(ops, case, case.arguments(dtype))
    differentiable = {name for name in case.gradient_names() if case.inputs[name] is not None}
    sliced = {name: np.repeat(value[..., None, :], 2, axis=-2)[..., 1, :] if name in differentiable else value
              for name, value in case.arguments(dtype).items()}
    for arguments in (case.arguments(dtype), sliced):
        out, _, _, grads = run(get_ops("fast"), case, arguments, cotangent)
        assert_close(out, expected_out, tolerance)
        assert {name for name in grads if grads[name] is not None} == differentiable
        for name in differentiable:
            assert_close(grads[name], expected[name], tolerance)
