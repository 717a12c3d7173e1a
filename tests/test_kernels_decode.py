"""The fused decoding kernel against the layers' own step, which knows nothing of it."""
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from minigpt.config import GPTConfig
from minigpt.nn import gpt
from minigpt.nn.gpt import Transformer
from minigpt.nn.kernels import decode
from minigpt.nn.kernels.primitives import converts_halves

V, LENGTH = 37, 12
OPTIONS = list(itertools.product(("layernorm", "rmsnorm"), ("gelu", "gelu_erf", "swiglu"), ("learned", "sinusoidal", "rope", "alibi"),
                                 (None, 2, 1), (True, False), (True, False)))


def pair(dtype, norm="layernorm", mlp="gelu", position="rope", n_kv_head=None, bias=True, tie=True, **more):
    """The same weights, far from their initial values, on both backends."""
    config = GPTConfig(**{"vocab_size": V, "block_size": LENGTH, "n_layer": 2, "n_head": 4, "n_embd": 24, **more},
                       norm=norm, mlp=mlp, position=position, n_kv_head=n_kv_head, bias=bias, tie=tie)
    fast, slow = (Transformer(config, dtype=dtype, backend=backend) for backend in ("fast", "numpy"))
    slow.params.flat[:] += 0.1 * np.random.default_rng(1).standard_normal(slow.params.flat.size)
    fast.params.flat[:] = slow.params.flat
    return fast, slow


def agree(fast, slow, tolerance, pad=0, prompt=3):
    """Token by token, after a prompt that both read in one go, the logits and the caches are the same."""
    ids = np.random.default_rng(2).integers(0, fast.config.vocab_size, (1, fast.config.block_size))
    caches = [model.new_cache(1, pad=np.array([pad])) for model in (fast, slow)]
    for begin, end in [(0, prompt), *((t, t + 1) for t in range(prompt, ids.shape[1]))]:
        actual, expected = (model.step(ids[:, begin:end], kv) for model, kv in zip((fast, slow), caches))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())
        assert actual.dtype == fast.dtype and actual.shape == (1, fast.config.vocab_size)
    assert caches[0].plan is not None and caches[0].length == caches[1].length
    np.testing.assert_allclose(caches[0].keys, caches[1].keys, rtol=0, atol=tolerance * np.abs(caches[1].keys).max())
    np.testing.assert_allclose(caches[0].values, caches[1].values, rtol=0, atol=tolerance * np.abs(caches[1].values).max())


@pytest.mark.parametrize("pad, chosen", [(2, OPTIONS[::7]), *(pytest.param(pad, OPTIONS, marks=pytest.mark.slow) for pad in (0, 2))],
                         ids=["some", "none_before", "two_before"])
def test_every_option_in_float64(pad, chosen):
    """In every seventh of the 288, each value of an option meets each of every other."""
    for options in chosen:
        agree(*pair("float64", *options), 1e-12, pad)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("position", ["rope", "alibi"])
def test_whole_vectors_of_keys(position, dtype, tolerance):
    """Heads and contexts of more than one vector, which take another way through the scores."""
    agree(*pair(dtype, position=position, n_embd=128, block_size=70), tolerance, pad=1, prompt=2)


@pytest.mark.skipif(not converts_halves(), reason="this processor does not convert float16 by vectors")
@pytest.mark.parametrize("options", OPTIONS[::31], ids=str)
def test_weights_that_float16_holds_are_read_as_float16(options):
    fast, slow = pair("float32", *options, n_embd=64)

    def reads_halves(change):
        slow.params.flat[:] = change(slow.params.flat)
        fast.params.flat[:] = slow.params.flat
        agree(fast, slow, 2e-5)
        return decode.decode_plan(fast.config, fast.params, fast.tables, fast._half).flat.dtype == np.uint16

    assert not reads_halves(lambda flat: flat)
    assert reads_halves(lambda flat: flat.astype(np.float16))
    assert reads_halves(lambda flat: 2 * flat)  # not by the copy that was made before
    slow.params.flat[-1] = 0.1
    assert not reads_halves(lambda flat: flat)


@pytest.mark.skipif(not converts_halves(), reason="this processor does not convert float16 by vectors")
def test_a_copy_in_float16_is_exact_or_none(monkeypatch):
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = every[np.isfinite(every)].astype(np.float32)  # the smallest, which have lost their leading one, too
    params = SimpleNamespace(flat=numbers)
    half = decode.half_copy(params)
    np.testing.assert_array_equal(half.view(np.float16), numbers)
    assert decode.half_copy(params, half) is half
    for place, value in ((0, np.nan), (40000, 1e-8), (len(numbers) - 1, 65520.0), (7, 1.0001)):
        other = numbers.copy()
        other[place] = value
        assert decode.half_copy(SimpleNamespace(flat=other), half) is None
    assert decode.half_copy(SimpleNamespace(flat=numbers.astype(np.float64))) is None
    monkeypatch.setattr(decode, "converts_halves", lambda: False)
    assert decode.half_copy(params) is None


