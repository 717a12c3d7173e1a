"""Which functions compute: the NumPy definitions, or the same with their Numba twins laid over them."""
import contextlib
import functools
from types import SimpleNamespace

from minigpt.nn import ops

BACKENDS = ("numpy", "fast")


@functools.lru_cache(maxsize=None)
def get_ops(backend="fast", matmul="numba"):
    """The operations as attributes of one object. backend "numpy" | "fast"; matmul "numba" | "blas" (fast only)."""
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; choose one of {', '.join(BACKENDS)}")
    table = {name: value for name, value in vars(ops).items() if name.endswith(("_forward", "_backward", "_update"))}
    if backend == "fast":
        from minigpt.nn import kernels  # imports Numba, which the readable backend does without

        table.update(kernels.twins(matmul))
    return SimpleNamespace(**table)


def training_context(backend):
    """The context in which a thread computes gradients: "fast" takes numbers below 1e-38 for 0, for they are slow."""
    if backend != "fast":
        return contextlib.nullcontext()
    from minigpt.nn.kernels.denormals import flush_denormals

    return flush_denormals()
