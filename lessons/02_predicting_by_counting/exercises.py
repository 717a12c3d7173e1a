"""Exercises of lesson 02. Replace each `raise` by your code, then: python -m minigpt grade 02"""


def perplexity(probabilities):
    """e to the power of the average surprise of the tokens that really came.

    probabilities: a list of float in (0, 1], perhaps 5000 of them -> float
    """
    raise NotImplementedError("02.1 perplexity (2 points)")


def bits_per_byte(losses, text):
    """The surprise of a whole text in bits, for each of its UTF-8 bytes.

    losses: the surprise of each token in nats (list of float), text: the str that these tokens make up -> float
    """
    raise NotImplementedError("02.2 bits per byte (2 points)")


def mixed_bigram(ids, V, weight):
    """Counts of pairs, mixed with counts of single tokens where pairs are rare.

    P(w | before) = weight * count(before, w) / count(before as the first of a pair) + (1 - weight) * count(w) / len(ids)
    A token that never begins a pair has only the second part, with weight 1.
    ids: list of int below V -> array (V, V), row: the token before, each row adds up to 1
    """
    raise NotImplementedError("02.3 a mixture of counts (3 points)")


def likeliest_text(start, table, length):
    """The most probable sequence of `length` tokens that begins with `start`, under a model that sees one token back.

    start int, table (V, V) of P(next | before), all positive, length up to 2000 -> list of `length` ints
    """
    raise NotImplementedError("02.4 the likeliest text (4 points)")
