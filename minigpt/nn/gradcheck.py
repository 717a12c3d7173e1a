"""Is a hand-written backward right? Compare it with finite differences along random directions.

A backward that is wrong in one entry in a thousand passes a check that perturbs a few indices. A random direction touches
every entry at once, a random cotangent weighs every output, and float64 leaves room for a relative tolerance of 1e-6.
"""
import numpy as np

TOLERANCE = 1e-6


def directional_error(f, gradient, x, rng, step=1e-4):
    """Relative difference between <gradient, u> and the slope of f along a random unit direction u, at x.

    f(x) -> float, x and gradient (...) float64 -> error >= 0. The slope is Richardson's extrapolation of two central
    differences, exact to O(step^4): a plain central difference would leave 1e-6 out of reach for a deep network.
    """
    u = rng.normal(size=x.shape)
    u /= np.sqrt((u * u).sum())

    def central(h):
        return (f(x + h * u) - f(x - h * u)) / (2.0 * h)

    slope = (4.0 * central(step / 2.0) - central(step)) / 3.0
    claimed = float((gradient * u).sum())
    # two exact zeros agree; the floor is the rounding of f divided by the step
    return abs(slope - claimed) / max(abs(slope), abs(claimed), 1e-9 * max(1.0, abs(f(x))))


def check_operation(forward, backward, inputs, rng, directions=3):
    """Largest error of an operation's backward, over its floating-point inputs and several directions.

    forward(*inputs) -> out, cache; backward(dout, cache) -> one gradient per float64 array among the inputs, in order.
    """
    out, cache = forward(*inputs)
    cotangent = rng.normal(size=out.shape)
    grads = backward(cotangent, cache)
    grads = [g for g in (grads if isinstance(grads, tuple) else (grads,)) if g is not None]
    floats = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype == np.float64][: len(grads)]
    if len(floats) != len(grads):
        raise ValueError(f"the backward returned {len(grads)} gradients for {len(floats)} float64 inputs; return one for each, in order")
    worst = 0.0
    for i, gradient in zip(floats, grads):
        def f(x, i=i):
            return float((forward(*inputs[:i], x, *inputs[i + 1 :])[0] * cotangent).sum())

        errors = [directional_error(f, gradient, inputs[i], rng) for _ in range(directions)]
        worst = float(np.max([worst, *errors]))  # unlike max(), lets NaN through
    return worst


def check_model(model, loss, rng, directions=1):
    """Error of every parameter's gradient: name -> relative error.

    model: float64, its parameters moved off their initial values (`perturb`). loss(model, backward) -> float; with
    backward=True it also adds the gradients into model.grads.
    """
    model.grads.flat[:] = 0.0
    loss(model, True)
    errors = {}
    for name, view in model.params.items():
        def f(x, name=name):
            model.params[name] = x
            return loss(model, False)

        x = view.copy()
        errors[name] = float(np.max([directional_error(f, model.grads[name], x, rng) for _ in range(directions)]))  # NaN stays NaN
        model.params[name] = x
    return errors


def perturb(model, rng, scale=0.2):
    """Add noise to every parameter: while a gain is 1 or a bias 0, a backward that forgets it looks right."""
    for view in model.params.values():
        view += rng.normal(0.0, scale, view.shape)
    return model
