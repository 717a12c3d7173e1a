"""Exercises of lesson 11. Replace each `raise` by your code, then: python -m minigpt grade 11

Probabilities and scores are float64 arrays.
"""


def banned_words(ids, n):
    """Words that may not come next, if no n words in a row shall occur twice.

    ids: list of ints, n at least 1 -> set of ints: each would complete n words that already stand somewhere in ids.
    """
    raise NotImplementedError("11.1 no n words twice (2 points)")


def keep_typical(p, mass):
    """Locally typical sampling (Meister and others, 2023): keep the words whose surprise is closest to what is expected.

    The surprise of word i is -log p_i. The expected surprise is the entropy: the sum of p_i times it. Keep the words whose
    surprise is closest to the entropy until together they have probability `mass`; the word that reaches it is kept too.
    p (V,) positive, no two words equally close, 0 < mass <= 1 -> (V,): 0 for words not kept, adding up to 1
    """
    raise NotImplementedError("11.2 typical words (3 points)")


def windowed_step(query, key, value, cache, window):
    """Attention of one new place that sees itself and the window - 1 places before it, from a cache that never grows.

    query, key, value (D,); cache: what the last call returned, None at the first -> out (D,), cache
    The cache is a pair (keys, values) of arrays of at most `window` rows. Do not change the old cache in place.
    """
    raise NotImplementedError("11.3 a cache that never grows (3 points)")


def beam_search(log_probabilities, width, length, end):
    """Look for the likeliest text, keeping the `width` best beginnings at each step.

    log_probabilities(ids) -> (V,): log P(next word | ids), ids a tuple. Begin with the empty tuple. At each step, every text in
    the beam that does not end in the word `end` is continued by every word; one that does is kept as it is. Of all of them the
    `width` with the largest total log-probability stay. Stop when all of them end in `end`, or after `length` steps.
    -> ids (tuple), total log-probability (float) of the best text in the last beam
    """
    raise NotImplementedError("11.4 beam search (4 points)")
