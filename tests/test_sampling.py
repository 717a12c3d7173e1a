"""Sampling: what each filter keeps, that draws follow the distribution, and that generation is the model's own choice."""
import dataclasses
import math

import numpy as np
import pytest

from minigpt.config import GPTConfig, SampleConfig
from minigpt.nn.gpt import Transformer
from minigpt.nn.gradcheck import perturb
from minigpt.sample import sampling
from minigpt.sample.generate import generate

P = np.array([[0.4, 0.3, 0.15, 0.1, 0.05], [0.05, 0.1, 0.15, 0.3, 0.4]])
LOGITS = np.log(P) + np.array([[3.0], [-5.0]])  # a constant per row changes nothing


def reshaped(seen=None, allowed=None, **settings):
    return sampling.distribution(LOGITS, SampleConfig(**settings), seen, allowed)


def test_prompts_of_every_kind_of_integer():
    model = Transformer(GPTConfig(vocab_size=9, block_size=8, n_layer=1, n_head=1, n_embd=8), backend="numpy")
    found = [generate(model, [np.array([1, 2, 3], kind), np.array([4], kind)], SampleConfig(temperature=0.0, max_new_tokens=2))
             for kind in (np.uint64, np.int8, np.int64)]
    assert found[0] == found[1] == found[2] and len(found[0][1].ids) == 2


# The distribution


def test_without_settings_it_is_the_softmax():
    np.testing.assert_allclose(reshaped(), P, rtol=1e-12)


