"""The tests that `python -m minigpt grade 00` runs. The model is a small one with random numbers, so that only the formula counts."""
import functools

import numpy as np

from minigpt import GPT, GPTConfig, InstructGPT, Tokenizer
from minigpt.course.draw import expect_close
from minigpt.sample.explain import continuation_logprobs
from minigpt.text.template import SPECIAL_TOKENS

WORDS = "yes no red blue Tom likes his cat and the dog sleeps in a house".split()


@functools.cache
def random_gpt():
    tok = Tokenizer.train([" ".join(WORDS)] * 3, 280, SPECIAL_TOKENS)
    model = GPT(GPTConfig(vocab_size=tok.vocab_size, block_size=160, n_layer=1, n_head=2, n_embd=16), dtype="float64", backend="numpy")
    model.params.flat *= 8.0  # far from all tokens being equally likely
    return InstructGPT(model, tok)


def text(draw, name, longest=4):
    """A few words drawn by name; how many can be shrunk."""
    count = draw.integer(f"words of {name}", 1, longest)
    draw.values[name] = " ".join(WORDS[i] for i in draw.integers(name, 0, len(WORDS) - 1, longest)[:count])
    return draw.values[name]


def log_probabilities(gpt, instruction, answer):
    """By hand: the prompt's ids, then the answer's, then <|end|>; one forward for each token."""
    special = gpt.tokenizer.special_tokens
    prompt = [special["<|user|>"], *gpt.tokenizer.encode_ordinary(" " + instruction), special["<|end|>"], special["<|assistant|>"]]
    tokens = [*gpt.tokenizer.encode_ordinary(" " + answer), special["<|end|>"]]
    return [float(continuation_logprobs(gpt.model, prompt + tokens[:t], tokens[t:t + 1])[0]) for t in range(len(tokens))]


def test_1_value(exercises, draw):
    """the sum of the log-probabilities of the answer's tokens and of <|end|>"""
    gpt, instruction, answer = random_gpt(), text(draw, "instruction"), text(draw, "answer")
    expected = sum(log_probabilities(gpt, instruction, answer))
    expect_close(exercises.answer_log_probability(gpt, instruction, answer), expected, "log P", 1e-6)


def test_2_index(exercises, draw):
    """no other instruction makes the answer likelier"""
    gpt, answer = random_gpt(), text(draw, "answer")
    instructions = list(dict.fromkeys(text(draw, f"instruction {i}") for i in range(draw.integer("instructions", 3, 6))))
    sums = [sum(log_probabilities(gpt, instruction, answer)) for instruction in instructions]
    expect_close(sums[exercises.best_instruction(gpt, list(instructions), answer)], max(sums), "log P of the chosen one", 1e-6)


def test_3_index(exercises, draw):
    """no other option has a larger mean log P"""
    gpt, question = random_gpt(), text(draw, "question")
    options = list(dict.fromkeys(text(draw, f"option {i}", longest=6) for i in range(draw.integer("options", 5, 9))))
    means = [np.mean(log_probabilities(gpt, question, option)) for option in options]
    expect_close(means[exercises.choose(gpt, question, list(options))], max(means), "mean log P of the chosen one", 1e-6)


class Recorder:
    """Stands for a model: notes what it was given and answers with a number."""

    def __init__(self):
        self.given = []

    def chat(self, messages, **settings):
        self.given.append([(message["role"], message["content"]) for message in messages])
        return f"reply {len(self.given)}"

    def answer(self, text, **settings):
        return self.chat([{"role": "user", "content": text}])


def test_4_memory(exercises, draw):
    """for each line the model is given the last exchanges and the line, and nothing else"""
    count, window = draw.integer("lines", 1, 6), draw.integer("window", 0, 4)
    recorder, lines = Recorder(), [f"line {i + 1}" for i in range(count)]
    replies = exercises.converse(recorder, list(lines), window)
    assert list(replies) == [f"reply {i + 1}" for i in range(count)], f"replies {replies}"
    for i, given in enumerate(recorder.given):
        expected = [part for j in range(max(0, i - window), i) for part in (("user", lines[j]), ("assistant", f"reply {j + 1}"))]
        expected.append(("user", lines[i]))
        assert given == expected, f"for line {i + 1} the model was given {given}, expected {expected}"
