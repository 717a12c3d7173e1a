"""Exercises of lesson 09. Replace each `raise` by your code, then: python -m minigpt grade 09

Nothing is timed here: the tests ask what your code reads and keeps, not how long it takes. All arrays are float64.
"""


def least_seconds(M, K, N, peak, bandwidth):
    """The time that the roofline allows for one matrix product of float32 numbers: not less than for computing, nor for moving.

    a (M, K) @ b (K, N); each number of a, b and the result moves once, 4 bytes each. peak in operations per second,
    bandwidth in bytes per second -> seconds (float)
    """
    raise NotImplementedError("09.1 the roofline (2 points)")


def product_in_pieces(a, b, multiply, size):
    """a @ b, where the only thing that can multiply is a small machine.

    a (M, K), b (K, N) -> out (M, N). multiply(x, y) returns x @ y for x and y of at most `size` rows and `size` columns
    and refuses larger ones. Call it as often as needed, but no more: every piece once.
    """
    raise NotImplementedError("09.2 pieces that fit (3 points)")


def merge(first, second):
    """Two halves of one softmax become one, as when two threads have read half of the keys each.

    first, second: (largest score, sum of e^(score - largest), the values weighted with e^(score - largest) and summed (D,)).
    -> the same three of both halves together. A half may be empty: (-inf, 0.0, zeros). Scores may be as large as 1000.
    """
    raise NotImplementedError("09.3 two halves of a softmax (3 points)")


def attention_backward(dout, q, k, v, out, L, size):
    """The backward of causal attention of one head from the log-sum-exp L of every query, without a (T, T) table.

    dout, q, k, v, out (T, D), L (T,), size: the piece you may work on -> dq, dk, dv (T, D)
    No array may be larger than T times the larger of D and size.
    """
    raise NotImplementedError("09.4 backward without the table (5 points)")
