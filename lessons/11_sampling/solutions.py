"""One solution for each exercise of lesson 11. Yours may be another."""
import math

import numpy as np


def banned_words(ids, n):
    """ids, n -> set of ints"""
    last = ids[len(ids) - n + 1:]  # the n - 1 words that the next one would complete; none when n is 1
    if len(last) < n - 1:
        return set()
    return {ids[i + n - 1] for i in range(len(ids) - n + 1) if ids[i:i + n - 1] == last}


def keep_typical(p, mass):
    """p (V,) -> (V,)"""
    surprise = -np.log(p)
    distance = np.abs(surprise - (p * surprise).sum())
    kept, total = np.zeros_like(p), 0.0
    for word in np.argsort(distance):
        kept[word] = p[word]
        total += p[word]
        if total >= mass:
            break
    return kept / total


def windowed_step(query, key, value, cache, window):
    """query, key, value (D,) -> out (D,), cache"""
    keys, values = (np.empty((0, len(key))), np.empty((0, len(value)))) if cache is None else cache
    keys = np.concatenate([keys, key[None]])[-window:]
    values = np.concatenate([values, value[None]])[-window:]
    scores = keys @ query / math.sqrt(len(query))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, (keys, values)


def beam_search(log_probabilities, width, length, end):
    """-> ids (tuple), total log-probability"""
    beam = [((), 0.0)]
    for _ in range(length):
        longer = []
        for ids, total in beam:
            if ids and ids[-1] == end:
                longer.append((ids, total))
            else:
                longer += [(ids + (word,), total + float(logp)) for word, logp in enumerate(log_probabilities(ids))]
        beam = sorted(longer, key=lambda text: -text[1])[:width]
        if all(ids[-1] == end for ids, _ in beam):
            break
    return beam[0]
