"""The tests that `python -m minigpt grade 06` runs. Each forward is written in loops here, and its slopes are measured."""
import math

import numpy as np

from minigpt.course.draw import expect_close

CLOSE = 1e-6  # what a measured slope is good for


def slopes(function, x, step=1e-5):
    """The slope of function(x) -> float with respect to every entry of x."""
    measured = np.zeros(np.shape(x))
    for place in np.ndindex(np.shape(x)):
        nudge = np.zeros(np.shape(x))
        nudge[place] = step
        measured[place] = (function(x + nudge) - function(x - nudge)) / (2 * step)
    return measured


def weights_of(scores):
    largest = max(scores)
    exponentials = [math.exp(score - largest) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


def test_1_scores(exercises, draw):
    """ds is the measured slope"""
    T, temperature = draw.integer("T", 1, 6), draw.choice("temperature", (1.0, 0.5, 2.0, 3.0))
    s, dp = draw.array("s", T), draw.array("dp", T)
    p = np.array(weights_of(s / temperature))
    ds, _ = exercises.tempered_softmax_backward(dp.copy(), p, s.copy(), temperature)
    expect_close(ds, slopes(lambda x: np.dot(weights_of(x / temperature), dp), s), "ds[i]", CLOSE)


def test_1_temperature(exercises, draw):
    """dtemperature is the measured slope"""
    T, temperature = draw.integer("T", 1, 6), draw.choice("temperature", (1.0, 0.5, 2.0, 3.0))
    s, dp = draw.array("s", T), draw.array("dp", T)
    p = np.array(weights_of(s / temperature))
    _, dtemperature = exercises.tempered_softmax_backward(dp.copy(), p, s.copy(), temperature)
    expect_close(dtemperature, slopes(lambda t: np.dot(weights_of(s / t), dp), temperature), "dtemperature", CLOSE)


def test_2_values(exercises, draw):
    """dgate and dup are the measured slopes, with shut doors among them"""
    n, m = draw.integer("rows", 1, 3), draw.integer("columns", 1, 5)
    gate, up, dy = (draw.array(name, n, m) for name in ("gate", "up", "dy"))
    gate += 0.01 * (gate == 0.0)  # not on the kink's edge, where a step of both signs would see two slopes

    def y(gate, up):
        return sum(dy[i] * max(gate[i], 0.0) ** 2 * up[i] for i in np.ndindex(n, m))

    dgate, dup = exercises.squared_relu_gate_backward(dy.copy(), gate.copy(), up.copy())
    expect_close(dgate, slopes(lambda x: y(x, up), gate), "dgate", CLOSE)
    expect_close(dup, slopes(lambda x: y(gate, x), up), "dup", CLOSE)


def test_3_values(exercises, draw):
    """dx and dgain are the measured slopes"""
    n, C = draw.integer("N", 1, 3), draw.integer("C", 1, 5)
    x, dy, gain = draw.array("x", n, C), draw.array("dy", n, C), draw.array("gain", C)
    x[:, 0] += 2.0 * (np.abs(x).sum(axis=1) < 0.5)  # keep away from the zero row

    def y(x, gain):
        lengths = [math.sqrt(sum(value * value for value in row)) for row in x.tolist()]
        return sum(dy[r, c] * gain[c] * x[r, c] / lengths[r] for r in range(n) for c in range(C))

    dx, dgain = exercises.length_norm_backward(dy.copy(), x.copy(), gain.copy())
    expect_close(dx, slopes(lambda z: y(z, gain), x), "dx", CLOSE)
    expect_close(dgain, slopes(lambda z: y(x, z), gain), "dgain", CLOSE)


def sink_attention(q, k, v, sink):
    T, D = q.shape
    out = np.zeros((T, D))
    for t in range(T):
        scores = [float(q[t] @ k[j]) / math.sqrt(D) for j in range(t + 1)]
        for weight, j in zip(weights_of([*scores, float(sink)]), range(t + 1)):
            out[t] += weight * v[j]
    return out


def test_4_values(exercises, draw):
    """dq, dk, dv and dsink are the measured slopes"""
    T, D = draw.integer("T", 1, 4), draw.integer("D", 1, 3)
    q, k, v, do = (draw.array(name, T, D) for name in ("q", "k", "v", "do"))
    sink = float(draw.array("sink", 1)[0])
    dq, dk, dv, dsink = exercises.sink_attention_backward(do.copy(), q.copy(), k.copy(), v.copy(), sink)
    expect_close(dv, slopes(lambda x: (sink_attention(q, k, x, sink) * do).sum(), v), "dv[j, d]", CLOSE)
    expect_close(dq, slopes(lambda x: (sink_attention(x, k, v, sink) * do).sum(), q), "dq[t, d]", CLOSE)
    expect_close(dk, slopes(lambda x: (sink_attention(q, x, v, sink) * do).sum(), k), "dk[j, d]", CLOSE)
    expect_close(dsink, slopes(lambda x: (sink_attention(q, k, v, x) * do).sum(), sink), "dsink", CLOSE)


def test_4_far(exercises, draw):
    """a sink of -1000 is no sink, a sink of +1000 takes everything, and nothing overflows"""
    T, sign = draw.integer("T", 1, 4), draw.choice("sign of the sink", (-1, 1))
    q, k, v, do = (draw.array(name, T, 2) for name in ("q", "k", "v", "do"))
    dq, _, dv, dsink = exercises.sink_attention_backward(do.copy(), q.copy(), k.copy(), v.copy(), 1000.0 * sign)
    expect_close(dsink, 0.0, "dsink")
    if sign < 0:
        expect_close(dv.sum(), do.sum(), "sum of dv, all weight is on the words")
    else:
        expect_close(np.abs(dv).max() + np.abs(dq).max(), 0.0, "largest entry of dv plus largest entry of dq")
