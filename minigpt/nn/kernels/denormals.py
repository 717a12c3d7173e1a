"""Numbers below 1e-38 taken for 0: Intel's processors need a hundred times longer to multiply them.

A token that only attention connects with the answer can have such a gradient, and in instruction tuning most tokens do: a step
took two and a half times as long.
"""
import contextlib
import platform

from minigpt.jit import jit
from minigpt.nn.kernels.primitives import read_control, write_control

FLUSH = 0x8040  # bits of the control word: tiny results are 0, tiny operands count as 0


@jit
def _read():
    return read_control()


@jit
def _write(word):
    write_control(word)


@contextlib.contextmanager
def flush_denormals():
    """Inside the block this thread knows no numbers below 1.2e-38 (float64: 2.2e-308); elsewhere than on x86 nothing happens."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        yield
        return
    before = _read()
    _write(before | FLUSH)
    try:
        yield
    finally:
        _write(before)
