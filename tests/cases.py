"""One row per operation and option: the inputs from which test_ops.py makes every check.

A shape is a word of the letters in SIZES ("BTC" is (3, 7, 6)), as in the docstrings of nn/ops.py.
Every size is above 1 and no two are equal, so that a wrong axis cannot go unseen. Parameters are far from their initial
values (a missing gain is invisible while the gain is 1) and inputs take both signs.
"""
from dataclasses import dataclass

import numpy as np
import pytest

SIZES = dict(B=3, T=7, C=6, O=13, V=11, N=9, H=8, K=2, D=10, E=5)  # E = D/2; four query heads share a key/value head


@dataclass(frozen=True)
class Case:
    op: str  # nn/ops.py defines op_forward and op_backward, naive.py defines op
    option: str
    wrt: str  # the differentiable inputs in the order of op_backward's results
    inputs: dict  # argument of op_forward -> function of a random generator, or the value itself

    @property
    def name(self):
        return f"{self.op}-{self.option}".replace(" ", "_")

    def arguments(self, dtype=np.float64):
        """-> dict for op_forward; the same numbers at every call, rounded to dtype. A generator starts afresh."""
        rng = np.random.default_rng(list(self.name.encode()))
        made = {name: value(rng) if callable(value) else value for name, value in self.inputs.items()}
        return {name: value.astype(dtype) if is_float(value) else value for name, value in made.items()}

    def gradient_names(self):
        return self.wrt.split()


def is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def shape_of(letters, sizes):
    return tuple({**SIZES, **sizes}[letter] for letter in letters)


def normal(letters, mean=0.0, **sizes):
    return lambda rng: mean + rng.standard_normal(shape_of(letters, sizes))


def integers(letters, below, **sizes):
    return lambda rng: rng.integers(0, {**SIZES, **sizes}[below], shape_of(letters, sizes))


def documents(**sizes):
    """starts (B, T) of rows in which a new document begins at about every fourth position."""
    def make(rng):
        begins = rng.random(shape_of("BT", sizes)) < 0.25
        return np.maximum.accumulate(np.where(begins, np.arange(begins.shape[1]), 0), axis=1)
    return make


def slopes(**sizes):
    return lambda rng: 0.1 + rng.random(shape_of("H", sizes))


def angles(function, letters):
    """cos or sin of the same irregular angles."""
    shape = shape_of(letters, {})
    return lambda rng: function(0.37 * np.arange(np.prod(shape)).reshape(shape) ** 1.1)


def generator(rng):
    return np.random.default_rng(7)


def attention(option, starts=None, slopes=None, **sizes):
    return Case("attention", option, "q k v", dict(q=normal("BTHD", **sizes), k=normal("BTKD", **sizes),
                                                   v=normal("BTKD", **sizes), starts=starts, slopes=slopes))


CASES = (
    Case("linear", "bias", "x weight bias", dict(x=normal("BTC"), weight=normal("CO"), bias=normal("O"))),
    Case("linear", "no bias", "x weight bias", dict(x=normal("BTC"), weight=normal("CO"), bias=None)),
    Case("linear", "several tiles", "x weight bias",
         dict(x=normal("BTC", T=89, C=300), weight=normal("CO", C=300, O=67), bias=normal("O", O=67))),
    Case("embedding", "repeated ids", "weight", dict(ids=integers("BT", below="V"), weight=normal("VC"))),
    Case("unembedding", "rows", "x weight", dict(x=normal("BTC"), weight=normal("VC"))),
    Case("unembedding", "several tiles", "x weight", dict(x=normal("BTC", T=89, C=300), weight=normal("VC", C=300, V=67))),
    Case("layernorm", "bias", "x gain bias", dict(x=normal("BTC", 0.5), gain=normal("C", 1.5), bias=normal("C"))),
    Case("layernorm", "no bias", "x gain bias", dict(x=normal("BTC", 0.5), gain=normal("C", 1.5), bias=None)),
    Case("layernorm", "large eps", "x gain bias", dict(x=normal("BTC"), gain=normal("C"), bias=normal("C"), eps=0.3)),
    Case("layernorm", "wide", "x gain bias", dict(x=normal("BTC", C=133), gain=normal("C", C=133), bias=normal("C", C=133))),
    Case("rmsnorm", "wide", "x gain", dict(x=normal("BTC", C=133), gain=normal("C", C=133))),
    Case("rmsnorm", "gain", "x gain", dict(x=normal("BTC", 0.5), gain=normal("C", 1.5))),
    Case("rmsnorm", "large eps", "x gain", dict(x=normal("BTC"), gain=normal("C"), eps=0.3)),
    Case("gelu", "tanh", "x", dict(x=normal("BTC"))),
    Case("gelu_erf", "erf", "x", dict(x=normal("BTC"))),
    Case("swiglu", "gated", "gate up", dict(gate=normal("BTC"), up=normal("BTC"))),
    Case("dropout", "training", "x", dict(x=normal("BTC"), p=0.3, rng=generator)),
    Case("dropout", "evaluation", "x", dict(x=normal("BTC"), p=0.3, rng=None)),
    Case("softmax", "rows", "x", dict(x=normal("BTC"))),
    Case("rope", "shared positions", "x", dict(x=normal("BTHD"), cos=angles(np.cos, "TE"), sin=angles(np.sin, "TE"))),
    Case("rope", "own positions", "x", dict(x=normal("BTHD"), cos=angles(np.cos, "BTE"), sin=angles(np.sin, "BTE"))),
    attention("plain", K=8),
    attention("grouped"),
    attention("one key head", K=1),
    attention("starts", starts=documents(), K=8),
    attention("slopes", slopes=slopes(), K=8),
    attention("grouped starts slopes", starts=documents(), slopes=slopes()),
    attention("several tiles", B=2, T=131, H=4, D=32),
    attention("several tiles starts slopes", documents(B=2, T=83), slopes(H=3), B=2, T=83, H=3, K=1, D=64),
    Case("cross_entropy", "rows", "logits", dict(logits=normal("NV"), targets=integers("N", below="V"))),
    Case("cross_entropy", "wide", "logits", dict(logits=normal("NV", V=1031), targets=integers("N", below="V", V=1031))),
)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_small_case_quickly = pytest.mark.parametrize(  # several tiles are a matter of the kernels, and slow in plain loops
    "case", [pytest.param(case, marks=pytest.mark.slow if "several_tiles" in case.name else ()) for case in CASES], ids=lambda case: case.name)


# What the tests of operations and of their twins share


def run(table, case, arguments, cotangent=None):
    """-> out, cache, cotangent, gradients by name, of the pair found in `table` (nn.ops or a backend)"""
    out, cache = getattr(table, f"{case.op}_forward")(**arguments)
    if cotangent is None:
        cotangent = np.random.default_rng(3).standard_normal(out.shape).astype(out.dtype)
    grads = getattr(table, f"{case.op}_backward")(cotangent, cache)
    names = case.gradient_names()
    grads = grads if isinstance(grads, tuple) else (grads,)
    return out, cache, cotangent, dict(zip(names, grads, strict=True))


def floats_in(value):
    """Every floating-point array or NumPy scalar inside nested tuples, lists and dicts."""
    if isinstance(value, np.ndarray | np.generic):
        return [value] if value.dtype.kind == "f" else []
    if isinstance(value, dict):
        value = list(value.values())
    return [found for part in value for found in floats_in(part)] if isinstance(value, list | tuple) else []


def assert_close(actual, expected, tolerance):
    """Equal up to `tolerance` times the largest value; None equals None."""
    if expected is None:
        assert actual is None
        return
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())
