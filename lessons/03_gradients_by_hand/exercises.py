"""Exercises of lesson 03. Replace each `raise` by your code, then: python -m minigpt grade 03

All arrays are float64. dy always is the slope of the loss with respect to the output y, and has y's shape.
"""


def scale_shift_backward(dy, x, gain):
    """The backward of y[n, c] = x[n, c] * gain[c] + bias[c].

    dy (N, C), x (N, C), gain (C,) -> dx (N, C), dgain (C,), dbias (C,)
    """
    raise NotImplementedError("03.1 scale and shift (2 points)")


def smoothed_loss_backward(logits, targets, epsilon):
    """The slope of a loss that expects a little of everything.

    The loss is the average over the rows n of   - sum over w of t[n, w] * ln p[n, w]
    with p = softmax(logits) and t = epsilon / V for every w, plus 1 - epsilon for the target of the row.
    logits (N, V), some as large as 1000; targets (N,) int -> dlogits (N, V)
    """
    raise NotImplementedError("03.2 smoothed targets (3 points)")


def two_token_backward(dy, x, here, before):
    """The backward of a layer that sees the token before: y[t] = x[t] @ here + x[t - 1] @ before, and y[0] = x[0] @ here.

    dy (T, O), x (T, C), here (C, O), before (C, O) -> dx (T, C), dhere (C, O), dbefore (C, O)
    """
    raise NotImplementedError("03.3 two tokens (3 points)")


def is_right(f, gradient, x):
    """Whether `gradient` is the gradient of f at x. A wrong one may be off in one number only, by one percent of the
    largest, or in all by 1 in 1000, or have two numbers exchanged: reject it. f may be tiny or huge.

    f(array) -> float, smooth; gradient and x arrays of one shape -> bool. Call f at most 50 times.
    """
    raise NotImplementedError("03.4 a gradient check (4 points)")
