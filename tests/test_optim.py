"""Optimizers against the formulas of their papers, one scalar at a time."""
import dataclasses
import math

import numpy as np
import pytest

from minigpt.config import TrainConfig
from minigpt.nn import ops
from minigpt.nn.backend import get_ops
from minigpt.nn.params import Params, Spec
from minigpt.train import optim

SPECS = (Spec("wte.weight", (5, 3), decay=True), Spec("h.0.attn.c_attn.weight", (6, 4), decay=True),
         Spec("h.0.attn.c_attn.bias", (4,)), Spec("ln_f.weight", (3,)))
CONFIG = TrainConfig(tokens=1000, batch_tokens=10, warmup=0.1, flat=0.6, final_lr=0.05, lr=0.1, muon_lr=0.2, weight_decay=0.3)


def filled(seed, dtype="float64"):
    params = Params(SPECS, dtype)
    rng = np.random.default_rng(seed)
    for name, view in params.items():
        params[name] = rng.standard_normal(view.shape)
    return params


def adamw_by_hand(p, gradients, lr, beta1, beta2, eps, decay):
    """One number through Loshchilov and Hutter's algorithm 2, lines 6 to 12."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t) / (math.sqrt(v / (1 - beta2**t)) + eps) + decay * p)
    return p


@pytest.mark.parametrize("backend, dtype, tolerance", [("numpy", "float64", 1e-12), ("fast", "float64", 1e-12), ("fast", "float32", 1e-5)])
def test_adamw_is_the_papers(backend, dtype, tolerance):
    rng = np.random.default_rng(0)
    p, gradients = rng.standard_normal(37).astype(dtype), rng.standard_normal((4, 37)).astype(dtype)
    expected = [adamw_by_hand(float(x), map(float, gs), 0.1, 0.8, 0.9, 0.01, 0.3) for x, gs in zip(p, gradients.T)]
    m, v = np.zeros_like(p), np.zeros_like(p)
    for step, g in enumerate(gradients, 1):
        get_ops(backend).adamw_update(p, g, m, v, 0.1, 0.8, 0.9, 0.01, 0.3, step)
    assert p.dtype == m.dtype == v.dtype == np.dtype(dtype)
    np.testing.assert_allclose(p, expected, rtol=tolerance, atol=tolerance)


def test_weight_decay_is_for_matrices_only():
    """With a gradient of 0 nothing moves but what decays."""
    for optimizer in ("adamw", "muon"):
        params, before = filled(1), filled(1)
        config = dataclasses.replace(CONFIG, optimizer=optimizer, warmup=0.0, lr=0.1, muon_lr=0.1)
        optim.update(params, params.zeros(), optim.new_state(params), config)
        for spec in SPECS:
            factor = 1.0 - 0.1 * 0.3 if spec.decay else 1.0
            np.testing.assert_allclose(params[spec.name], factor * before[spec.name], rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_tensors_may_be_updated_in_any_order(optimizer):
    def backwards(function, items):
        return [function(item) for item in reversed(list(items))]

    results = []
    for run in (None, backwards):
        params, grads = filled(1), filled(2)
        state = optim.new_state(params)
        for _ in range(3):
            optim.update(params, grads, state, dataclasses.replace(CONFIG, optimizer=optimizer), run)
        assert state.step == 3
        results.append(params.flat.copy())
    np.testing.assert_array_equal(*results)


def test_muon_moves_every_direction_equally():
    """The singular values of the update are all near 1, and its singular vectors are the gradient's."""
    rng = np.random.default_rng(0)
    for shape in ((6, 6), (4, 9), (9, 4)):
        u, _, vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
        matrix = (u * np.linspace(0.1, 3.0, min(shape))) @ vt
        turned = u.T @ ops.orthogonalise(matrix) @ vt.T
        assert (np.diag(turned) > 0.6).all() and (np.diag(turned) < 1.3).all()
        assert np.abs(turned - np.diag(np.diag(turned))).max() < 1e-9
    assert ops.orthogonalise(matrix.astype(np.float32)).dtype == np.float32


def test_singular_values_from_one_percent_on_land_where_the_comment_says():
    for s in np.geomspace(0.0101, 0.999, 500):
        turned = np.diag(ops.orthogonalise(np.diag([s, math.sqrt(1.0 - s * s)])))
        assert 0.725 < turned.min() and turned.max() < 1.275, s


