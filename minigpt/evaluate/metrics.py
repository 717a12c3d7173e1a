"""Scores with their uncertainty."""
import math

import numpy as np

from minigpt.nn import losses


def wilson(right, n, z=1.96):
    """95 % interval of a proportion (Wilson 1927): honest for small n and for proportions near 0 or 1. -> (low, high)"""
    if n == 0:
        return 0.0, 1.0
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def paired(first, second):
    """Two models on the same prompts -> (only the first right, only the second right, p-value).

    first, second: lists of bool. The exact sign test (McNemar 1947): prompts on which both agree say nothing about which is
    better; if neither is, the others fall to either side like a coin.
    """
    only_first = sum(bool(a and not b) for a, b in zip(first, second, strict=True))  # whole numbers of any size: 2**n is large
    only_second = sum(bool(b and not a) for a, b in zip(first, second, strict=True))
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    return only_first, only_second, min(1.0, 2.0 * tail)


def bits_per_byte(model, tok, documents):
    """How many bits the model needs per byte of UTF-8 text: comparable between tokenizers, unlike nats per token.

    documents: texts. Each is read from its beginning, which costs nothing, and counted up to <|endoftext|>; the part of a
    document beyond the context is left out.
    """
    end, limit = tok.special_tokens["<|endoftext|>"], model.config.block_size
    nats, size = 0.0, 0
    for document in filter(None, documents):
        ids = np.array(tok.encode_ordinary(document) + [end], np.int32)[: limit + 1]
        logits, _ = model.forward(ids[None, :-1])  # (1, T, V)
        nats += losses.negative_log_likelihood(logits[0], ids[1:], ops=model.ops)[0]
        size += len(tok.decode_bytes(ids[1:][ids[1:] != end]))
    return nats / math.log(2.0) / max(size, 1)
