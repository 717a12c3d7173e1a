"""The tests that `python -m minigpt grade 08` runs. Expected values come from loops, from whole batches and from NumPy's svd."""
import math

import numpy as np

from minigpt.course.draw import expect_close


def test_1_steps(exercises, draw):
    """several steps in a row follow the rule, weight by weight"""
    n, steps, mu = draw.integer("n", 1, 4), draw.integer("steps", 1, 5), draw.choice("mu", (0.5, 0.9, 0.0))
    w, m, gradients = draw.array("w", n), draw.array("m", n), draw.array("gradients", steps, n)
    expected_w, expected_m = w.tolist(), m.tolist()
    for g in gradients:
        for i in range(n):
            expected_m[i] = mu * expected_m[i] + g[i]
            expected_w[i] -= 0.1 * (mu * expected_m[i] + g[i])
        w, m = exercises.nesterov(w, g.copy(), m, 0.1, mu)
    expect_close(m, expected_m, "m[i]")
    expect_close(w, expected_w, "w[i]")


def test_1_in_place(exercises, draw):
    """the arguments stay as they are"""
    w, g, m = (draw.array(name, 3) for name in ("w", "g", "m"))
    kept = [x.copy() for x in (w, g, m)]
    exercises.nesterov(w, g, m, 0.1, 0.9)
    for name, now, before in zip(("w", "g", "m"), (w, g, m), kept):
        expect_close(now, before, f"{name} after the call")


def test_2_whole(exercises, draw):
    """loss and gradient are those of the mean over all tokens that count"""
    n, count = draw.integer("n", 1, 3), draw.integer("pieces", 1, 4)
    pieces, losses, gradients = [], [], []
    for number in range(count):
        tokens = draw.integer(f"tokens of piece {number}", 0, 6)
        each, slopes = draw.array(f"losses {number}", tokens), draw.array(f"gradients {number}", tokens, n)
        losses += each.tolist()
        gradients += slopes.tolist()
        pieces.append((float(each.mean()), slopes.mean(axis=0), tokens) if tokens else (0.0, np.zeros(n), 0))
    kept = [gradient.copy() for _, gradient, _ in pieces]
    loss, gradient = exercises.combine(pieces)
    for number, (_, now, _) in enumerate(pieces):
        expect_close(now, kept[number], f"gradient of piece {number} after the call")
    expect_close(loss, np.mean(losses) if losses else 0.0, "loss")
    expect_close(gradient, np.mean(gradients, axis=0) if losses else np.zeros(n), "gradient[i]")


def test_2_empty(exercises, draw):
    """a batch in which no token counts has loss 0 and gradient zeros"""
    n, count = draw.integer("n", 1, 3), draw.integer("pieces", 1, 3)
    loss, gradient = exercises.combine([(0.0, np.zeros(n), 0)] * count)
    expect_close(loss, 0.0, "loss")
    expect_close(gradient, np.zeros(n), "gradient[i]")


def test_3_values(exercises, draw):
    """the factor at every step of the first cycles"""
    first, growth = draw.integer("first", 1, 6), draw.integer("growth", 1, 3)
    lowest = draw.choice("lowest", (0.0, 0.1))
    expected, length = [], first
    for _ in range(3):  # three cycles, listed one after the other
        expected += [lowest + (1 - lowest) * (1 + math.cos(math.pi * i / length)) / 2 for i in range(length)]
        length *= growth
    expect_close([exercises.restarts(step, first, growth, lowest) for step in range(len(expected))], expected, "factor[step]")


def test_4_values(exercises, draw):
    """the nearest orthogonal matrix: U V^T of the singular value decomposition U S V^T"""
    n, m = draw.integer("n", 1, 6), draw.integer("m", 1, 6)
    matrix = draw.array("matrix", n, m)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = np.geomspace(1.0, draw.choice("smallest singular value", (1.0, 0.1, 0.001)), len(s))
    matrix = draw.choice("size", (1.0, 100.0, 1e-4)) * (u * s) @ vt
    given = draw.values["matrix"] = matrix.copy()
    expect_close(exercises.nearest_orthogonal(given), u @ vt, "entry", 1e-8)
    assert np.array_equal(given, matrix), "the matrix was changed"


def test_4_large(exercises, draw):
    """as exact on a large matrix with one weak direction"""
    u, _, vt = np.linalg.svd(draw.rng("matrix").normal(size=(64, 64)))
    strengths = np.append(np.ones(63), 0.001)
    expect_close(exercises.nearest_orthogonal((u * strengths) @ vt), u @ vt, "entry", 1e-8)


def test_4_products(exercises, draw):
    """no svd, eig, inv or qr is called"""
    names = ("svd", "eig", "eigh", "inv", "pinv", "qr", "solve")
    kept = {name: getattr(np.linalg, name) for name in names}

    assert not any(thing is function for thing in vars(exercises).values() for function in kept.values()), "products of matrices only"

    def refuse(*_, **__):
        raise AssertionError("products of matrices only")

    matrix = np.eye(3) + 0.1 * draw.array("matrix", 3, 3)
    try:
        for name in names:
            setattr(np.linalg, name, refuse)
        answer = exercises.nearest_orthogonal(matrix.copy())
    finally:
        for name, function in kept.items():
            setattr(np.linalg, name, function)
    expect_close(answer @ answer.T, np.eye(3), "answer @ answer.T", 1e-8)
