"""The tests that `python -m minigpt grade 10` runs. Expected values come from loops, from counting and from a search."""
import math

import numpy as np

from minigpt.course.draw import expect_close
from minigpt.course.grade import load_module


def test_1_rows(exercises, draw):
    """inputs and targets are the stream's tokens, and a target counts unless a document begins with it"""
    T = draw.integer("T", 1, 3)
    lengths = [draw.integer(f"tokens of document {i}", 1, 6) for i in range(draw.integer("documents", 2, 5))]
    documents = [[10 * i + t + 1 for t in range(length)] for i, length in enumerate(lengths)]
    stream = [(token, t == 0) for document in documents for t, token in enumerate([*document, 0])]
    starts = range(0, len(stream) - T, T)
    inputs, targets, counts = exercises.what_counts([list(document) for document in documents], 0, T)
    expect_close(inputs, np.reshape([stream[s + t][0] for s in starts for t in range(T)], (-1, T)), "inputs[r, t]")
    expect_close(targets, np.reshape([stream[s + t + 1][0] for s in starts for t in range(T)], (-1, T)), "targets[r, t]")
    expect_close(counts, np.reshape([not stream[s + t + 1][1] for s in starts for t in range(T)], (-1, T)), "counts[r, t]")


def test_1_alike(exercises, draw):
    """documents are told apart by their places, even if they hold the end token or look like each other"""
    T, count = draw.integer("T", 1, 3), draw.integer("documents", 4, 6)
    _, targets, counts = exercises.what_counts([[0, 0]] * count, 0, T)  # three zeros each, the last one the end
    expected = [place % 3 != 0 for place in range(1, 1 + targets.size)]
    expect_close(np.ravel(counts), expected, "counts, row after row")


def test_2_epoch(exercises, draw):
    """each epoch reads each row once"""
    R, epoch, seed = draw.integer("R", 1, 12), draw.integer("epoch", 0, 3), draw.integer("seed", 0, 99)
    rows = [exercises.row_of_turn(n, R, seed) for n in range(epoch * R, epoch * R + R)]
    expect_close(sorted(rows), list(range(R)), "the rows of one epoch, sorted")


def test_2_memory(exercises, draw):
    """the answer is the same whatever was asked before, and whatever state NumPy's global dice are in"""
    R, seed = draw.integer("R", 2, 12), draw.integer("seed", 0, 99)
    first = [exercises.row_of_turn(n, R, seed) for n in range(3 * R)]
    np.random.seed(draw.integer("dice", 0, 99))
    started = load_module(exercises.__file__)  # as after a restart: it remembers nothing
    again = [started.row_of_turn(n, R, seed) for n in reversed(range(3 * R))]
    expect_close(again[::-1], first, "asked backwards, by a program that has just started")


def test_2_random(exercises, draw):
    """orders of 40 rows are random: another epoch and another seed give other ones, with no turn of the last one"""
    seed, R = draw.integer("seed", 0, 99), 40
    orders = [tuple(exercises.row_of_turn(e * R + n, R, s) for n in range(R)) for e, s in ((0, seed), (1, seed), (0, seed + 1))]
    assert len(set(orders)) == 3, "two of three orders are the same"
    for order in orders:  # two neighbours follow each other in 1 of 40 random cases; 15 of 40 by chance: less than 1 in 10^12
        steps = [(b - a) % R for a, b in zip(order, order[1:])]
        assert max(steps.count(step) for step in steps) < 15, "the order is not random: neighbours keep their distance"


def test_3_smallest(exercises, draw):
    """no other N, smaller or larger, has a smaller loss for the same arithmetic"""
    A, B = 1.0 + 400 * abs(float(draw.array("A", 1)[0])), 1.0 + 400 * abs(float(draw.array("B", 1)[0]))
    a, b = draw.integer("10 a", 1, 9) / 10, draw.integer("10 b", 1, 9) / 10
    operations = 10.0 ** draw.integer("log10 operations", 9, 24)
    draw.values = {"operations": operations, "A": A, "a": a, "B": B, "b": b}
    found = exercises.best_size(operations, A, a, B, b)

    def loss(N):
        return A / N ** a + B / (operations / (6 * N)) ** b

    low, high = math.log(1e-30), math.log(1e60)
    for _ in range(300):  # the loss has one valley in log N: narrow it down
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if loss(math.exp(left)) < loss(math.exp(right)) else (left, high)
    expect_close(math.log(found), (low + high) / 2, "log N", 1e-5)


def test_4_context(exercises, draw):
    """each token once, with the loss of the first window that has it as a target"""
    T = draw.integer("T", 1, 7)
    stride, N = min(T, draw.integer("stride", 1, 7)), draw.integer("N", 2, 25)
    ids = [3 * i + 1 for i in range(N)]
    seen = []

    def losses_of(piece):
        assert 2 <= len(piece) <= T + 1, f"a window of {len(piece)} ids; it may have 2 to {T + 1}"
        seen.append(list(piece))
        return np.array([piece[j] + 0.001 * j for j in range(1, len(piece))])  # the token, and its context in thousandths

    expected = []
    for i in range(1, N):
        start = next(s for s in range(0, N, stride) if i <= s + T)
        expected.append(ids[i] + 0.001 * (i - start))
    expect_close(exercises.sliding_losses(losses_of, ids, T, stride), expected, "loss of token i + 1")
    assert seen[-1][-1] == ids[-1] and all(piece[-1] != ids[-1] for piece in seen[:-1]), "stop at the first window that reaches the end"
