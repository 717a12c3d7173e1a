"""The tests that `python -m minigpt grade 07` runs. Expected values come from loops, listed shapes or measured slopes."""
import math

import numpy as np

from minigpt.config import GPTConfig
from minigpt.course.draw import expect_close
from minigpt.nn.gpt import transformer_specs


def test_1_rows(exercises, draw):
    """the target of each place is the token after it"""
    T, N = draw.integer("T", 1, 5), draw.integer("N", 6, 30)
    tokens = np.arange(N) * 3 % 31  # no two neighbours are equal
    inputs, targets = exercises.inputs_and_targets(tokens.copy(), T)
    starts = range(0, N - T, T)  # a row that starts at s needs the tokens s to s + T
    expect_close(inputs, [[tokens[s + t] for t in range(T)] for s in starts], "inputs[r, t]")
    expect_close(targets, [[tokens[s + t + 1] for t in range(T)] for s in starts], "targets[r, t]")


def test_2_count(exercises, draw):
    """the count is that of a model that lists its tensors"""
    V, L, D = draw.integer("vocab_size", 1, 50), draw.integer("n_layer", 1, 4), 2 * draw.integer("half the head size", 1, 4)
    K, G = draw.integer("n_kv_head", 1, 3), draw.integer("n_head / n_kv_head", 1, 3)
    shape = dict(vocab_size=V, n_layer=L, n_head=K * G, n_kv_head=K, n_embd=K * G * D, n_inner=draw.integer("n_inner", 1, 40))
    specs = transformer_specs(GPTConfig(**shape, norm="rmsnorm", mlp="swiglu", position="rope", bias=False, tie=False))
    expect_close(exercises.count_parameters(**shape), sum(math.prod(spec.shape) for spec in specs), "parameters")


def test_3_both(exercises, draw):
    """dtable is the sum of what both uses blame the table for, tokens that occur twice included"""
    B, T, C, V = draw.integer("B", 1, 3), draw.integer("T", 1, 4), draw.integer("C", 1, 3), draw.integer("V", 1, 4)
    ids = draw.integers("ids", 0, V - 1, B, T)
    dx, hidden, dlogits = draw.array("dx", B, T, C), draw.array("hidden", B, T, C), draw.array("dlogits", B, T, V)
    expected = np.zeros((V, C))
    for b, t, c in np.ndindex(B, T, C):
        expected[ids[b, t], c] += dx[b, t, c]
        for token in range(V):
            expected[token, c] += dlogits[b, t, token] * hidden[b, t, c]
    answer = exercises.tied_gradient(ids.copy(), dx.copy(), hidden.copy(), dlogits.copy(), V)
    expect_close(answer, expected, "dtable[v, c]")


def parts(draw, T, C):
    """Three pairs (forward, backward): one mixes places, one bends channels, one is a strange norm."""
    mix, bend, gain = draw.array("mix", T, T), draw.array("bend", C, C), 1.0 + draw.array("gain", C) ** 2
    attention = (lambda x: (np.sin(mix @ x), x)), (lambda d, x: mix.T @ (d * np.cos(mix @ x)))
    feed_forward = (lambda x: (np.tanh(x @ bend), x)), (lambda d, x: (d * (1 - np.tanh(x @ bend) ** 2)) @ bend.T)
    norm = (lambda x: (gain * x / (1 + x * x), x)), (lambda d, x: d * gain * (1 - x * x) / (1 + x * x) ** 2)
    return attention, feed_forward, norm


def test_4_forward(exercises, draw):
    """y is norm(h + feed_forward(h)) with h = norm(x + attention(x))"""
    T, C = draw.integer("T", 1, 4), draw.integer("C", 1, 4)
    attention, feed_forward, norm = parts(draw, T, C)
    x = draw.array("x", T, C)
    h = norm[0](x + attention[0](x)[0])[0]
    expect_close(exercises.post_norm_block(x.copy(), attention, feed_forward, norm)[0], norm[0](h + feed_forward[0](h)[0])[0], "y[t, c]")


def test_4_backward(exercises, draw):
    """backward(dy) is the measured slope"""
    T, C = draw.integer("T", 1, 4), draw.integer("C", 1, 4)
    attention, feed_forward, norm = parts(draw, T, C)
    x, dy = draw.array("x", T, C), draw.array("dy", T, C)
    _, backward = exercises.post_norm_block(x.copy(), attention, feed_forward, norm)

    def weighed(x):
        h = norm[0](x + attention[0](x)[0])[0]
        return (norm[0](h + feed_forward[0](h)[0])[0] * dy).sum()

    measured = np.zeros((T, C))
    for place in np.ndindex(T, C):
        nudge = np.zeros((T, C))
        nudge[place] = 1e-5
        measured[place] = (weighed(x + nudge) - weighed(x - nudge)) / 2e-5
    expect_close(backward(dy.copy()), measured, "dx[t, c]", 1e-6)
