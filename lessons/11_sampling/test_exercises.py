"""The tests that `python -m minigpt grade 11` runs. Expected values come from loops, from full attention and from trying every text."""
import itertools
import math

import numpy as np

from minigpt.course.draw import expect_close


def test_1_values(exercises, draw):
    """exactly the words that would repeat n words in a row"""
    n, length = draw.integer("n", 1, 4), draw.integer("length", 0, 12)
    ids = [int(i) for i in draw.integers("ids", 0, 2, length)]

    def rows_of(words):
        return [tuple(words[i:i + n]) for i in range(len(words) - n + 1)]

    old = rows_of(ids)
    expected = {word for word in range(3) if rows_of([*ids, word])[len(old):] and rows_of([*ids, word])[-1] in old}
    answer = exercises.banned_words(list(ids), n)
    assert set(answer) == expected, f"banned: got {sorted(answer)}, expected {sorted(expected)}"


def test_1_last(exercises, draw):
    """the row that ends at the last word counts too"""
    answer = exercises.banned_words([2, 1, 1], 2)
    assert set(answer) == {1}, f"ids [2, 1, 1], n 2: got {sorted(answer)}, expected [1]"


def probabilities(draw, name, V):
    p = np.exp(draw.rng(name).normal(0.0, 1.0, V))  # not shrunk: rounding would make two words equally close
    draw.values[name] = p / p.sum()
    return draw.values[name]


def test_2_values(exercises, draw):
    """words in the order of their distance from the entropy, until the mass is reached"""
    p, mass = probabilities(draw, "p", draw.integer("V", 2, 8)), draw.choice("mass", (0.5, 0.2, 0.9, 0.99, 1.0))
    entropy = -sum(x * math.log(x) for x in p)
    order = sorted(range(len(p)), key=lambda i: abs(-math.log(p[i]) - entropy))
    count = next(c for c in range(1, len(p) + 1) if c == len(p) or sum(p[order[:c]]) >= mass)
    expected = np.array([p[i] if i in order[:count] else 0.0 for i in range(len(p))])
    expect_close(exercises.keep_typical(p.copy(), mass), expected / expected.sum(), "probability of word")


def test_3_values(exercises, draw):
    """step by step it equals attention that sees a window"""
    T, D, window = draw.integer("T", 1, 8), draw.integer("D", 1, 3), draw.integer("window", 1, 5)
    q, k, v = (draw.array(name, T, D) for name in "qkv")
    cache = None
    for t in range(T):
        out, cache = exercises.windowed_step(q[t].copy(), k[t].copy(), v[t].copy(), cache, window)
        first = max(0, t - window + 1)
        weights = [math.exp(float(q[t] @ k[j]) / math.sqrt(D)) for j in range(first, t + 1)]
        expect_close(out, sum(w * v[j] for w, j in zip(weights, range(first, t + 1))) / sum(weights), f"out of place {t}")
        assert len(cache[0]) <= window and len(cache[1]) <= window, f"the cache has {len(cache[0])} rows, window {window}"


def test_3_branch(exercises, draw):
    """two continuations of one cache do not disturb each other"""
    window = draw.integer("window", 1, 4)
    x = draw.array("x", 4, 2)
    cache = None
    for _ in range(draw.integer("places before", 1, 5)):
        _, cache = exercises.windowed_step(x[0], x[0], x[3], cache, window)
    first, _ = exercises.windowed_step(x[1], x[1], x[1], cache, window)
    exercises.windowed_step(x[2], x[2], x[2], cache, window)
    again, _ = exercises.windowed_step(x[1], x[1], x[1], cache, window)
    expect_close(again, first, "out, the second time")


def language(draw, V):
    """log P(next | ids) of a made-up language that depends on all the words so far."""
    seed = int(draw.rng("language").integers(10**6))

    def log_probabilities(ids):
        z = np.random.default_rng([seed, len(ids), *ids]).normal(0.0, 1.5, V)
        return z - math.log(np.exp(z).sum())

    return log_probabilities


def total(log_probabilities, ids):
    return sum(float(log_probabilities(ids[:i])[word]) for i, word in enumerate(ids))


def test_4_exhaustive(exercises, draw):
    """a beam that is wide enough finds the likeliest of all texts"""
    V, length = draw.integer("V", 2, 3), draw.integer("length", 1, 4)
    model = language(draw, V)
    texts = [ids for n in range(1, length + 1) for ids in itertools.product(range(V), repeat=n)
             if 0 not in ids[:-1] and (n == length or ids[-1] == 0)]  # word 0 ends a text
    best = max(texts, key=lambda ids: total(model, ids))
    ids, logp = exercises.beam_search(model, V**length, length, 0)
    assert tuple(ids) == best, f"got {tuple(ids)}, the likeliest text is {best}"
    expect_close(logp, total(model, best), "total log-probability")


def test_4_overtaken(exercises, draw):
    """a finished text that `width` others have overtaken is gone, whatever becomes of them"""
    table = {(): [0.28, 0.6, 0.12], (1,): [0.02, 0.49, 0.49]}
    ids, _ = exercises.beam_search(lambda ids: np.log(table.get(tuple(ids), [0.3, 0.3, 0.4])), 2, 3, 0)
    assert tuple(ids) == (1, 1, 2), f"got {tuple(ids)}, expected (1, 1, 2)"


def test_4_total(exercises, draw):
    """a short finished text stays as long as its total is among the best, whatever the mean of its words"""
    table = {(): [0.3, 0.6, 0.1], (1,): [0.2, 0.45, 0.35]}
    ids, _ = exercises.beam_search(lambda ids: np.log(table.get(tuple(ids), [0.3, 0.3, 0.4])), 2, 3, 0)
    assert tuple(ids) == (0,), f"got {tuple(ids)}, expected (0,)"


def test_4_narrow(exercises, draw):
    """a narrow beam keeps the best beginnings, finished ones among them"""
    V, length, width = draw.integer("V", 2, 5), draw.integer("length", 1, 5), draw.integer("width", 1, 3)
    model = language(draw, V)
    beam = {(): 0.0}
    for _ in range(length):
        grown = {}
        for ids, score in beam.items():
            for word in [None] if ids and ids[-1] == 0 else range(V):
                longer = ids if word is None else (*ids, word)
                grown[longer] = score if word is None else total(model, longer)
        beam = {ids: grown[ids] for ids in sorted(grown, key=grown.get, reverse=True)[:width]}
    best = max(beam, key=beam.get)
    ids, logp = exercises.beam_search(model, width, length, 0)
    assert tuple(ids) == best, f"got {tuple(ids)}, expected {best}"
    expect_close(logp, beam[best], "total log-probability")