def test_temperature_is_a_power():
    for temperature in (0.5, 2.0):
        powered = P ** (1 / temperature)
        np.testing.assert_allclose(reshaped(temperature=temperature), powered / powered.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(reshaped(temperature=0.0), [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_allclose(reshaped(temperature=1e-300), [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])


@pytest.mark.parametrize("settings, kept", [
    ({"top_k": 1}, 1), ({"top_k": 3}, 3), ({"top_k": 5}, 5), ({"top_k": 50}, 5),
    ({"top_p": 0.01}, 1), ({"top_p": 0.5}, 2), ({"top_p": 0.75}, 3), ({"top_p": 0.86}, 4), ({"top_p": 0.999}, 5),
    ({"min_p": 0.3}, 3), ({"min_p": 0.2}, 4), ({"min_p": 1.0}, 1),
    ({"top_k": 4, "top_p": 0.7}, 2), ({"top_k": 2, "min_p": 0.1}, 2)], ids=str)
def test_filters_keep_the_likeliest(settings, kept):
    """top_p 0.7 after top_k 4: the nucleus is that of the four that are left, 0.4 / 0.95 + 0.3 / 0.95 > 0.7."""
    p = np.where(np.arange(5) < kept, P[0], 0.0)
    p /= p.sum()
    np.testing.assert_allclose(reshaped(**settings), [p, p[::-1]], rtol=1e-12)


@pytest.mark.parametrize("n, k", [(n, k) for n in range(2, 60) for k in range(1, n, 3)])
def test_the_nucleus_is_not_one_token_too_large(n, k):
    """k of n equal tokens reach the sum of k of them, however it is rounded."""
    p = np.full((1, n), 1 / n)
    assert (sampling.keep_top_p(p, np.cumsum(p)[k - 1]) > 0.0).sum() == k


def test_ties_at_the_border_of_top_k_stay():
    z = np.array([[2.0, 1.0, 1.0, 0.0]])
    assert (sampling.keep_top_k(z, 2) > -np.inf).tolist() == [[True, True, True, False]]


def test_repetition_penalty_lowers_both_signs():
    z = np.array([[2.0, -2.0, 1.0, -1.0]])
    np.testing.assert_allclose(sampling.penalise(z, [[0, 1, 1, 0]], 2.0), [[1.0, -4.0, 1.0, -1.0]])
    np.testing.assert_array_equal(sampling.penalise(z, [[1]], 1e308), [[*z[0, :1], -np.finfo(float).max, *z[0, 2:]]])
    np.testing.assert_array_equal(z, [[2.0, -2.0, 1.0, -1.0]])
    np.testing.assert_array_equal(sampling.penalise(z, [[3, 9]], 2.0), [[2.0, -2.0, 1.0, -2.0]])  # 9 can be read, but not written
    np.testing.assert_array_equal(reshaped(seen=[[0], [0]], repetition_penalty=5e-324).sum(axis=1), 1.0)  # no inf - inf
    before, after = reshaped(), reshaped(seen=[[0], [0]], repetition_penalty=1.3)
    assert (after[:, 0] < before[:, 0]).all()


def test_only_allowed_ids_remain():
    np.testing.assert_allclose(reshaped(allowed={1, 3}), [[0, 0.75, 0, 0.25, 0], [0, 0.25, 0, 0.75, 0]])
    for temperature in (0.0, 1.0):  # a penalty that no float can hold does not open what is closed
        p = reshaped(allowed={1, 3}, seen=[[1, 3], [3, 1]], repetition_penalty=1e308, temperature=temperature)
        assert (p[:, [0, 2, 4]] == 0.0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
    for wrong in (set(), {5}, {-1}, {1.5}, 3, iter([3]), np.arange(5) == 3):
        with pytest.raises(ValueError, match="allowed"):
            reshaped(allowed=wrong)


def test_impossible_tokens_stay_impossible_and_nan_is_refused():
    z = np.array([[0.0, -np.inf, 1.0]], np.float32)
    for settings in ({}, {"top_k": 3}, {"top_p": 0.99}, {"repetition_penalty": 2.0}, {"temperature": 0.0}):
        assert sampling.distribution(z, SampleConfig(**settings), seen=[[1]])[0, 1] == 0.0
    with pytest.raises(ValueError, match="NaN"):
        sampling.distribution(z * np.nan, SampleConfig())


@pytest.mark.parametrize("setting, value", [("temperature", -0.1), ("temperature", math.nan), ("temperature", math.inf),
                                            ("top_k", -1), ("top_p", 0.0), ("top_p", 1.1), ("min_p", -0.1), ("min_p", 1.1),
                                            ("repetition_penalty", 0.0), ("max_new_tokens", -1)])
def test_settings_that_mean_nothing_are_refused(setting, value):
    with pytest.raises(ValueError, match=setting):
        SampleConfig(**{setting: value})


def test_draws_follow_the_distribution():
    """Chi-squared over 20,000 draws: 4 degrees of freedom, 23.5 has a false-alarm rate of 1e-4 (the seed is fixed)."""
    n = 20_000
    drawn = sampling.draw(np.repeat(P[:1], n, axis=0), np.random.default_rng(0).random(n))
    observed = np.bincount(drawn, minlength=5)
    assert ((observed - n * P[0]) ** 2 / (n * P[0])).sum() < 23.5


def test_a_draw_never_takes_an_impossible_token():
    p = np.array([[0.0, 0.5, 0.0, 0.5, 0.0]])
    got = [int(sampling.draw(p, np.array([u]))[0]) for u in (0.0, 0.25, 0.5, 0.75, 1 - 2**-53)]
    assert got == [1, 1, 3, 3, 3]


# Generation


CONFIG = GPTConfig(vocab_size=13, block_size=12, n_layer=2, n_head=2, n_embd=16, position="rope")
PROMPTS = [[1, 2, 3], [4, 5, 6, 7, 8, 9], [10], [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]]
GREEDY = SampleConfig(max_new_tokens=6, temperature=0.0)


def model_of(position="rope", backend="numpy"):
    model = Transformer(dataclasses.replace(CONFIG, position=position), dtype="float64", backend=backend)
    return perturb(model, np.random.default_rng(1), 0.5)


def greedy_by_hand(model, prompt, n):
    ids, logps = list(prompt), []
    for _ in range(min(n, 12 - len(prompt))):
        logits = model.forward(np.array([ids]))[0][0, -1]
        ids.append(int(logits.argmax()))
        logps.append(logits.max() - math.log(sum(math.exp(z) for z in logits)))
    return ids[len(prompt):], logps


both_backends = pytest.mark.parametrize("backend", ["numpy", "fast"])


@both_backends
@pytest.mark.parametrize("position", ["learned", "rope", "alibi", "sinusoidal"])
def test_greedy_generation_is_the_argmax_of_the_full_forward(position, backend):
    """Ragged prompts side by side, one of which almost fills the context."""
    model = model_of(position, backend)
    for row, prompt in zip(generate(model, PROMPTS, dataclasses.replace(GREEDY, max_new_tokens=20)), PROMPTS, strict=True):
        ids, logps = greedy_by_hand(model, prompt, 20)
        assert row.ids == ids and row.finish == "length" and len(prompt) + len(ids) == 12
        np.testing.assert_allclose(row.logprobs, logps, rtol=1e-9)


@both_backends
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_row_does_not_depend_on_its_neighbours(temperature, backend):
    model, config = model_of(backend=backend), dataclasses.replace(GREEDY, temperature=temperature, seed=5)
    together = generate(model, PROMPTS, config)
    for place, prompt in enumerate(PROMPTS):
        alone = generate(model, [[7, 7]] * place + [prompt], config)[place]
        assert alone.ids == together[place].ids
        np.testing.assert_allclose(alone.logprobs, together[place].logprobs, rtol=1e-9)


def test_generation_penalises_the_prompt_and_what_was_written():
    model, config = model_of(), dataclasses.replace(GREEDY, repetition_penalty=5.0)
    rows = generate(model, PROMPTS, config)
    for row, prompt in zip(rows, PROMPTS, strict=True):
        ids = list(prompt)
        for token in row.ids:
            logits = model.forward(np.array([ids]))[0][:, -1]
            assert token == sampling.distribution(logits, config, [ids])[0].argmax()
            ids.append(token)
    assert [row.ids for row in rows] != [row.ids for row in generate(model, PROMPTS, GREEDY)]


@pytest.mark.parametrize("size", [0, -1, CONFIG.vocab_size + 1])
def test_a_vocabulary_that_the_model_does_not_have_is_refused(size):
    with pytest.raises(ValueError, match=f"vocab_size is {size}"):
        generate(model_of(), PROMPTS, GREEDY, vocab_size=size)


def test_ids_without_a_token_are_never_drawn():
    """A model may have more rows than its tokenizer has tokens. The probabilities stay those of the whole distribution."""
    model, known = model_of(), CONFIG.vocab_size // 3
    for config in (GREEDY, dataclasses.replace(GREEDY, temperature=2.0, seed=1), dataclasses.replace(GREEDY, repetition_penalty=1.5)):
        prompts = [[i % known for i in prompt] for prompt in PROMPTS]
        free, rows = generate(model, prompts, config), generate(model, prompts, config, vocab_size=known)
        assert max(i for row in free for i in row.ids) >= known > max(i for row in rows for i in row.ids)
        for row in rows:
            logits = model.forward(np.array([row.prompt + row.ids]))[0][0, len(row.prompt) - 1 : -1]
            expected = [sampling.distribution(z[None], SampleConfig())[0, i] for z, i in zip(logits, row.ids, strict=True)]
            np.testing.assert_allclose(np.exp(row.logprobs), expected, rtol=1e-6)


@both_backends
def test_stop_may_be_any_iterable(backend):
    model = model_of(backend=backend)
    ends = {row.ids[-1] for row in generate(model, PROMPTS, GREEDY)}
    assert generate(model, PROMPTS, GREEDY, stop=iter(ends)) == generate(model, PROMPTS, GREEDY, stop=ends) != generate(model, PROMPTS, GREEDY)


@both_backends
def test_a_stop_token_ends_its_row_and_is_not_part_of_it(backend):
    """Every id in turn: rows with different padding end at different times, and the others go on as before."""
    model, ended = model_of(backend=backend), 0
    free = generate(model, PROMPTS, GREEDY)
    for stop in range(CONFIG.vocab_size):
        for row, before in zip(generate(model, PROMPTS, GREEDY, stop={stop}), free, strict=True):
            if stop in before.ids:
                cut = before.ids.index(stop)
                assert row.ids == before.ids[:cut] and row.finish == "stop" and len(row.logprobs) == cut + 1
                ended += cut < len(before.ids) - 1
            else:
                assert row.ids == before.ids and row.finish == "length"
            np.testing.assert_allclose(row.logprobs, before.logprobs[: len(row.logprobs)], rtol=1e-9)
    assert ended > 5


def test_a_seed_repeats_and_another_does_not():
    model, config = model_of(), SampleConfig(max_new_tokens=8, temperature=2.0, seed=1)
    one, same, other = (generate(model, [[1, 2]] * 4, c) for c in (config, config, dataclasses.replace(config, seed=2)))
    assert [r.ids for r in one] == [r.ids for r in same] != [r.ids for r in other]
    assert len({tuple(r.ids) for r in one}) > 1, "equal prompts in one batch draw their own tokens"


def test_allowed_ids_and_callbacks():
    model, heard = model_of(), []
    rows = generate(model, PROMPTS[:3], GREEDY, allowed=lambda ids: {len(ids), 12}, on_token=lambda row, token: heard.append((row, token)))
    for number, row in enumerate(rows):
        assert all(token in (place, 12) for place, token in enumerate(row.ids))
        assert [token for r, token in heard if r == number] == row.ids


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("backend", ["numpy", "fast"])
def test_damaged_weights_write_nothing(backend, temperature):
    model = Transformer(CONFIG, backend=backend)
    model.params["wte.weight"][7] = np.nan
    with pytest.raises(ValueError, match="damaged"):
        generate(model, [[1, 2]], dataclasses.replace(GREEDY, temperature=temperature))


def test_nothing_to_do_and_too_much():
    model = model_of()
    assert generate(model, [], GREEDY) == []
    assert generate(model, [[1]], dataclasses.replace(GREEDY, max_new_tokens=0))[0].ids == []
    for prompt in ([], [1] * 13):
        with pytest.raises(ValueError, match="context's 12"):
            generate(model, [prompt], GREEDY)
