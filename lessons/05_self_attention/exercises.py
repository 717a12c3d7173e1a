"""Exercises of lesson 05. Replace each `raise` by your code, then: python -m minigpt grade 05

T places, D numbers in a query, H query heads, K key heads. All arrays are float64.
"""


def attention_weights(q, k):
    """The causal attention weights of one head; try it without loops.

    q (T, D), k (T, D) -> weights (T, T): row t adds up to 1 and is 0 after column t. Scores may be as large as 1000.
    """
    raise NotImplementedError("05.1 attention weights (2 points)")


def windowed_attention(q, k, v, window):
    """Causal attention of one head in which place t sees only itself and the window - 1 places before it.

    q, k, v (T, D), window at least 1 -> out (T, D)
    """
    raise NotImplementedError("05.2 windowed attention (3 points)")


def grouped_attention(q, k, v):
    """Causal attention with fewer key heads than query heads: query heads 0 to H/K - 1 share key head 0, and so on.

    q (T, H, D), k and v (T, K, D), H a multiple of K -> out (T, H, D)
    """
    raise NotImplementedError("05.3 grouped queries (3 points)")


def streaming_attention(query, pairs):
    """Attention of one query over keys and values that arrive one at a time and cannot be kept.

    query (D,), pairs an iterator of (key (D,), value (D,)) with at least one pair -> out (D,)
    You may go through pairs once, and keep only a few numbers and vectors. Scores may be as large as 1000.
    """
    raise NotImplementedError("05.4 attention over a stream (4 points)")
