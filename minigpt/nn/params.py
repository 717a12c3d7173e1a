"""Parameters: one flat buffer, and a named view into it for each tensor.

Because everything lies in one array, gradients, Adam's moments, a reference policy and a checkpoint are one array each,
and an optimizer, a clipping or a gradient check is one loop.
"""
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
LARGE = 20_000_000  # parameters: more than this come from memory at every step, not from a cache


class Spec(NamedTuple):
    """One tensor: its name (GPT-2's), shape, initial normal distribution, and whether weight decay applies."""

    name: str
    shape: tuple
    mean: float = 0.0
    std: float = 0.0
    decay: bool = False


class Params(Mapping):
    """Named views into one flat, 64-byte-aligned buffer.

    `params[name]` is a view; `params[name] = value` writes through it and never rebinds it.
    """

    def __init__(self, specs, dtype="float32"):
        self.specs = tuple(specs)
        self.dtype = np.dtype(dtype)
        step = ALIGNMENT // self.dtype.itemsize
        self.offsets, size = {}, 0
        for spec in self.specs:
            if spec.name in self.offsets:
                raise ValueError(f"two parameters are called {spec.name!r}; give one of them another name")
            self.offsets[spec.name] = size
            size += -(-int(np.prod(spec.shape)) // step) * step  # the gap up to the next line stays 0
        self.flat = _aligned_zeros(size, self.dtype)
        self._views = {spec.name: self._view(spec) for spec in self.specs}

    def _view(self, spec):
        start = self.offsets[spec.name]
        return self.flat[start : start + int(np.prod(spec.shape))].reshape(spec.shape)

    def __getitem__(self, name):
        return self._views[name]

    def __setitem__(self, name, value):
        view = self._views[name]
        if value is view:  # `params[name] += x` has already written
            return
        value = np.asarray(value)
        if np.shape(value) not in ((), view.shape):  # a wrong shape must not broadcast
            raise ValueError(f"{name} has shape {view.shape}, the value has {np.shape(value)}")
        view[...] = value

    def __iter__(self):
        return iter(self._views)

    def __len__(self):
        return len(self._views)

    def count(self):
        """Number of parameters, the alignment gaps not counted."""
        return sum(view.size for view in self._views.values())

    def zeros(self):
        """Another buffer of the same layout, filled with 0: for gradients and moments."""
        return Params(self.specs, self.dtype)

    def copy(self):
        """Another buffer with the same values; shares no memory."""
        other = self.zeros()
        other.flat[:] = self.flat
        return other

    def __getstate__(self):
        return self.specs, self.dtype, self.flat

    def __setstate__(self, state):  # of copy.deepcopy: the views must be of the new buffer
        specs, dtype, flat = state
        self.__init__(specs, dtype)
        self.flat[:] = flat

    def initialise(self, rng):
        """Draw every tensor from its spec's normal distribution, in the order of the specs."""
        for spec in self.specs:
            self[spec.name] = spec.mean if spec.std == 0.0 else rng.normal(spec.mean, spec.std, spec.shape)
        return self


def _aligned_zeros(size, dtype):
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)
