"""The tests that `python -m minigpt grade 02` runs."""
import itertools
import math

import numpy as np

from minigpt.course.draw import expect_close


def test_1_values(exercises, draw):
    """the perplexity of a few tokens, as a root of their product"""
    n = draw.integer("n", 1, 8)
    probabilities = (1 / draw.rng("p").integers(1, 20, n)).tolist()
    draw.values["probabilities"] = [round(p, 3) for p in probabilities]
    expected = math.prod(1 / p for p in probabilities) ** (1 / n)
    expect_close(exercises.perplexity(list(probabilities)), expected, "perplexity")


def test_1_long(exercises, draw):
    """five thousand tokens neither vanish nor overflow"""
    k = draw.integer("k", 2, 50)
    expect_close(exercises.perplexity([1 / k] * 5000), k, "perplexity of 5000 tokens of probability 1/k", tolerance=1e-6)


def test_2_values(exercises, draw):
    """bits, and bytes: a character may have several bytes, and a token several characters"""
    n, tokens = draw.integer("characters", 1, 8), draw.integer("tokens", 1, 5)
    text = "".join("aé猫🙂"[i] for i in draw.rng("text").integers(0, 4, n))
    draw.values["text"] = text
    losses = draw.integers("losses", 1, 9, tokens).astype(float).tolist()
    expected = sum(loss / 0.6931471805599453 for loss in losses) / sum(1 for _ in text.encode("utf-8"))
    expect_close(exercises.bits_per_byte(list(losses), text), expected, "bits per byte")


def draw_ids(draw):
    V, length = draw.integer("V", 2, 6), draw.integer("length", 2, 12)
    return draw.integers("ids", 0, V - 1, length).tolist(), V


def test_3_values(exercises, draw):
    """each probability is the formula's"""
    ids, V = draw_ids(draw)
    weight = draw.choice("weight", [0.5, 0.9, 0.1])
    expected = np.zeros((V, V))
    pairs = list(zip(ids, ids[1:]))
    for before, token in itertools.product(range(V), repeat=2):
        begins = sum(pair[0] == before for pair in pairs)
        alone = ids.count(token) / len(ids)
        expected[before, token] = weight * pairs.count((before, token)) / begins + (1 - weight) * alone if begins else alone
    expect_close(exercises.mixed_bigram(list(ids), V, weight), expected, "P[before, token]")


def test_3_sums(exercises, draw):
    """every row adds up to 1, also that of a token that was never seen"""
    ids, V = draw_ids(draw)
    expect_close(exercises.mixed_bigram(list(ids), V + 1, 0.7).sum(axis=1), np.ones(V + 1), "sum of row")


def test_4_values(exercises, draw):
    """no other text of this length is likelier"""
    V, length = draw.integer("V", 2, 4), draw.integer("length", 1, 5)
    table = np.exp(draw.array("logits", V, V, scale=2.0))
    table /= table.sum(axis=1, keepdims=True)
    start = draw.integer("start", 0, V - 1)

    def probability(text):
        return math.prod(table[before, token] for before, token in zip(text, text[1:]))

    got = [int(token) for token in exercises.likeliest_text(start, table.copy(), length)]
    assert len(got) == length and got[0] == start, f"got {got}; expected {length} tokens that begin with {start}"
    best = max(itertools.product(range(V), repeat=length - 1), key=lambda rest: probability([start, *rest]))
    expect_close(probability(got), probability([start, *best]), f"probability of {got}, against {[start, *best]}")


def test_4_trap(exercises, draw):
    """the likeliest next token may lead into a place from where nothing is likely"""
    low = 0.5 / draw.integer("n", 4, 9)
    table = np.array([[0.0, 0.6, 0.4], [1 - 2 * low, low, low], [low, low, 1 - 2 * low]]) + 1e-12
    table[1] = 1 / 3
    got = [int(token) for token in exercises.likeliest_text(0, table, 5)]
    assert got == [0, 2, 2, 2, 2], f"got {got}, expected [0, 2, 2, 2, 2] for\n{table.round(3)}"


def test_4_rare(exercises, draw):
    """one rare step is not made good by certain steps after it: probabilities are multiplied, not added"""
    rare = 0.01 / draw.integer("n", 1, 9)
    table = np.array([[0.49, 0.51 - rare, rare], [0.3, 0.5, 0.2], [1e-9, 1e-9, 1 - 2e-9]])
    got = [int(token) for token in exercises.likeliest_text(0, table, 4)]
    assert got == [0, 1, 1, 1], f"got {got}, expected [0, 1, 1, 1] for\n{table.round(3)}"


def test_4_long(exercises, draw):
    """two thousand tokens take a moment, and their probability does not vanish"""
    V = draw.integer("V", 3, 5)
    table = np.full((V, V), 0.5 / (V - 1))
    for token in range(V):
        table[token, (token + 1) % V] = 0.5
    got = [int(token) for token in exercises.likeliest_text(0, table, 2000)]
    wrong = [t for t in range(min(len(got), 2000)) if got[t] != t % V]
    assert len(got) == 2000 and not wrong, f"{len(got)} tokens, the first wrong one at {wrong[:1]}"
