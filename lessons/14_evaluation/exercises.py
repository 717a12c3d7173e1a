"""Exercises of lesson 14. Replace each `raise` by your code, then: python -m minigpt grade 14"""


def leaked(train, test, n):
    """Which test texts share a run of n words with a training text? Words are what text.split() gives, as they are.

    train, test: lists of texts -> list of the numbers (from 0) of the suspected test texts, in order
    """
    raise NotImplementedError("14.1 leaked questions (2 points)")


def rouge_l(answer, reference):
    """ROUGE-L: F1 of the longest common subsequence, words in the same order with anything between them.

    answer, reference: lists of words -> 2 P R / (P + R) with P = length / words in the answer, R = length / words in the
    reference; 0.0 when they share nothing
    """
    raise NotImplementedError("14.2 the longest common subsequence (3 points)")


def bootstrap_difference(first, second, metric, draws, rng):
    """95 % bootstrap interval of metric(second) - metric(first), for two models that answered the same n questions.

    first, second (n,) scores; metric: a function (n,) -> number; rng: NumPy's random generator -> (low, high)
    """
    raise NotImplementedError("14.3 the difference of two models (3 points)")


def exact_interval(right, n, level):
    """The interval of Clopper and Pearson (1934), which never promises too much.

    low: the rate at which `right` or more of n would have the probability (1 - level) / 2; 0.0 if right is 0.
    high: the rate at which `right` or fewer would; 1.0 if right is n. -> (low, high), to 9 digits
    """
    raise NotImplementedError("14.4 an exact interval (4 points)")
