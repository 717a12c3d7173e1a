"""The tests that `python -m minigpt grade 04` runs."""
import cmath
import math

import numpy as np

from minigpt.course.draw import expect_close
from minigpt.nn import ops


def test_1_values(exercises, draw):
    """each score pays for its distance, and none looks ahead"""
    H, T = draw.choice("H", [1, 2, 3, 4, 8]), draw.integer("T", 1, 6)
    scores = draw.array("scores", H, T, T)
    expected = np.full((H, T, T), -math.inf)
    for h in range(H):
        for t in range(T):
            for s in range(t + 1):
                expected[h, t, s] = scores[h, t, s] - (t - s) / 2 ** (8 * (h + 1) / H)
    given = scores.copy()
    expect_close(exercises.alibi_scores(given), expected, "score[h, t, s]")
    assert np.array_equal(given, scores), "the input was changed"


def turned(x):
    """The definition with complex numbers: multiplying by e^(i z) turns by z."""
    T, D = x.shape
    y = np.zeros((T, D))
    for t in range(T):
        for i in range(D // 2):
            point = complex(x[t, 2 * i], x[t, 2 * i + 1]) * cmath.exp(1j * t * 10000.0 ** (-2 * i / D))
            y[t, 2 * i], y[t, 2 * i + 1] = point.real, point.imag
    return y


def test_2_values(exercises, draw):
    """each pair of neighbours is turned by its angle"""
    T, half = draw.integer("T", 1, 6), draw.integer("D / 2", 1, 4)
    x = draw.array("x", T, 2 * half)
    expect_close(exercises.rope_neighbours(x.copy()), turned(x), "y[t, d]")


def test_2_far(exercises, draw):
    """the score of a query and a key depends on their distance only"""
    D, places = 2 * draw.integer("D / 2", 1, 4), draw.integer("places", 2, 40)
    query, key = draw.array("query", D), draw.array("key", D)
    q, k = (exercises.rope_neighbours(np.tile(each, (places, 1))) for each in (query, key))
    near = [q[t] @ k[t - 1] for t in range(1, places)]
    expect_close(near, np.full(places - 1, near[0]), "score of place t and the place before it", tolerance=1e-7)


def test_3_values(exercises, draw):
    """the slope in every direction is the measured one"""
    T, half = draw.integer("T", 1, 6), draw.integer("D / 2", 1, 4)
    dy = draw.array("dy", T, 2 * half)
    expected = np.zeros(dy.shape)
    for place in np.ndindex(dy.shape):  # the step is linear: its slope is what one unit of x adds to the loss
        unit = np.zeros(dy.shape)
        unit[place] = 1.0
        expected[place] = (turned(unit) * dy).sum()
    expect_close(exercises.rope_neighbours_backward(dy.copy()), expected, "dx[t, d]")


def test_4_scores(exercises, draw):
    """converted weights give the same scores in the other layout"""
    T, C, D = draw.integer("T", 1, 5), draw.integer("C", 1, 4), 2 * draw.integer("D / 2", 1, 4)
    x, query, key = draw.array("x", T, C), draw.array("query weight", C, D), draw.array("key weight", C, D)
    expected = turned(x @ query) @ turned(x @ key).T
    angles = np.arange(T)[:, None] * 10000.0 ** (-np.arange(0, D, 2) / D)
    q, k = (ops.rope_forward((x @ exercises.convert(weight.copy()))[None, :, None], np.cos(angles), np.sin(angles))[0][0, :, 0]
            for weight in (query, key))
    expect_close(q @ k.T, expected, "score[t, s]")
