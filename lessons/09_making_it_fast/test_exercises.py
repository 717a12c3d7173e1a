"""The tests that `python -m minigpt grade 09` runs. Expected values come from loops and formulas written here."""
import math
import tracemalloc

import numpy as np

from minigpt.course.draw import expect_close


def test_1_roof(exercises, draw):
    """the time is the longer of computing and moving"""
    M, K, N = (draw.integer(name, 1, 600) for name in "MKN")
    peak, bandwidth = 1e9 * draw.integer("GFLOP/s", 1, 300), 1e9 * draw.integer("GB/s", 1, 60)
    operations = sum(2 * N for _ in range(M) for _ in range(K))
    numbers = sum(rows * columns for rows, columns in ((M, K), (K, N), (M, N)))
    expected = operations / peak if operations / peak > 4 * numbers / bandwidth else 4 * numbers / bandwidth
    answer = exercises.least_seconds(M, K, N, peak, bandwidth)
    expect_close(answer * 1e9, expected * 1e9, "nanoseconds")


def small_machine(size, calls):
    """A product that takes no piece larger than size and writes down what it was given."""
    def multiply(x, y):
        assert max(*x.shape, *y.shape) <= size, f"pieces {x.shape} and {y.shape}: at most {size} rows and columns"
        assert min(*x.shape, *y.shape) > 0, f"pieces {x.shape} and {y.shape}: empty"
        calls.append((*x.shape, y.shape[1]))
        return x @ y
    return multiply


def test_2_values(exercises, draw):
    """the product is right for every size, also when nothing divides anything"""
    M, K, N, size = (draw.integer(name, 1, 9) for name in ("M", "K", "N", "size"))
    a, b = draw.array("a", M, K), draw.array("b", K, N)
    expected = [[math.fsum(a[i, k] * b[k, j] for k in range(K)) for j in range(N)] for i in range(M)]
    expect_close(exercises.product_in_pieces(a.copy(), b.copy(), small_machine(size, []), size), expected, "out[i, j]")


def test_2_machine(exercises, draw):
    """the machine does all the work, with as few calls as possible"""
    M, K, N, size = (draw.integer(name, 1, 9) for name in ("M", "K", "N", "size"))
    calls = []
    exercises.product_in_pieces(np.ones((M, K)), np.ones((K, N)), small_machine(size, calls), size)
    assert sum(math.prod(call) for call in calls) == M * K * N, "the machine did not do M K N multiplications"
    assert len(calls) == math.prod(math.ceil(n / size) for n in (M, K, N)), f"{len(calls)} calls"


def half_of(scores, values):
    """What someone knows who has read these scores (list of floats) and values (n, D)."""
    if not len(scores):
        return -math.inf, 0.0, np.zeros(values.shape[1])
    largest = max(scores)
    weights = [math.exp(score - largest) for score in scores]
    return largest, math.fsum(weights), sum(weight * value for weight, value in zip(weights, values))


def check_merge(exercises, scores, values, cut):
    largest, total, weighted = exercises.merge(half_of(scores[:cut], values[:cut]), half_of(scores[cut:], values[cut:]))
    expected = half_of(scores, values)
    expect_close(largest, expected[0], "largest score")
    expect_close(total, expected[1], "sum of exponentials")
    expect_close(weighted, expected[2], "weighted values")


def test_3_values(exercises, draw):
    """two halves give what one reader of everything would have, wherever the cut is"""
    T, D = draw.integer("T", 1, 7), draw.integer("D", 1, 4)
    check_merge(exercises, draw.array("scores", T).tolist(), draw.array("values", T, D), draw.integer("cut", 0, T))


def test_3_large(exercises, draw):
    """scores near 1000 and near -1000 neither overflow nor vanish"""
    T = draw.integer("T", 1, 7)
    scores = (draw.choice("around", (0.0, 1000.0, -1000.0)) + draw.array("scores", T)).tolist()
    check_merge(exercises, scores, draw.array("values", T, 2), draw.integer("cut", 0, T))


def test_3_empty(exercises, draw):
    """two empty halves are an empty whole"""
    D = draw.integer("D", 1, 4)
    check_merge(exercises, [], np.zeros((0, D)), 0)


def whole_table(q, k, v, dout):
    """Causal attention with its table -> out, log-sum-exp (T,), dq, dk, dv by lesson 06's formulas, query by query."""
    T, D = q.shape
    out, L, dq, dk, dv = np.zeros_like(v), np.zeros(T), np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for t in range(T):
        scores = k[:t + 1] @ q[t] / math.sqrt(D)
        L[t] = scores.max() + math.log(np.exp(scores - scores.max()).sum())
        p = np.exp(scores - L[t])
        out[t] = p @ v[:t + 1]
        dp = v[:t + 1] @ dout[t]
        ds = p * (dp - p @ dp) / math.sqrt(D)
        dq[t] = ds @ k[:t + 1]
        dk[:t + 1] += np.outer(ds, q[t])
        dv[:t + 1] += np.outer(p, dout[t])
    return out, L, dq, dk, dv


def test_4_values(exercises, draw):
    """the gradients are those of the attention with its table"""
    T, D, size = draw.integer("T", 1, 9), draw.integer("D", 1, 4), draw.integer("size", 1, 5)
    q, k, v, dout = (draw.array(name, T, D) for name in ("q", "k", "v", "dout"))
    out, L, *expected = whole_table(q, k, v, dout)
    answer = exercises.attention_backward(dout.copy(), q.copy(), k.copy(), v.copy(), out, L, size)
    for name, got, wanted in zip(("dq", "dk", "dv"), answer, expected, strict=True):
        expect_close(got, wanted, f"{name}[t, d]", 1e-8)


def test_4_memory(exercises, draw):
    """a text of 400 tokens needs less memory than a table of 400 x 400 bytes"""
    T, D, size = 400, 2, draw.integer("size", 2, 3)
    if draw.seed % 4:  # measuring is slow: one input in four
        return
    q, k, v, dout = (draw.array(name, T, D) for name in ("q", "k", "v", "dout"))
    out, L, *_ = whole_table(q, k, v, dout)
    tracemalloc.start()
    try:
        exercises.attention_backward(dout, q, k, v, out, L, size)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < T * T, f"{most:,d} bytes at a time; the table alone would have {8 * T * T:,d}"