@pytest.mark.parametrize("backend, dtype, tolerance", [("numpy", "float64", 1e-12), ("fast", "float64", 1e-12), ("fast", "float32", 1e-5)])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (70, 33), (33, 70)])
def test_muon_is_momentum_then_orthogonalised(shape, backend, dtype, tolerance):
    """Jordan et al. 2024, with Nesterov's look ahead; wide matrices (more outputs than inputs) take longer steps."""
    rng = np.random.default_rng(0)
    p, gradients = rng.standard_normal(shape).astype(dtype), rng.standard_normal((3, *shape)).astype(dtype)
    expected, mean = p.astype(float), np.zeros(shape)
    m, other_m, columns_first = np.zeros_like(p), np.zeros_like(p), p.copy()
    for g in gradients:
        mean = 0.95 * mean + 0.05 * g
        step = ops.orthogonalise(0.95 * mean + 0.05 * g)
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * max(1.0, math.sqrt(shape[1] / shape[0])) * step
        get_ops(backend).muon_update(p, g, m, 0.1, 0.3)
        columns_first = np.asfortranarray(columns_first) if g is gradients[0] else columns_first
        get_ops(backend).muon_update(columns_first, np.asfortranarray(g), other_m, 0.1, 0.3)
    np.testing.assert_allclose(columns_first, p, rtol=0, atol=tolerance)
    assert p.dtype == m.dtype == np.dtype(dtype)
    np.testing.assert_allclose(p, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(m, mean, rtol=0, atol=tolerance)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_tensor_moves_against_its_gradient_by_its_learning_rate(optimizer):
    params, before, grads = filled(1), filled(1), filled(2)
    config = dataclasses.replace(CONFIG, optimizer=optimizer, weight_decay=0.0)
    rate = optim.update(params, grads, optim.new_state(params), config)
    assert math.isclose(rate, 0.1 * CONFIG.lr)  # the first of ten warm-up steps
    for spec in SPECS:
        moved = params[spec.name] - before[spec.name]
        assert (moved * grads[spec.name]).sum() < 0
        if optimizer == "adamw" or not optim.is_matrix(spec):
            np.testing.assert_allclose(moved, -rate * np.sign(grads[spec.name]), rtol=1e-3)  # Adam's first step
        else:
            assert 0.7 < np.linalg.norm(moved, 2) / (0.1 * CONFIG.muon_lr) < 1.3


def test_muon_takes_the_matrices_of_the_blocks():
    assert [optim.is_matrix(spec) for spec in SPECS] == [False, True, False, False]


def test_schedule_rises_stays_and_falls():
    rates = [optim.schedule(step, CONFIG) for step in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    assert all(rate == 1.0 for rate in rates[10:60])
    np.testing.assert_allclose(np.diff(rates[60:]), -0.95 / 40)
    assert math.isclose(rates[-1], 0.05)
    cosine = [optim.schedule(step, dataclasses.replace(CONFIG, schedule="cosine")) for step in range(100)]
    assert math.isclose(cosine[54], 0.05 + 0.95 / 2) and math.isclose(cosine[-1], 0.05)  # halfway between steps 10 and 100
    assert all(a >= b for a, b in zip(cosine[9:], cosine[10:]))


def test_clipping_shortens_and_keeps_the_direction():
    grads = filled(2)
    before, norm = grads.flat.copy(), float(np.linalg.norm(grads.flat))
    assert math.isclose(optim.clip(grads, 0.0), norm) and math.isclose(optim.clip(grads, norm * 1.01), norm)
    np.testing.assert_array_equal(grads.flat, before)
    assert math.isclose(optim.clip(grads, 0.5), norm)
    np.testing.assert_allclose(grads.flat, before * 0.5 / norm, rtol=1e-12)


def test_the_norm_of_a_long_gradient_loses_no_digits():
    params = Params([Spec("wte.weight", (300_000,))])
    params["wte.weight"] = 0.1
    assert math.isclose(optim.global_norm(params), 0.1 * math.sqrt(300_000), rel_tol=1e-5)
    assert get_ops("numpy").adamw_update is ops.adamw_update
