"""The gradient check itself: what it must accept, and what it must reject."""
import math

import numpy as np
import pytest

from minigpt.config import GPTConfig
from minigpt.nn import losses, ops
from minigpt.nn.gpt import Transformer
from minigpt.nn.gradcheck import TOLERANCE, check_model, check_operation, directional_error, perturb


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_it_rejects_what_looser_recipes_accept(scale):
    """Zeros, NaN, a factor of 1.001, one wrong entry in a thousand; also where values and gradients are tiny."""
    x = rng().standard_normal((10, 100)) * 0.02
    right = 3.0 * scale * x * x

    def error(gradient):
        return directional_error(lambda value: scale * float((value**3).sum()), gradient, x, rng(1))

    one_wrong = right.copy()
    one_wrong[4, 5] += 0.1 * np.abs(right).max()
    assert error(right) <= TOLERANCE
    for wrong in (0.0 * right, np.nan * right, right * 1.001, one_wrong):
        assert not error(wrong) <= TOLERANCE


def test_it_accepts_strongly_curved_functions_of_many_variables():
    """A plain central difference is wrong by 1e-4 here."""
    x = rng().standard_normal(10_000)
    assert directional_error(lambda value: float(np.sin(300.0 * value).sum()), 300.0 * np.cos(300.0 * x), x, rng(1)) <= TOLERANCE


def test_it_accepts_two_zeros():
    assert directional_error(lambda value: 5.0, np.zeros(7), np.ones(7), rng(1)) <= TOLERANCE


def inputs():
    return rng().standard_normal((3, 4, 5)), rng(1).standard_normal((5, 6)), rng(2).standard_normal(6)


def test_an_operation_is_rejected_for_any_of_its_inputs():
    assert check_operation(ops.linear_forward, ops.linear_backward, inputs(), rng()) <= TOLERANCE
    for place in range(3):
        for spoil in (0.0, 1.001, np.nan):
            def backward(dy, cache, place=place, spoil=spoil):
                return tuple(g * spoil if i == place else g for i, g in enumerate(ops.linear_backward(dy, cache)))

            assert not check_operation(ops.linear_forward, backward, inputs(), rng()) <= TOLERANCE


def test_an_operation_may_have_integers_single_gradients_and_missing_ones():
    ids = rng().integers(0, 7, (3, 4))
    assert check_operation(ops.embedding_forward, ops.embedding_backward, (ids, rng().standard_normal((7, 5))), rng()) <= TOLERANCE
    assert check_operation(ops.linear_forward, ops.linear_backward, (*inputs()[:2], None), rng()) <= TOLERANCE

    def one_too_many(dy, cache):
        return (*ops.linear_backward(dy, cache), np.zeros(6))

    with pytest.raises(ValueError, match="4 gradients for 3"):
        check_operation(ops.linear_forward, one_too_many, inputs(), rng())


def test_a_model_is_checked_tensor_by_tensor_and_left_as_it_was():
    model = perturb(Transformer(GPTConfig(11, 8, 2, 2, 8, tie=False), dtype="float64", backend="numpy"), rng())
    ids, before = rng().integers(0, 11, (2, 6)), model.params.flat.copy()
    spoiled = "h.1.mlp.c_proj.bias"

    def loss(model, backward, spoil=1.0):
        logits, cache = model.forward(ids[:, :-1])
        value, dlogits, _ = losses.cross_entropy(logits, ids[:, 1:])
        if backward:
            model.backward(dlogits, cache)
            model.grads[spoiled] *= spoil
        return value

    model.grads.flat[:] = 1.0  # what an earlier pass left there must not count
    errors = check_model(model, loss, rng())
    assert set(errors) == set(model.params) and max(errors.values()) <= TOLERANCE
    errors = check_model(model, lambda model, backward: loss(model, backward, 1.001), rng())
    assert [name for name, error in errors.items() if error > TOLERANCE] == [spoiled]
    errors = check_model(model, lambda model, backward: loss(model, backward, math.nan), rng(), directions=2)
    assert [name for name, error in errors.items() if not error <= TOLERANCE] == [spoiled], "NaN must not get through"
    np.testing.assert_array_equal(model.params.flat, before)


def test_perturbing_moves_every_parameter():
    model, same = (Transformer(GPTConfig(11, 8, 2, 2, 8), backend="numpy") for _ in range(2))
    perturb(model, rng(), 0.3)
    for name, view in model.params.items():
        moved = view - same.params[name]
        assert (moved != 0).all() and (view.size < 60 or 0.2 < moved.std() < 0.4)
