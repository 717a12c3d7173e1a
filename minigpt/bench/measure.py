"""How to time, and on what machine."""
import ctypes
import gc
import importlib.metadata
import math
import os
import platform
import statistics
import time

from minigpt.nn.kernels.primitives import vectors
from minigpt.nn.threads import cores, find_blas, processor


def quartiles(work, repeats=9, least=0.05):
    """Seconds per call of work(): (first quartile, median, third quartile) over `repeats` samples of at least `least` seconds.

    One call beforehand is not counted: it compiles kernels and warms the caches.
    """
    def timed(calls):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) / calls

    work()
    once = min(timed(1), timed(1))  # the slower of two may have been held up
    calls = math.ceil(least / max(once, 1e-9))
    gc.collect()
    gc.disable()  # a collection in the middle would be charged to whoever is running
    try:
        samples = [timed(calls) for _ in range(repeats)]
    finally:
        gc.enable()
    return spread(samples)


def spread(samples):
    """-> (first quartile, median, third quartile)"""
    if len(samples) < 2:
        return (samples[0],) * 3
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, middle, high


def machine():
    """What the figures depend on: processor, BLAS and its kernels, threads, versions -> dict of texts"""
    registers = "AVX-512" if vectors()[0] == 512 else "no AVX-512"
    found = {"processor": f"{processor()}, {registers}", "cores": str(cores()), "BLAS": _blas(), "Python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in ("numpy", "numba")}
    found["system"] = f"{platform.system()} {platform.machine()}"
    if pinned := os.environ.get("OPENBLAS_CORETYPE"):
        found["OPENBLAS_CORETYPE"] = f"{pinned} (NumPy may be slower than without it: unset it to compare)"
    return found


def _blas():
    """The library's name and the kernels that it chose for this processor."""
    blas = find_blas()
    if blas is None:
        return "unknown"
    library = ctypes.CDLL(blas[2])
    for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
        if hasattr(library, name):
            function = getattr(library, name)
            function.restype = ctypes.c_char_p
            return f"OpenBLAS with {function().decode()} kernels"
    return os.path.basename(blas[2])
