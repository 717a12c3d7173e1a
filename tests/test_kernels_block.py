"""The block in two kernels against the layers' own, which knows nothing of it."""
import dataclasses

import numpy as np
import pytest

from minigpt.config import GPTConfig
from minigpt.nn import layers
from minigpt.nn.gradcheck import TOLERANCE, check_model, perturb
from minigpt.nn.gpt import Transformer
from minigpt.nn.kernels import block

GPT2 = GPTConfig(vocab_size=11, block_size=40, n_layer=2, n_head=4, n_embd=40)
PACKED = np.array([[0] * 17 + [17] * 20, [0] * 37, [0, 1] + [2] * 35])  # starts of rows of two, one and three documents


def text(*shape):
    return np.random.default_rng(7).integers(0, GPT2.vocab_size, shape)


def both(config, dtype, ids, starts=None, kept=None):
    """-> per block, kernels first: hidden states and the gradient, which is added to one that is there already"""
    model, rng = perturb(Transformer(config, dtype=dtype), np.random.default_rng(1)), np.random.default_rng(2)
    assert model.block.forward is block.block_forward
    cotangent, found = None, []
    for kind in (model.block, layers.BLOCK):
        model.block, grads = kind, model.params.zeros()
        grads.flat[:] = np.random.default_rng(3).standard_normal(grads.flat.size)
        hidden, cache = model.forward_hidden(ids, starts, kept=kept)
        cotangent = rng.standard_normal(hidden.shape).astype(dtype) if cotangent is None else cotangent
        before = cotangent.copy()
        model.backward_hidden(cotangent, cache, grads)
        np.testing.assert_array_equal(cotangent, before)
        assert hidden.dtype == grads.flat.dtype == dtype
        found.append((hidden, grads.flat))
    return found


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("position, n_kv_head", [("learned", None), ("rope", 2), ("alibi", 1)])
def test_the_same_as_layer_by_layer(position, n_kv_head, dtype, tolerance):
    config = dataclasses.replace(GPT2, position=position, n_kv_head=n_kv_head)
    for starts in (None, PACKED):
        for kept in (None, np.array([0, 5, 36, 37, 110]), np.zeros(0, np.int64)):
            for actual, expected in zip(*both(config, dtype, text(3, 37), starts, kept)):
                np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1.0, np.abs(expected).max(initial=0.0)))


@pytest.mark.parametrize("kept", [None, np.array([0, 4, 20])], ids=["all", "kept"])
def test_gradient_of_every_parameter(kept):
    model = perturb(Transformer(dataclasses.replace(GPT2, position="rope", n_embd=24, block_size=9), dtype="float64"), np.random.default_rng(4))
    cotangent = np.random.default_rng(5).standard_normal((3, 7, 24) if kept is None else (3, 24))

    def loss(model, backward):
        hidden, cache = model.forward_hidden(text(3, 7), kept=kept)
        if backward:
            model.backward_hidden(cotangent, cache)
        return float((hidden * cotangent).sum())

    errors = check_model(model, loss, np.random.default_rng(6))
    assert max(errors.values()) <= TOLERANCE, errors


def test_a_number_that_is_none_stays_none():
    model = Transformer(GPT2)
    model.params["h.0.mlp.c_fc.bias"][3] = np.nan
    hidden, cache = model.forward_hidden(text(1, 5))
    model.backward_hidden(np.ones_like(hidden), cache)
    assert np.isnan(hidden).all() and np.isnan(model.grads["h.0.attn.c_attn.weight"]).all()


@pytest.mark.parametrize("other", [{"norm": "rmsnorm"}, {"mlp": "swiglu"}, {"mlp": "gelu_erf"}, {"bias": False}, {"dropout": 0.1}], ids=str)
def test_every_other_block_is_left_to_the_layers(other):
    assert Transformer(dataclasses.replace(GPT2, **other)).block is layers.BLOCK
    assert Transformer(GPT2, matmul="blas").block is Transformer(GPT2, backend="numpy").block is layers.BLOCK
