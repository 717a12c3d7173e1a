"""Exercises of lesson 04. Replace each `raise` by your code, then: python -m minigpt grade 04

In lesson 04 the two numbers of a RoPE pair are i and i + D/2. The paper that invented RoPE pairs neighbours: 2i and 2i + 1.
Some models do it one way and some the other. Exercises 2 to 4 are about the paper's way. Pair i turns by
t * 10000 ** (-2 i / D) at place t. All arrays are float64.
"""


def alibi_scores(scores):
    """Scores with ALiBi's penalty, causal.

    scores (H, T, T), row: the place that looks -> (H, T, T): head h (counted from 1) pays 2 ** (-8 h / H) for each step of
    distance; minus infinity where a place would look ahead. The input is not changed.
    """
    raise NotImplementedError("04.1 the price of distance (2 points)")


def rope_neighbours(x):
    """RoPE with neighbours as pairs: numbers 2i and 2i + 1 turn together, as (a, b) in the lesson.

    x (T, D) -> y (T, D)
    """
    raise NotImplementedError("04.2 RoPE with neighbours (3 points)")


def rope_neighbours_backward(dy):
    """The backward of rope_neighbours.

    dy (T, D) -> dx (T, D)
    """
    raise NotImplementedError("04.3 its backward (3 points)")


def convert(weight):
    """A weight made for pairs of neighbours, rearranged for a model that pairs the halves.

    weight (C, D): makes queries (or keys) x @ weight for rope_neighbours -> (C, D): with both weights converted, a model
    that pairs number i with number i + D/2 gives the same scores.
    """
    raise NotImplementedError("04.4 another layout (4 points)")
