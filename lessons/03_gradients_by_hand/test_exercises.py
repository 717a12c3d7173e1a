"""The tests that `python -m minigpt grade 03` runs. The expected slopes are measured, never derived."""
import math

import numpy as np

from minigpt.course.draw import expect_close


def slopes(loss, x):
    """loss() -> float, x an array that loss reads -> the slope of the loss for each number of x, measured"""
    measured = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        value = x[place]
        x[place] = value + 1e-5
        up = loss()
        x[place] = value - 1e-5
        measured[place] = (up - loss()) / 2e-5
        x[place] = value
    return measured


def expect_slopes(loss, inputs, got):
    assert isinstance(got, (tuple, list)) and len(got) == len(inputs), f"expected {len(inputs)} arrays: {', '.join('d' + name for name in inputs)}"
    for (name, x), slope in zip(inputs.items(), got):
        expect_close(slope, slopes(loss, x), f"d{name}", tolerance=1e-7)


def test_1_values(exercises, draw):
    """each slope is the measured one"""
    N, C = draw.integer("N", 1, 5), draw.integer("C", 1, 4)
    x, gain, bias, dy = draw.array("x", N, C), draw.array("gain", C), np.zeros(C), draw.array("dy", N, C)

    def loss():
        return sum(dy[n, c] * (x[n, c] * gain[c] + bias[c]) for n in range(N) for c in range(C))

    expect_slopes(loss, {"x": x, "gain": gain, "bias": bias}, exercises.scale_shift_backward(dy.copy(), x.copy(), gain.copy()))


def test_2_values(exercises, draw):
    """each slope is the measured one"""
    N, V = draw.integer("N", 1, 4), draw.integer("V", 2, 5)
    logits, targets = draw.array("logits", N, V, scale=2.0), draw.integers("targets", 0, V - 1, N)
    epsilon = draw.choice("epsilon", [0.1, 0.0, 0.5])

    def loss():
        total = 0.0
        for row, target in zip(logits.tolist(), targets):
            log_sum = math.log(sum(math.exp(z) for z in row))
            total -= sum((epsilon / V + (1 - epsilon) * (w == target)) * (z - log_sum) for w, z in enumerate(row))
        return total / N

    got = exercises.smoothed_loss_backward(logits.copy(), targets.copy(), epsilon)
    expect_close(got, slopes(loss, logits), "dlogits", tolerance=1e-7)


def test_2_large(exercises, draw):
    """logits near 1000 do not overflow: a number added to a whole row changes nothing"""
    V, targets = draw.integer("V", 2, 5), np.array([0, 1])
    logits = draw.array("logits", 2, V)
    got = exercises.smoothed_loss_backward(logits + np.array([[1000.0], [-1000.0]]), targets.copy(), 0.1)
    expect_close(got.sum(axis=1), np.zeros(2), "sum of row")
    expect_close(got, exercises.smoothed_loss_backward(logits.copy(), targets.copy(), 0.1), "dlogits")


def test_3_values(exercises, draw):
    """each slope is the measured one"""
    T, C, O = draw.integer("T", 1, 5), draw.integer("C", 1, 3), draw.integer("O", 1, 3)
    x, here, before = draw.array("x", T, C), draw.array("here", C, O), draw.array("before", C, O)
    dy = draw.array("dy", T, O)

    def loss():
        y = [x[t] @ here + (x[t - 1] @ before if t else 0.0) for t in range(T)]
        return sum((y[t] * dy[t]).sum() for t in range(T))

    got = exercises.two_token_backward(dy.copy(), x.copy(), here.copy(), before.copy())
    expect_slopes(loss, {"x": x, "here": here, "before": before}, got)


def draw_function(draw, longest):
    """A smooth function with its gradient at a point; small, usual or huge."""
    n, scale = draw.integer("numbers in x", 2, longest), draw.choice("size of f", [1.0, 1e-5, 1e5])
    a, b, x = draw.array("a", n) + 3.0, draw.array("b", n), draw.array("x", n)
    draw.values["a"], calls = a, []

    def f(point):
        calls.append(1)
        assert len(calls) <= 50, "f was called more than 50 times"
        return float(scale * (a * np.sin(b + point)).sum())

    return f, scale * a * np.cos(b + x), x


def test_4_accepts(exercises, draw):
    """a right gradient is accepted, of a row of numbers and of a table"""
    f, gradient, x = draw_function(draw, 200)
    if draw.choice("x is a table of one column", [False, True]):
        row, gradient, x = f, gradient[:, None], x[:, None]

        def f(point):
            assert point.shape == x.shape, f"f was asked about a point of shape {point.shape}, x has {x.shape}"
            return row(point[:, 0])

    draw.values |= {"f(x)": "size of f * sum of a sin(b + x)", "gradient given": gradient}
    assert exercises.is_right(f, gradient.copy(), x.copy()), "a right gradient was rejected"


def test_4_rejects(exercises, draw):
    """a wrong gradient is rejected: a number off by one percent, all off by 1 in 1000, two exchanged, all zero"""
    f, gradient, x = draw_function(draw, 200)
    kind = draw.choice("mistake", ["largest number off by one percent", "all too large by 1 in 1000", "two exchanged", "all zero", "smallest number off"])
    wrong = gradient.copy()
    largest = np.abs(gradient).argmax()
    if kind == "largest number off by one percent":
        wrong[largest] *= 1.01
    elif kind == "all too large by 1 in 1000":
        wrong *= 1.001
    elif kind == "two exchanged":
        other = np.abs(gradient - gradient[largest]).argmax()
        wrong[largest], wrong[other] = gradient[other], gradient[largest]
    elif kind == "all zero":
        wrong[:] = 0.0
    else:
        wrong[np.abs(gradient).argmin()] += 0.01 * np.abs(gradient).max()
    draw.values |= {"f(x)": "size of f * sum of a sin(b + x)", "gradient given": wrong, "right gradient": gradient}
    assert not exercises.is_right(f, wrong, x.copy()), f"a wrong gradient was accepted: {kind}"
