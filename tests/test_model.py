"""GPT and InstructGPT: what a reader of the README calls."""
import dataclasses
import inspect
import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

import minigpt
from minigpt.__main__ import main
from minigpt.config import GPTConfig, SampleConfig
from minigpt.model import GPT, InstructGPT
from minigpt.nn.gradcheck import perturb
from minigpt.text.template import SPECIAL_TOKENS, render
from minigpt.text.tokenizer import Tokenizer

CONFIG = GPTConfig(vocab_size=300, block_size=40, n_layer=2, n_head=2, n_embd=16, position="rope")


@pytest.fixture(scope="module")
def tok():
    return Tokenizer.train(["Mary reads a book. 玛丽读一本书。 " * 5], 300, SPECIAL_TOKENS, split="han")


@pytest.fixture(scope="module")
def model():
    return perturb(GPT(CONFIG, backend="numpy"), np.random.default_rng(1), 0.3)


def say(*contents):
    """A conversation of user and assistant in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def test_a_saved_model_comes_back(tmp_path, model, tok):
    model.save_pretrained(tmp_path, tok)
    same = GPT.from_pretrained(tmp_path, backend="numpy")
    assert same.config == model.config == GPTConfig.from_pretrained(tmp_path)
    np.testing.assert_array_equal(same.params.flat, model.params.flat)
    assert GPT.from_pretrained(tmp_path, config=CONFIG, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="n_layer=2.*n_layer=3"):
        GPT.from_pretrained(tmp_path, config=dataclasses.replace(CONFIG, n_layer=3))
    bot = InstructGPT.from_pretrained(tmp_path, backend="numpy")
    assert bot.answer("Who reads?", max_new_tokens=5) == InstructGPT(model, tok).answer("Who reads?", max_new_tokens=5)


def test_generate_returns_the_prompt_and_what_follows(model, tok):
    ids = tok.encode("Mary reads", return_tensors="np")
    out = model.generate(ids, max_new_tokens=6, temperature=0.0)
    assert out.dtype == np.int32 and out.shape == (1, ids.shape[1] + 6)
    np.testing.assert_array_equal(out[:, : ids.shape[1]], ids)
    for t in range(ids.shape[1], out.shape[1]):
        assert out[0, t] == model.forward(out[:, :t])[0][0, -1].argmax()
    np.testing.assert_array_equal(model.generate(ids, 6, temperature=1.0, seed=1), model.generate(ids, 6, temperature=1.0, seed=1))
    np.testing.assert_array_equal(model.generate(ids, 6), model.generate(ids, 6, temperature=0.0))
    assert model.generate(ids[:, :1], stop=()).shape == (1, 33)  # 32 new tokens, where nothing else is said
    for wrong, message in ((ids[0], "return_tensors"), ([[1, 2, 3], [1, 2]], "different lengths")):
        with pytest.raises(ValueError, match=message):
            model.generate(wrong)
    for stop in (".", ["."], 5, [1.0], np.array([True])):
        with pytest.raises(ValueError, match="it is a list of ids"):
            model.generate(ids, stop=stop)


def test_generate_takes_every_setting_of_a_sample(model):
    """By its name, with the default of SampleConfig but for the temperature and the length."""
    taken = {name: parameter.default for name, parameter in inspect.signature(model.generate).parameters.items()}
    assert taken == {"ids": inspect.Parameter.empty, **dataclasses.asdict(SampleConfig()), "max_new_tokens": 32, "temperature": 0.0, "stop": None}
    ids = np.zeros((1, 3), int)
    free = model.generate(ids, 8, temperature=2.0, seed=1)
    for setting in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        np.testing.assert_array_equal(model.generate(ids, 8, temperature=2.0, seed=1, **setting), model.generate(ids, 8))
    for setting in ({"temperature": 0.5}, {"repetition_penalty": 9.0}, {"seed": 2}):
        assert (model.generate(ids, 8, **{"temperature": 2.0, "seed": 1, **setting}) != free).any()


def test_rows_that_stop_early_are_filled_with_their_stop_token(model):
    ids = np.arange(12, dtype=np.int32).reshape(3, 4)
    free = model.generate(ids, 8, temperature=0.0)
    stop = int(free[0, 6])
    out = model.generate(ids, 8, stop={stop}, temperature=0.0)
    for row, before in zip(out, free, strict=True):
        after = list(before[4:])
        end = after.index(stop) if stop in after else len(after)
        np.testing.assert_array_equal(row[4 : 4 + end], before[4 : 4 + end])
        assert (row[4 + end :] == stop).all()


def test_answers_are_what_follows_the_template(model, tok):
    bot = InstructGPT(model, tok)
    ids = bot.prompt(say("Who reads?"))
    assert tok.decode(ids) == "<|user|> Who reads?<|end|><|assistant|>"
    out = model.generate(np.array([ids]), 6, stop=bot.stop, temperature=0.0)[0, len(ids) :]
    assert bot.answer("Who reads?", max_new_tokens=6) == tok.decode(out.tolist(), skip_special_tokens=True).strip()
    together = bot.answers([say("Who reads?"), say("a book", "Yes.", "玛丽")], max_new_tokens=6)
    assert together == [bot.answer("Who reads?", max_new_tokens=6), bot.chat(say("a book", "Yes.", "玛丽"), max_new_tokens=6)]


def test_a_reply_is_streamed_in_whole_characters(tok):
    """A model that can only spell one character, byte by byte: the first two bytes show nothing."""
    class Speller(GPT):
        def step(self, ids, kv):
            logits = np.full((len(ids), 300), -1e9, np.float32)
            kv.length += ids.shape[1]
            text = " x象".encode()
            logits[:, text[min(self.said, len(text) - 1)]] = 0.0
            self.said += 1
            return logits

    bot, pieces = InstructGPT(Speller(CONFIG, backend="numpy"), tok), []
    bot.model.said = 0
    assert bot.chat(say("Who?"), on_text=pieces.append, max_new_tokens=5) == "x象" == "".join(pieces)
    assert pieces == ["x", "象"]


def test_a_long_conversation_loses_its_oldest_turns(model, tok):
    bot = InstructGPT(model, tok)
    turns = say(*(f"turn {n}" for n in range(9)))
    kept = tok.decode(bot.prompt(turns, reserve=8))
    assert "turn 8" in kept and "turn 0" not in kept and kept.startswith("<|user|>")
    system = {"role": "system", "content": "Be kind."}
    kept = tok.decode(bot.prompt([system, *turns], reserve=8))
    assert kept.startswith("<|system|> Be kind.<|end|><|user|>") and "turn 8" in kept
    for first, reserve in itertools.product(([], [system]), range(12)):  # as few pairs are dropped as make room, and all of the rest is there
        shorter = (first + turns[2 * n :] for n in range(5))
        fits = next(ids for messages in shorter if len(ids := render(messages, tok, add_generation_prompt=True)[0]) + min(reserve, 10) <= 40)
        assert bot.prompt(iter([*first, *turns]), reserve) == fits
    with pytest.raises(ValueError, match="context is 40"):
        bot.prompt(say("very " * 60))


def test_what_remains_of_a_conversation_begins_with_a_question(model, tok):
    """Whatever the system has said stays, and no answer loses its question."""
    bot = InstructGPT(model, tok)
    rules = [{"role": "system", "content": text} for text in ("Be kind.", "Be brief.")]
    for first in (rules, rules[:1], []):
        spoken = [*first, {"role": "assistant", "content": "Hello."}, *say(*(f"turn {n}" for n in range(9)))]
        kept = tok.decode(bot.prompt(spoken, reserve=8))
        beginning = "".join(f"<|system|> {rule['content']}<|end|>" for rule in first)
        assert kept.startswith(beginning + "<|user|>") and "turn 8" in kept and "Hello" not in kept


@pytest.mark.parametrize("messages", ["hi", {"role": "user", "content": "hi"}, [{"role": "user"}], [{"content": "hi"}],
                                      [{"role": "user", "content": None}], [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]])
def test_what_is_no_conversation_is_refused(model, tok, messages):
    with pytest.raises(ValueError, match="a message is .*: each is|role None is unknown"):
        InstructGPT(model, tok).chat(messages)


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": " "}], [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]])
def test_who_speaks_last_must_be_the_user(model, tok, messages):
    with pytest.raises(ValueError, match="the last message must be the user's"):
        InstructGPT(model, tok).chat(messages)


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    assert ended.value.code == 0 and capsys.readouterr().out == f"minigpt {project['version']}\n"


def test_public_names_are_there_and_cost_nothing_to_list():
    for name in minigpt.__all__:
        assert getattr(minigpt, name).__name__ == name
    with pytest.raises(AttributeError, match="GPT"):
        minigpt.nothing