@pytest.mark.slow
def test_two_threads_share_a_large_model_to_the_last_bit(monkeypatch):
    monkeypatch.setattr(decode, "LARGE", 0)
    for mlp, dtype, tolerance in (("gelu", "float64", 1e-12), ("swiglu", "float64", 1e-12), ("gelu", "float32", 2e-5)):
        fast, slow = pair(dtype, mlp=mlp, n_embd=40)
        if dtype == "float32":
            for model in (fast, slow):
                model.params.flat[:] = model.params.flat.astype(np.float16)
        agree(fast, slow, tolerance)  # by one thread
        plan = decode.decode_plan(fast.config, fast.params, fast.tables, decode.half_copy(fast.params))
        assert plan.sizes[-1] == 1
        caches = [fast.new_cache(1) for _ in range(2)]
        for t in range(4):
            alone, together = (decode.decode_step(plan, t, kv.keys[:, 0], kv.values[:, 0], t, 0, both) for both, kv in enumerate(caches))
            np.testing.assert_array_equal(alone, together)
        np.testing.assert_array_equal(caches[0].keys, caches[1].keys)


def test_one_thread_reads_where_two_are_slower(monkeypatch):
    clock, begun, seconds = [0.0], [], {False: 1.0, True: 0.6}

    def step(plan, token, keys, values, length, pad, together):
        begun.append(together)
        clock[0] += seconds[together]
        return np.zeros(V)

    monkeypatch.setattr(gpt, "LARGE", 0)
    monkeypatch.setattr(gpt, "RETRY_AFTER", 2)
    monkeypatch.setattr(gpt, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(decode, "decode_step", step)
    model, _ = pair("float32")
    kv = model.new_cache(1)
    for slow in (0.6, 0.6, 0.6, 30.0, 0.6, 0.6, 0.6, 0.6):
        seconds[True] = slow
        model.step(np.array([[1]]), kv)
    assert begun == [False, True, True, True, False, False, True, True]


def test_decoding_may_begin_with_an_empty_cache():
    agree(*pair("float64"), 1e-12, prompt=1)


def test_padding_may_be_read_token_by_token():
    """It sees nothing, of which the kernel would make NaN for whoever reads the cache later."""
    fast, slow = pair("float64")
    caches = [model.new_cache(1, pad=[2]) for model in (fast, slow)]
    for ids in ([[0]], [[0]], [[3]], [[1, 2, 3]]):
        actual, expected = (model.step(np.array(ids), kv) for model, kv in zip((fast, slow), caches))
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("backend", [0, 1])
def test_a_cache_of_other_rows_is_refused(backend):
    model = pair("float32")[backend]
    with pytest.raises(ValueError, match="ids have 1 rows, the cache 2"):
        model.step(np.array([[1]]), model.new_cache(2))


@pytest.mark.parametrize("backend", [0, 1])
@pytest.mark.parametrize("more", [{"n_layer": 1}, {"n_kv_head": 2}, {"n_embd": 16}], ids=str)
def test_a_cache_of_another_shape_is_refused(more, backend):
    """The kernel would write behind its end."""
    with pytest.raises(ValueError, match="the cache is for layers, heads and head size"):
        pair("float32")[backend].step(np.array([[1]]), pair("float32", **more)[backend].new_cache(1))


@pytest.mark.parametrize("pad", [[-1], [0, 1], 0], ids=str)
def test_padding_that_no_row_can_have_is_refused(pad):
    with pytest.raises(ValueError, match="pad has shape"):
        pair("float32")[0].new_cache(1, pad=pad)


def test_a_cache_that_is_used_again_answers_with_the_weights_of_its_reader():
    """Its plan is of the model that it was first used with."""
    fast, slow = pair("float64")
    other = fast.copy()
    other.params.flat[:] *= 0.5
    kv = other.new_cache(1)
    other.step(np.array([[1]]), kv)
    kv.length = 0
    np.testing.assert_allclose(fast.step(np.array([[1]]), kv), slow.step(np.array([[1]]), slow.new_cache(1)), rtol=1e-10)


def test_a_norm_that_the_kernel_does_not_know_goes_layer_by_layer(monkeypatch):
    monkeypatch.setattr(decode, "NORMS", ("rmsnorm",))
    fast, slow = pair("float64")
    kv = fast.new_cache(1)
    np.testing.assert_allclose(fast.step(np.array([[1]]), kv), slow.step(np.array([[1]]), slow.new_cache(1)), rtol=1e-10)
    assert kv.plan is None and kv.length == 1


def test_a_copy_decodes_with_its_own_weights():
    fast, _ = pair("float32")
    before = fast.step(np.array([[1]]), fast.new_cache(1))
    other = fast.copy()
    other.params.flat[:] *= 0.5
    assert not np.allclose(other.step(np.array([[1]]), other.new_cache(1)), before)
    np.testing.assert_array_equal(fast.step(np.array([[1]]), fast.new_cache(1)), before)
