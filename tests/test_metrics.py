"""Intervals, paired comparison and bits per byte against hand-computed values."""
import math

import numpy as np
import pytest

from minigpt.config import GPTConfig
from minigpt.evaluate.metrics import bits_per_byte, paired, wilson
from minigpt.nn.gpt import Transformer
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer


def test_wilson_on_textbook_values():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10)[0] == 0.0 and wilson(0, 10)[1] == pytest.approx(0.2775, abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = [low <= 0.9 <= high for low, high in (wilson(int(rng.binomial(200, 0.9)), 200) for _ in range(2000))]
    assert 0.93 < np.mean(hits) < 0.97


def test_paired_counts_disagreements_only():
    first, second = [True] * 6 + [False] * 4, [True] * 5 + [False] + [True] * 4
    assert paired(first, second) == (1, 4, pytest.approx(2 * (1 + 5) / 32))
    assert paired([True, False], [True, False]) == (0, 0, 1.0)


def test_bits_per_byte_of_a_model_that_knows_nothing():
    """Uniform over V tokens of one byte each costs log2 V bits per token; <|endoftext|> is paid for, the first byte is not."""
    tok = Tokenizer.train("", 256 + len(SPECIAL_TOKENS), SPECIAL_TOKENS)
    model = Transformer(GPTConfig(vocab_size=tok.vocab_size, block_size=16, n_layer=1, n_head=2, n_embd=8), backend="numpy")
    model.params["wte.weight"] = 0.0  # every logit 0
    assert bits_per_byte(model, tok, ["abcd", "xyz"]) == pytest.approx((4 + 3) * math.log2(tok.vocab_size) / (3 + 2), rel=1e-5)


def test_the_sign_test_counts_in_whole_numbers_whatever_the_lists_hold():
    """With NumPy's bools 2**70 would not fit."""
    first = np.array([True] * 50 + [False] * 20)
    assert paired(first, ~first) == paired(first.tolist(), (~first).tolist())
    assert 0.0 < paired(first, ~first)[2] < 1e-3
