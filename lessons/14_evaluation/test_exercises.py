"""The tests that `python -m minigpt grade 14` runs. Expected values come from enumeration and from binomial sums."""
import itertools
import math

import numpy as np

from minigpt.course.draw import expect_close

WORDS = ("cat", "at", "c", "Cat", "cat.", "the")


def text_of(draw, name, longest):
    """A text of few different words, some of which contain others."""
    length = draw.integer(f"words of {name}", 0, longest)
    return " ".join(WORDS[i] for i in draw.integers(name, 0, len(WORDS) - 1, length))


def share_a_run(first, second, n):
    """Compares every run with every run."""
    a, b = first.split(), second.split()
    return any(a[i:i + n] == b[j:j + n] for i in range(len(a) - n + 1) for j in range(len(b) - n + 1))


def test_1_values(exercises, draw):
    """a text is suspected if and only if n words in a row occur in a training text"""
    n = draw.integer("n", 1, 4)
    train = [text_of(draw, f"train {i}", 9) for i in range(draw.integer("training texts", 1, 3))]
    test = [text_of(draw, f"test {i}", 7) for i in range(draw.integer("test texts", 1, 4))]
    expected = [i for i, text in enumerate(test) if any(share_a_run(text, other, n) for other in train)]
    answer = list(exercises.leaked(train, test, n))
    assert answer == expected, f"suspected {answer}, expected {expected}"


def test_1_letters(exercises, draw):
    """words as they are: "Cat" is not "cat" """
    answer = list(exercises.leaked(["the Cat sleeps"], ["the cat sleeps", "the Cat sleeps"], 3))
    assert answer == [1], f"training text 'the Cat sleeps', tests 'the cat sleeps' and 'the Cat sleeps': suspected {answer}, expected [1]"


def longest_common(first, second):
    """Tries all subsequences of the first, the longest first."""
    for length in range(len(first), 0, -1):
        for chosen in itertools.combinations(first, length):
            rest = iter(second)
            if all(word in rest for word in chosen):
                return length
    return 0


def test_2_values(exercises, draw):
    """F1 of the longest common subsequence"""
    answer, reference = text_of(draw, "answer", 8).split(), text_of(draw, "reference", 8).split()
    length = longest_common(answer, reference)
    P, R = length / max(len(answer), 1), length / max(len(reference), 1)
    expected = 2 * P * R / (P + R) if length else 0.0
    expect_close(exercises.rouge_l(list(answer), list(reference)), expected, "ROUGE-L")


def test_2_long(exercises, draw):
    """two texts of 200 words are compared in a moment"""
    size = draw.integer("size", 190, 200)
    words = [str(i) for i in range(size)]
    expect_close(exercises.rouge_l(words[: size // 2], words[1:]), 2 * (size // 2 - 1) / (size // 2 + size - 1), "ROUGE-L")


def test_3_constant(exercises, draw):
    """if the second model has 2 more points on every question, the difference is 2, without any doubt"""
    n, metric = draw.integer("n", 2, 30), draw.choice("metric", (np.mean, np.median, np.max))
    first = draw.array("first", n)
    answer = exercises.bootstrap_difference(first.copy(), first + 2.0, metric, 50, draw.rng("drawing"))
    expect_close(answer, (2.0, 2.0), "low and high")


def test_3_metric(exercises, draw):
    """the metric is taken of each model's scores, not of their differences"""
    n = draw.integer("n", 2, 30)
    answer = exercises.bootstrap_difference(np.full(n, 1.0), np.full(n, 3.0), lambda scores: (scores ** 2).mean(), 50, draw.rng("drawing"))
    expect_close(answer, (8.0, 8.0), "low and high")


def test_3_width(exercises, draw):
    """for means the interval reaches 1.96 standard errors of the differences to each side (false alarm: 1 in a million)"""
    n = draw.integer("n", 25, 40)
    first, noise = draw.array("first", n), draw.array("noise", n)
    low, high = exercises.bootstrap_difference(first, first + 1.0 + noise, np.mean, 2000, draw.rng("drawing"))
    error = noise.std() / math.sqrt(n)
    expect_close((high - low) / (2 * 1.96 * error), 1.0, "width in units of 1.96 standard errors", 0.06)
    expect_close((low + high) / 2, 1.0 + noise.mean(), "middle", 0.4 * error)


def test_3_two(exercises, draw):
    """of two questions half of all samples hold one of them twice, so the interval reaches from the least difference to the greatest"""
    first, second = draw.array("first", 2), draw.array("second", 2)
    metric = draw.choice("metric", (np.mean, np.max, np.ptp))
    possible = [metric(second[list(c)]) - metric(first[list(c)]) for c in itertools.product(range(2), repeat=2)]
    answer = exercises.bootstrap_difference(first, second, metric, 500, draw.rng("drawing"))
    expect_close(answer, (min(possible), max(possible)), "low and high")


def at_least(k, n, p):
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def test_4_tails(exercises, draw):
    """at each end, what was seen or more of it has probability (1 - level) / 2"""
    n = draw.integer("n", 1, 30)
    right, level = draw.integer("right", 0, n), draw.choice("level", (0.95, 0.5, 0.99))
    low, high = exercises.exact_interval(right, n, level)
    if right > 0:
        expect_close(at_least(right, n, low), (1 - level) / 2, f"P({right} or more of {n} at {low:.4f})", 1e-8)
    if right < n:
        expect_close(1 - at_least(right + 1, n, high), (1 - level) / 2, f"P({right} or fewer of {n} at {high:.4f})", 1e-8)


def test_4_ends(exercises, draw):
    """0 of n has the lower end 0, n of n the upper end 1"""
    n = draw.integer("n", 1, 30)
    expect_close(exercises.exact_interval(0, n, 0.95)[0], 0.0, "lower end of 0 right")
    expect_close(exercises.exact_interval(n, n, 0.95)[1], 1.0, "upper end of all right")
