"""The whole model: its gradient, what it may see, its cached decoding, and that it learns."""
import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest

from minigpt.config import ARCHITECTURES, PRESETS, GPTConfig
from minigpt.nn import layers, losses
from minigpt.nn.backend import get_ops
from minigpt.nn.gpt import Transformer, transformer_specs
from minigpt.nn.gradcheck import TOLERANCE, check_model, perturb
from minigpt.nn.layers import MLPS, NORMS, POSITIONS
from minigpt.nn.params import Params, Spec
from tests import naive

SMALL = GPTConfig(vocab_size=11, block_size=9, n_layer=2, n_head=4, n_kv_head=2, n_embd=24, position="rope")
every_backend = pytest.mark.parametrize("backend", ("numpy", "fast"))
every_position = pytest.mark.parametrize("position", POSITIONS)


def decoded(model, ids):
    """The last logits (V,) of one row of ids (1, T), read one by one."""
    kv = model.new_cache(1)
    return [model.step(ids[:, [t]], kv) for t in range(ids.shape[1])][-1][0]


def combinations():
    """Every norm x MLP x position; the yes/no options change from one to the next, so that each meets each."""
    for i, (norm, mlp, position) in enumerate(itertools.product(NORMS, MLPS, POSITIONS)):
        bits = [bool((i * 7 + i // 4) >> shift & 1) for shift in range(4)]
        yield dataclasses.replace(SMALL, norm=norm, mlp=mlp, position=position, tie=bits[0], bias=bits[1],
                                  n_kv_head=2 if bits[2] else None, dropout=0.2 if bits[3] else 0.0)


def name_of(config):
    flags = [name for name, on in (("tied", config.tie), ("bias", config.bias), ("grouped", config.n_kv_head),
                                   ("dropout", config.dropout)) if on]
    return "-".join([config.norm, config.mlp, config.position, *flags])


def model_of(config=SMALL, backend="numpy", dtype="float64", **options):
    """A model whose parameters are far from where they start."""
    model = Transformer(config, seed=1, dtype=dtype, backend=backend, **options)
    return perturb(model, np.random.default_rng(2))


def text(*shape, below=SMALL.vocab_size, seed=3):
    return np.random.default_rng(seed).integers(0, below, shape)


def starts_of(*rows):
    """Lengths of the documents in each row -> starts (B, T)"""
    return np.array([[begin for begin, length in zip(np.cumsum([0, *row]), row) for _ in range(length)] for row in rows])


@pytest.mark.parametrize("backend", ["numpy", "fast"])
@pytest.mark.parametrize("wrong", [[[0, -1, 0]], [[0, 2, 0]], [[0, 0]], [0, 0, 0], [[0, 2**32, 0]], [[0.0, 0.9, 1.9]]])
def test_starts_that_lie_elsewhere_are_refused(wrong, backend):
    with pytest.raises(ValueError, match="starts"):
        Transformer(SMALL, backend=backend).forward(text(1, 3), np.array(wrong))


# The gradient of everything


@pytest.mark.parametrize("config, backend", [  # the definition in every combination, the kernels in every third
    pytest.param(config, backend, id=f"{name_of(config)}-{backend}", marks=pytest.mark.slow if backend == "fast" and i % 3 else ())
    for i, config in enumerate(combinations()) for backend in ("numpy", "fast")])
def test_gradient_of_every_parameter(config, backend):
    model = model_of(config, backend)
    ids, targets = text(3, 7), text(3, 7, seed=4)
    mask = np.arange(21).reshape(3, 7) % 4 != 2
    starts = starts_of((3, 4), (7,), (1, 1, 5))

    def loss(model, backward):
        rng = np.random.default_rng(5) if config.dropout else None  # the same values are dropped at every call
        logits, cache = model.forward(ids, starts, rng)
        value, dlogits, _ = losses.cross_entropy(logits, targets, mask, ops=model.ops)
        if backward:
            model.backward(dlogits, cache)
        return value

    errors = check_model(model, loss, np.random.default_rng(6))
    assert set(errors) == set(model.params)
    assert all(error <= TOLERANCE for error in errors.values()), max(errors.items(), key=lambda item: item[1])
    assert all(np.abs(model.grads[name]).max() > 1e-8 for name in errors), "a gradient that is all zero proves nothing"


def test_gradient_check_covers_every_option():
    seen = list(combinations())
    assert len(seen) == len(NORMS) * len(MLPS) * len(POSITIONS)
    for first, second in itertools.combinations(("tie", "bias", "n_kv_head", "dropout"), 2):
        assert len({(bool(getattr(c, first)), bool(getattr(c, second))) for c in seen}) == 4


@every_backend
def test_gradients_are_added_and_go_where_they_are_told(backend):
    model = model_of(backend=backend)
    logits, cache = model.forward(text(2, 5))
    dlogits = np.random.default_rng(0).standard_normal(logits.shape)
    model.backward(dlogits, cache)
    once, buffer = model.grads.copy(), model.params.zeros()
    rounding = 1e-12 if backend == "fast" else 0.0  # the block's kernels add term by term to what is there
    model.backward(dlogits, cache)
    np.testing.assert_allclose(model.grads.flat, 2 * once.flat, rtol=1e-12, atol=rounding)
    model.backward(dlogits, cache, buffer)
    np.testing.assert_array_equal(buffer.flat, once.flat)
    np.testing.assert_allclose(model.grads.flat, 2 * once.flat, rtol=1e-12, atol=rounding)


@every_backend
@pytest.mark.parametrize("config", list(combinations())[::7], ids=name_of)
def test_positions_that_count_are_computed_as_among_all(config, backend):
    """Hidden states of some positions, and the gradient from these alone, equal those of all where the others get no gradient."""
    model = model_of(dataclasses.replace(config, dropout=0.0), backend)
    ids, starts, kept = text(3, 7), starts_of((3, 4), (7,), (1, 1, 5)), np.array([0, 5, 6, 13, 20])
    whole, cache = model.forward_hidden(ids, starts)
    some, some_cache = model.forward_hidden(ids, starts, kept=kept)
    dsome, dwhole = np.random.default_rng(0).standard_normal(some.shape), np.zeros_like(whole)
    dwhole.reshape(-1, whole.shape[-1])[kept] = dsome
    from_whole, from_some = model.params.zeros(), model.params.zeros()
    model.backward_hidden(dwhole, cache, from_whole)
    model.backward_hidden(dsome, some_cache, from_some)
    np.testing.assert_allclose(some, whole.reshape(-1, whole.shape[-1])[kept], rtol=0, atol=1e-12)
    np.testing.assert_allclose(from_some.flat, from_whole.flat, rtol=0, atol=1e-12 * np.abs(from_whole.flat).max())


@every_backend
def test_float32_model_stays_float32(backend):
    for position in POSITIONS:
        model = Transformer(dataclasses.replace(SMALL, position=position, dropout=0.1), backend=backend)
        logits, cache = model.forward(text(2, 5), starts_of((2, 3), (5,)), np.random.default_rng(0))
        value, dlogits, _ = losses.cross_entropy(logits, text(2, 5), ops=model.ops)
        model.backward(dlogits, cache)
        assert logits.dtype == dlogits.dtype == model.grads.flat.dtype == np.float32 and isinstance(value, float)
        assert model.step(text(2, 3), model.new_cache(2)).dtype == np.float32


@pytest.mark.parametrize("config", list(combinations())[::5], ids=name_of)
def test_backends_agree(config):
    config = dataclasses.replace(config, block_size=100, dropout=0.0)
    ids, starts = text(2, 90), starts_of((40, 50), (90,))
    results = []
    for options in ({"backend": "numpy"}, {"backend": "fast"}, {"backend": "fast", "matmul": "blas"}):
        model = model_of(config, **options)
        logits, cache = model.forward(ids, starts)
        model.backward(np.random.default_rng(0).standard_normal(logits.shape), cache)
        results.append((logits, model.grads.flat))
    for logits, grads in results[1:]:
        np.testing.assert_allclose(logits, results[0][0], rtol=0, atol=1e-11 * np.abs(results[0][0]).max())
        np.testing.assert_allclose(grads, results[0][1], rtol=0, atol=1e-11 * np.abs(results[0][1]).max())


# The right function


@pytest.mark.parametrize("config", [pytest.param(config, marks=pytest.mark.slow if i % 3 else ()) for i, config in enumerate(combinations())],
                         ids=[name_of(config) for config in combinations()])
def test_logits_agree_with_scalar_loops(config):
    """Gradients can be right for a wrong function: a norm in the wrong place, values taken for keys, a sign of a position."""
    model, ids = model_of(dataclasses.replace(config, rope_theta=300.0, norm_eps=0.1)), text(2, 7)
    logits, _ = model.forward(ids)
    p = {name: view.tolist() for name, view in model.params.items()}
    for row in range(2):
        expected = np.array(naive.transformer(p, model.config, ids[row].tolist()))
        np.testing.assert_allclose(logits[row], expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_the_bill():
    """6 operations per weight of a matrix product (2 forward, 4 backward), 12 C per layer and visible position; PaLM, appendix B."""
    config = dataclasses.replace(SMALL, n_kv_head=None, bias=True)
    C, L, V = config.n_embd, config.n_layer, config.vocab_size
    matrices = L * (C * 3 * C + C * C + 2 * C * 4 * C) + V * C
    for tie in (True, False):
        model = Transformer(dataclasses.replace(config, tie=tie), backend="numpy")
        assert model.flops_per_token(5) == 6 * matrices + 12 * L * C * 5
        assert model.flops_per_token() == 6 * matrices + 12 * L * C * config.block_size


# What a position may see


@every_backend
@every_position
def test_the_future_cannot_be_seen(backend, position):
    model = model_of(dataclasses.replace(SMALL, position=position), backend)
    ids = text(2, 9)
    before, _ = model.forward(ids)
    for t in range(9):
        changed = ids.copy()
        changed[:, t] = (changed[:, t] + 1) % SMALL.vocab_size
        after, _ = model.forward(changed)
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (np.abs(after[:, t:] - before[:, t:]).max(axis=-1) > 1e-9).all(), "every later position sees the change"


@every_backend
@every_position
def test_packed_documents_equal_separate_ones(backend, position):
    """Values and gradients: neighbours in a row do not see each other, and positions begin anew."""
    model = model_of(dataclasses.replace(SMALL, position=position), backend)
    lengths = ((4, 3, 2), (9,), (1, 2, 6))
    ids, dlogits = text(3, 9), np.random.default_rng(0).standard_normal((3, 9, SMALL.vocab_size))
    packed, cache = model.forward(ids, starts_of(*lengths))
    model.backward(dlogits, cache)
    separate = model.params.zeros()
    for row, lengths_of_row in enumerate(lengths):
        ends = np.cumsum(lengths_of_row)
        for begin, end in zip(ends - lengths_of_row, ends, strict=True):
            logits, cache = model.forward(ids[row : row + 1, begin:end])
            np.testing.assert_allclose(packed[row, begin:end], logits[0], rtol=0, atol=1e-12 * np.abs(packed).max())
            model.backward(dlogits[row : row + 1, begin:end], cache, separate)
    np.testing.assert_allclose(model.grads.flat, separate.flat, rtol=0, atol=1e-12 * np.abs(separate.flat).max())


@every_position
def test_positions_matter(position):
    """Without them, attention reads a bag of words: the last logits would not notice a swap of two earlier tokens."""
    model = model_of(dataclasses.replace(SMALL, position=position, n_layer=1))
    logits, _ = model.forward(np.array([[1, 2, 3, 4], [2, 1, 3, 4]]))
    assert np.abs(logits[0, -1] - logits[1, -1]).max() > 1e-3


# Decoding with a cache


@every_backend
@every_position
@pytest.mark.parametrize("pieces", [(1,) * 9, (5, 1, 1, 2), (9,)], ids=str)
def test_cached_decoding_equals_the_full_forward(backend, position, pieces):
    model = model_of(dataclasses.replace(SMALL, position=position), backend)
    ids = text(3, 9)
    full, _ = model.forward(ids)
    kv, begin = model.new_cache(3), 0
    for size in pieces:
        logits = model.step(ids[:, begin : begin + size], kv)
        begin += size
        np.testing.assert_allclose(logits, full[:, begin - 1], rtol=0, atol=1e-12 * np.abs(full).max())


@every_backend
def test_a_full_cache_is_refused_before_it_is_written(backend):
    model = model_of(backend=backend)
    kv = model.new_cache(1, 4)
    model.step(text(1, 3), kv)
    model.step(text(1, 1), kv)
    before = kv.keys.copy()
    for size in (1, 2):
        with pytest.raises(ValueError, match=f"the cache holds 4 tokens, 4 are in it and {size} come"):
            model.step(text(1, size), kv)
    np.testing.assert_array_equal(kv.keys, before)


@every_backend
@every_position
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("pieces", [(4, 1, 1, 1, 1), (2, 3, 1, 2), (1,) * 8], ids=str)
def test_left_padded_rows_decode_as_if_alone(backend, position, pieces, dtype, tolerance):
    model = model_of(dataclasses.replace(SMALL, position=position), backend, dtype)
    pad, ids = np.array([0, 3, 1]), text(3, 8)
    kv, begin, seen = model.new_cache(3, 8, pad), 0, 0
    for size in pieces:
        logits = model.step(ids[:, begin : begin + size], kv)
        begin += size
        for row in range(3):
            if begin > pad[row]:
                alone, _ = model.forward(ids[row : row + 1, pad[row] : begin])
                np.testing.assert_allclose(logits[row], alone[0, -1], rtol=0, atol=tolerance * np.abs(alone).max())
                seen += 1
    assert seen > len(pieces)


# Starting and learning


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("preset", [pytest.param(name, marks=pytest.mark.slow if name == "mini" else ()) for name in PRESETS])
def test_initial_loss_is_that_of_a_guess(preset, architecture):
    config = dataclasses.replace(PRESETS[preset], **ARCHITECTURES[architecture])
    model = Transformer(config, backend="numpy")
    logits, _ = model.forward(text(4, 32, below=config.vocab_size))
    loss, _, _ = losses.cross_entropy(logits, text(4, 32, below=config.vocab_size, seed=4))
    assert abs(loss / math.log(config.vocab_size) - 1.0) < 0.02


@every_backend
@pytest.mark.parametrize("architecture", ["default", *(pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES if name != "default")])
def test_one_batch_can_be_learned_by_heart(architecture, backend):
    config = GPTConfig(vocab_size=50, block_size=16, n_layer=2, n_head=2, n_embd=32, **ARCHITECTURES[architecture])
    model = Transformer(config, backend=backend)
    ids = text(4, 17, below=50)
    m, v = model.params.zeros().flat, model.params.zeros().flat
    for step in range(1, 151):
        model.grads.flat[:] = 0.0
        logits, cache = model.forward(ids[:, :-1])
        loss, dlogits, _ = losses.cross_entropy(logits, ids[:, 1:], ops=model.ops)
        model.backward(dlogits, cache)
        model.ops.adamw_update(model.params.flat, model.grads.flat, m, v, 5e-3, 0.9, 0.95, 1e-8, 0.0, step)
    assert loss < 0.05


def test_initial_weights_and_what_decays():
    """GPT-2's: 0.02, the two projections into the residual path smaller by sqrt(2 L), gains 1, biases 0; matrices decay."""
    model = Transformer(GPTConfig(vocab_size=300, block_size=200, n_layer=3, n_embd=64), backend="numpy")
    for spec in model.params.specs:
        values, matrix = model.params[spec.name], len(spec.shape) == 2
        std = 0.02 / math.sqrt(6) if "c_proj.weight" in spec.name else 0.02 if matrix else 0.0
        mean = 1.0 if ".ln_" in f".{spec.name}" and spec.name.endswith("weight") else 0.0
        assert abs(values.mean() - mean) < 0.001 and abs(values.std() - std) < 0.05 * std + 1e-9, spec.name
        assert spec.decay == matrix, spec.name


def test_names_and_number_of_gpt2s_parameters():
    specs = transformer_specs(GPTConfig(50257, 1024, 12, 12, 768))
    assert sum(math.prod(spec.shape) for spec in specs) == 124_439_808
    assert [spec.name for spec in specs][:4] == ["wte.weight", "wpe.weight", "h.0.ln_1.weight", "h.0.ln_1.bias"]
    assert {spec.name: spec.shape for spec in specs}["h.11.attn.c_attn.weight"] == (768, 2304)


def test_position_formulas():
    config = dataclasses.replace(SMALL, n_head=4, n_embd=24, rope_theta=500.0)
    angles, table, slopes = layers.rope_angles(config), layers.sinusoidal_table(config), layers.alibi_slopes(config)
    for t in range(config.block_size):
        for i in range(3):  # head size 6
            assert math.isclose(angles[t, i], t * 500.0 ** (-2 * i / 6))
        for i in range(12):
            angle = t / 10000 ** (2 * i / 24)
            np.testing.assert_allclose(table[t, 2 * i : 2 * i + 2], [0.02 * math.sin(angle), 0.02 * math.cos(angle)])
    np.testing.assert_allclose(slopes, [1 / 4, 1 / 16, 1 / 64, 1 / 256])


def test_rope_sees_distances_only():
    """Equal tokens at equal distances, 200 positions later: the same scores up to rounding of the angles."""
    tables = Transformer(dataclasses.replace(SMALL, block_size=300), backend="numpy", dtype="float64").tables
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 1, 1, 1, 6))
    turn = get_ops("numpy").rope_forward

    def score(at, distance):
        return (turn(q, tables.cos[at][None], tables.sin[at][None])[0] * turn(k, tables.cos[at - distance][None], tables.sin[at - distance][None])[0]).sum()

    for distance in (0, 1, 7, 50):
        assert abs(score(60, distance) - score(260, distance)) < 1e-12
    assert abs(score(60, 1) - score(60, 7)) > 1e-3


def test_a_seed_fixes_the_weights():
    one, same, other = (Transformer(SMALL, seed=seed, backend="numpy").params.flat for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@every_backend
@pytest.mark.parametrize("table, name", [(MLPS, "gelu"), (NORMS, "layernorm")])
def test_a_part_that_was_replaced_is_used(table, name, backend, monkeypatch):
    """Also where kernels would stand for the one that it replaces, in training and in decoding."""
    config, ids = dataclasses.replace(PRESETS["nano"], vocab_size=11), np.array([[1, 2, 3]])
    reads, theirs = (lambda model: model.forward(ids)[0][0, -1], lambda model: decoded(model, ids)), table[name].forward
    before = [read(Transformer(config, backend=backend)) for read in reads]
    monkeypatch.setitem(table, name, table[name]._replace(forward=lambda *arguments: (2 * theirs(*arguments)[0], None)))
    for read, logits in zip(reads, before):
        assert np.abs(read(Transformer(config, backend=backend)) - logits).max() > 1e-3


# Memory


@pytest.mark.parametrize("copied", [Transformer.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_shares_no_memory(copied):
    model = model_of()
    before, _ = model.forward(text(2, 5))
    other = copied(model)
    np.testing.assert_array_equal(other.forward(text(2, 5))[0], before)
    assert not np.shares_memory(other.params.flat, model.params.flat)
    assert not np.shares_memory(other.grads.flat, model.grads.flat)
    other.params.flat += 1.0
    assert (other.params["wte.weight"] == model.params["wte.weight"] + 1.0).all()
    other.grads.flat[:] = 1.0
    np.testing.assert_array_equal(model.forward(text(2, 5))[0], before)
    assert not model.grads.flat.any()


def test_names_are_windows_into_one_buffer():
    """Writing through a name reaches the buffer, and never puts another array in the name's place."""
    model = model_of()
    for name, view in model.params.items():
        assert np.shares_memory(view, model.params.flat) and view.ctypes.data % 64 == 0
        model.params[name] = np.full(view.shape, 2.0)
        model.params[name] += 1.0
        assert model.params[name] is view and (view == 3.0).all()
    assert model.params.count() == sum(view.size for view in model.params.values()) == int((model.params.flat == 3.0).sum())
    for wrong in (np.zeros(3), model.params["wte.weight"][0].copy()):  # one row, which NumPy would repeat
        with pytest.raises(ValueError, match="wte.weight has shape"):
            model.params["wte.weight"] = wrong


def test_views_are_aligned_and_close_together():
    for n in range(1, 70):
        params = Params([Spec("a", (n,)), Spec("b", (3, n)), Spec("c", (2,))])
        assert all(view.ctypes.data % 64 == 0 for view in params.values())
        assert params.flat.nbytes <= 4 * params.count() + 3 * 63
    with pytest.raises(ValueError, match="'a'"):
        Params([Spec("a", (1,)), Spec("a", (2,))])


@pytest.mark.parametrize("ids, word", [
    (np.zeros((1, 10), int), "context"), (np.zeros((1, 0), int), "integers"), (np.zeros(3, int), "integers"),
    (np.zeros((1, 3)), "integers"), (np.array([[0, 11]]), "id 11 "), (np.array([[0, -1]]), "id -1 ")])
def test_wrong_ids_are_refused_in_one_line(ids, word):
    with pytest.raises(ValueError, match=word) as error:
        model_of().forward(ids)
    assert "\n" not in str(error.value)
