"""One solution for each exercise of lesson 14. Yours may be another."""
import math

import numpy as np


def leaked(train, test, n):
    """-> list of numbers"""
    def runs(text):
        words = text.split()
        return {tuple(words[i:i + n]) for i in range(len(words) - n + 1)}

    known = set()
    for text in train:
        known |= runs(text)
    return [i for i, text in enumerate(test) if runs(text) & known]


def rouge_l(answer, reference):
    """-> F1"""
    lengths = [0] * (len(reference) + 1)  # of the longest common subsequence of the words so far and reference[:j]
    for word in answer:
        before = list(lengths)
        for j, other in enumerate(reference):
            lengths[j + 1] = before[j] + 1 if word == other else max(before[j + 1], lengths[j])
    longest = lengths[-1]
    return 2 * longest / (len(answer) + len(reference)) if longest else 0.0  # 2 P R / (P + R), made simpler


def bootstrap_difference(first, second, metric, draws, rng):
    """-> (low, high)"""
    differences = []
    for _ in range(draws):
        chosen = rng.integers(0, len(first), len(first))
        differences.append(metric(second[chosen]) - metric(first[chosen]))  # the same questions for both
    return tuple(np.quantile(differences, [0.025, 0.975]))


def exact_interval(right, n, level):
    """-> (low, high)"""
    def at_most(k, p):
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    def rate_where(k, chance):
        low, high = 0.0, 1.0
        for _ in range(60):  # at_most falls as p grows: halve the range in which it crosses the chance
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(k, middle) > chance else (low, middle)
        return (low + high) / 2

    tail = (1 - level) / 2
    low = 0.0 if right == 0 else rate_where(right - 1, 1 - tail)
    high = 1.0 if right == n else rate_where(right, tail)
    return low, high
