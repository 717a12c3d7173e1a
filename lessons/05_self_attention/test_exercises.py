"""The tests that `python -m minigpt grade 05` runs. Every expected value comes from plain loops written here."""
import math
import tracemalloc

import numpy as np

from minigpt.course.draw import expect_close


def weights_of(scores):
    """A list of scores -> a list of weights, with Python's floats."""
    largest = max(scores)
    exponentials = [math.exp(score - largest) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


def score(query, key):
    return sum(float(a) * float(b) for a, b in zip(query, key)) / math.sqrt(len(query))


def attend(query, keys, values):
    """One query over some keys and values -> one vector, in loops."""
    weights = weights_of([score(query, key) for key in keys])
    return sum(weight * value for weight, value in zip(weights, values))


def test_1_values(exercises, draw):
    """the weights are those of the formula"""
    T, D = draw.integer("T", 1, 7), draw.integer("D", 1, 5)
    q, k = draw.array("q", T, D), draw.array("k", T, D)
    expected = np.zeros((T, T))
    for t in range(T):
        expected[t, :t + 1] = weights_of([score(q[t], k[j]) for j in range(t + 1)])
    expect_close(exercises.attention_weights(q.copy(), k.copy()), expected, "weights[t, j]")


def test_1_large(exercises, draw):
    """scores near 1000 do not overflow, and every row still adds up to 1"""
    T = draw.integer("T", 1, 5)
    q, k = draw.array("q", T, 4, scale=30.0), draw.array("k", T, 4, scale=30.0)
    weights = exercises.attention_weights(q.copy(), k.copy())
    expected = np.zeros((T, T))
    for t in range(T):
        expected[t, :t + 1] = weights_of([score(q[t], k[j]) for j in range(t + 1)])
    expect_close(weights, expected, "weights[t, j]", tolerance=1e-6)


def test_2_values(exercises, draw):
    """each place attends to itself and the window - 1 places before it"""
    T, D, window = draw.integer("T", 1, 8), draw.integer("D", 1, 4), draw.integer("window", 1, 9)
    q, k, v = (draw.array(name, T, D) for name in "qkv")
    expected = np.array([attend(q[t], k[max(0, t - window + 1):t + 1], v[max(0, t - window + 1):t + 1]) for t in range(T)])
    expect_close(exercises.windowed_attention(q.copy(), k.copy(), v.copy(), window), expected, "out[t, d]")


def test_2_blind(exercises, draw):
    """a place outside of the window has no influence, however large its key and value are"""
    T, window = draw.integer("T", 3, 8), draw.integer("window", 1, 2)
    q, k, v = (draw.array(name, T, 3) for name in "qkv")
    before = exercises.windowed_attention(q.copy(), k.copy(), v.copy(), window)
    k[0], v[0] = 1e3, 1e6
    after = exercises.windowed_attention(q.copy(), k.copy(), v.copy(), window)
    expect_close(after[window:], before[window:], "out of the places that cannot see place 0")


def test_3_values(exercises, draw):
    """query head h uses key head h // (H / K)"""
    T, D, K, G = draw.integer("T", 1, 5), draw.integer("D", 1, 4), draw.integer("K", 1, 3), draw.integer("H / K", 1, 3)
    q, k, v = draw.array("q", T, K * G, D), draw.array("k", T, K, D), draw.array("v", T, K, D)
    expected = np.array([[attend(q[t, h], k[:t + 1, h // G], v[:t + 1, h // G]) for h in range(K * G)] for t in range(T)])
    expect_close(exercises.grouped_attention(q.copy(), k.copy(), v.copy()), expected, "out[t, h, d]")


def test_4_values(exercises, draw):
    """one pass over the stream gives the same as seeing everything at once"""
    T, D = draw.integer("T", 1, 8), draw.integer("D", 1, 4)
    query, keys, values = draw.array("query", D), draw.array("keys", T, D), draw.array("values", T, D)
    out = exercises.streaming_attention(query.copy(), iter(zip(keys.copy(), values.copy())))
    expect_close(out, attend(query, keys, values), "out[d]")


def test_4_large(exercises, draw):
    """scores near 1000 and near -1000 neither overflow nor vanish"""
    T = draw.integer("T", 1, 6)
    query, keys = draw.array("query", 4, scale=45.0), draw.array("keys", T, 4, scale=45.0)
    values = draw.array("values", T, 4)
    out = exercises.streaming_attention(query.copy(), iter(zip(keys.copy(), values.copy())))
    expect_close(out, attend(query, keys, values), "out[d]", tolerance=1e-6)


def test_4_once(exercises, draw):
    """nothing is kept: two thousand pairs that reuse the same two arrays give the right average"""
    query, key, value = np.zeros(2), np.zeros(2), np.zeros(2)
    last = draw.integer("pairs", 2000, 2010)

    def pairs():
        for number in range(last):
            value[:] = number, 1.0
            yield key, value

    tracemalloc.start()
    try:
        out = exercises.streaming_attention(query, pairs())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 30_000, f"{most:,d} bytes for {last:,d} pairs: they were kept"
    expect_close(out, [(last - 1) / 2, 1.0], "average of 0, 1, 2, ... and of ones")
