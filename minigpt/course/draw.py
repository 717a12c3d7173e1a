"""Random inputs for the tests of exercises, drawn by name, so that a failing one can be drawn again smaller."""
import numpy as np


class Draw:
    """One test input. The same seed and limits give the same input; a smaller limit on one name leaves the others as they are.

    limits: {name: largest value allowed for that integer}. decimals: arrays are rounded to so many decimals, None: not.
    """

    def __init__(self, seed, limits=None, decimals=None):
        self.seed = seed
        self.limits = limits or {}
        self.decimals = decimals
        self.ranges = {}  # name -> smallest possible value and value, of each integer drawn
        self.values = {}  # name -> value, in the order of drawing

    def rng(self, name):
        """A generator of its own for each name."""
        return np.random.default_rng([self.seed, *name.encode()])

    def integer(self, name, low, high):
        """-> int from low to high, both included"""
        value = min(int(self.rng(name).integers(low, high + 1)), max(low, self.limits.get(name, high)))
        self.ranges[name] = low, value
        self.values[name] = value
        return value

    def array(self, name, *shape, scale=1.0):
        """-> float64 array of this shape, normally distributed with this standard deviation"""
        values = self.rng(name).normal(0.0, scale, shape)
        if self.decimals is not None:
            values = values.round(self.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0, which reads better
        self.values[name] = values
        return values

    def integers(self, name, low, high, *shape):
        """-> int array of this shape, entries from low to high, both included"""
        self.values[name] = self.rng(name).integers(low, high + 1, shape)
        return self.values[name]

    def choice(self, name, options):
        """-> one of the options; put the simplest first"""
        self.values[name] = options[self.integer(name, 0, len(options) - 1)]
        return self.values[name]


def shrink(fails, draw):
    """The smallest failing input that greedy search finds.

    fails(draw) -> whether the test fails on it; draw: a failing one -> a failing Draw, at most as large
    """
    for decimals in (0, 1):
        smaller = Draw(draw.seed, draw.limits, decimals)
        if fails(smaller):
            draw = smaller
            break
    while True:
        for limits in _smaller_limits(draw):
            smaller = Draw(draw.seed, limits, draw.decimals)
            if fails(smaller):
                draw = smaller
                break
        else:
            return draw


def _smaller_limits(draw):
    """Every way to lower one integer of a draw, the boldest first."""
    for name, (low, value) in draw.ranges.items():
        for smaller in range(low, value):
            yield {**draw.limits, name: smaller}


def expect_close(actual, expected, what, tolerance=1e-9):
    """AssertionError in one or two lines when an answer has another shape or value; tolerance is relative and absolute."""
    assert actual is not None, f"{what}: got None; is there a return?"
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    wrong = ~np.isclose(actual, expected, rtol=tolerance, atol=tolerance)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at {list(where)}" if where else ""
        got, wanted = f"{actual[where]:.6g}", f"{expected[where]:.6g}"
        if got == wanted:
            got, wanted = f"{actual[where]:.15g}", f"{expected[where]:.15g}, off by {abs(actual[where] - expected[where]):.2g}"
        raise AssertionError(f"{what}{place}: got {got}, expected {wanted}")
