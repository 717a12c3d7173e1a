"""The conversation in the terminal, and the probabilities behind an answer."""
import math

import numpy as np
import pytest

from minigpt.config import GPTConfig
from minigpt.model import GPT, InstructGPT
from minigpt.nn.gradcheck import perturb
from minigpt.sample.chat import chat
from minigpt.sample.explain import continuation_logprobs, explain
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer

SETTINGS = {"temperature": 0.0, "max_new_tokens": 5}


@pytest.fixture(scope="module")
def assistant():
    tok = Tokenizer.train(["Mary reads a book. 玛丽读一本书。 " * 5], 300, SPECIAL_TOKENS, split="han")
    config = GPTConfig(vocab_size=300, block_size=40, n_layer=2, n_head=2, n_embd=16, position="rope")
    return InstructGPT(perturb(GPT(config, backend="numpy"), np.random.default_rng(1), 0.3), tok)


def talk(assistant, *lines):
    shown = []
    chat(assistant, SETTINGS, lines, shown.append)
    return "".join(shown)


def test_the_chain_rule(assistant):
    """The log-probabilities of a continuation add up to that of the whole, whichever part is called the prompt."""
    ids = [5, 3, 200, 17, 80, 9]
    whole = continuation_logprobs(assistant.model, ids[:1], ids[1:])
    by_hand = []
    for t in range(1, 6):
        logits = assistant.model.forward(np.array([ids[:t]]))[0][0, -1].astype(float)
        by_hand.append(logits[ids[t]] - math.log(sum(math.exp(z) for z in logits)))
    np.testing.assert_allclose(whole, by_hand, rtol=1e-5)
    np.testing.assert_allclose(continuation_logprobs(assistant.model, ids[:3], ids[3:]), whole[2:], rtol=1e-5)


def test_explain_sums_up_and_notices_a_wrong_cache(assistant):
    generation = assistant.generations([[{"role": "user", "content": "Who reads?"}]], temperature=0.0, max_new_tokens=5)[0]
    text = explain(assistant, generation, {"nothing": []})
    assert f"{sum(generation.logprobs):.3f}" in text and "nothing" in text and "agree" in text
    generation.logprobs[2] += 0.01
    with pytest.raises(ValueError, match="cache is wrong"):
        explain(assistant, generation, {})


def test_explain_leaves_out_what_does_not_fit_and_keeps_a_row_on_a_line(assistant):
    generation = assistant.generations([[{"role": "user", "content": "x"}]], temperature=0.0, max_new_tokens=40)[0]
    assert len(generation.prompt) + len(generation.ids) == assistant.model.config.block_size
    text = explain(assistant, generation, {"nothing": [], "much longer": [{"role": "user", "content": "a book a book a book"}]})
    assert "nothing" in text and "much longer" not in text
    generation.ids[2] = 10  # a line feed
    generation.logprobs = continuation_logprobs(assistant.model, generation.prompt, generation.ids)
    assert len(explain(assistant, generation, {"nothing": []}).splitlines()) == len(text.splitlines())


def test_the_stop_tokens_of_the_model_end_an_answer_too(assistant):
    first = assistant.generations([[{"role": "user", "content": "x"}]], temperature=0.0)[0].ids[0]
    model = assistant.model.copy()
    model.stop = {first}
    assert InstructGPT(model, assistant.tokenizer).answer("x") == ""


def test_a_conversation_remembers_what_was_said(assistant):
    messages = [{"role": "user", "content": "Who reads?"}]
    messages.append({"role": "assistant", "content": assistant.chat(messages, **SETTINGS)})
    messages.append({"role": "user", "content": "a book"})
    second = assistant.chat(messages, **SETTINGS)
    shown = talk(assistant, "Who reads?", "", "a book", "/quit", "never read")
    assert shown == f"gpt: {messages[1]['content']}\ngpt: {second}\n"
    assert talk(assistant, "Who reads?", "/new", "a book").endswith(f"forgotten\ngpt: {assistant.answer('a book', **SETTINGS)}\n")


def test_commands(assistant):
    assert "nothing was said" in talk(assistant, "/show") and "no answer" in talk(assistant, "/explain")
    shown = talk(assistant, "one", "two", "/back", "/show")
    assert "1 question remains" in shown and "<|user|> one<|end|>" in shown and "two" not in shown.split("remain")[1]
    shown = talk(assistant, "one", "two", "three", "/back", "/show").split("remain")[1]
    assert "<|user|> one<|end|>" in shown and "<|user|> two<|end|>" in shown and "three" not in shown
    assert "P(w_1..w_T)" in talk(assistant, "one", "/explain")
    assert "temperature 0.7" in talk(assistant, "/temperature 0.7") and "not a number" in talk(assistant, "/temperature hot")
    assert "/explain" in talk(assistant, "/help") and "no /nonsense" in talk(assistant, "/nonsense")


def test_what_does_not_work_is_said_and_the_conversation_goes_on(assistant):
    shown = talk(assistant, "very " * 60, "one", "/temperature -1", "two", "/temperature 0", "three")
    assert "shorten it" in shown and "temperature is -1" in shown and shown.count("gpt: ") == 3


def test_a_conversation_as_long_as_the_context_goes_on_without_its_oldest_turns(assistant):
    """Asked for without room for an answer, it would be refused."""
    for words in range(1, 14):
        assert "shorten it" not in talk(assistant, "a " * words, "book", "reads", "a " * words, "one")


def test_a_command_that_fails_does_not_end_the_conversation(assistant):
    shown = []
    chat(assistant, {"temperature": 0.0, "max_new_tokens": 0}, ["one", "/explain", "/help"], shown.append)
    assert any("/quit" in text for text in shown)


def test_explaining_works_when_old_turns_were_dropped_to_make_room(assistant):
    messages = [{"role": role, "content": "a book"} for role in ("user", "assistant", "user")]
    while assistant.prompt(messages) == assistant.prompt(messages, reserve=10):
        messages[0]["content"] += " read"
    generation = assistant.generations([messages], temperature=0.0, max_new_tokens=10)[0]
    assert "agree" in explain(assistant, generation, {})


def test_an_interrupted_answer_is_forgotten_and_the_conversation_goes_on(assistant):
    """Ctrl-C stops what is being written; SIGTERM, which says its number, ends the program."""
    def interrupt(piece, number=()):
        if piece == "gpt: ":
            raise KeyboardInterrupt(*number)
        shown.append(piece)

    shown = []
    chat(assistant, SETTINGS, ["Mary", "/back"], interrupt)
    assert shown == [" [stopped and forgotten]\n", "0 questions remain\n"]
    with pytest.raises(KeyboardInterrupt):
        chat(assistant, SETTINGS, ["Mary"], lambda piece: interrupt(piece, (15,)))
