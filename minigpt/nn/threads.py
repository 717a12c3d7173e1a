"""Who computes: one Python thread per core, each with its own shard of the batch, and BLAS on one thread inside each.

BLAS's own pool and ours would spin against each other while they wait, which costs three times the work itself.
"""
import contextlib
import ctypes
import functools
import os
import pathlib
import platform
import sys
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np

# (setter, getter) as the builds of the common libraries name them
SYMBOLS = [(f"{prefix}openblas_set_num_threads{suffix}", f"{prefix}openblas_get_num_threads{suffix}")
           for prefix in ("scipy_", "") for suffix in ("64_", "")] + [("MKL_Set_Num_Threads", "MKL_Get_Max_Threads")]


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def processor():
    """The processor's name, as the system gives it.

    On Linux and x86 with the numbers of its family and model: generations share names.
    """
    cpuinfo, found = pathlib.Path("/proc/cpuinfo"), {}
    for line in cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else ():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())  # of the first core
    name = found.get("model name") or platform.processor() or platform.machine() or "unknown"
    return f"{name} (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else name


def find_blas():
    """The BLAS that NumPy loaded: (set_threads, get_threads, path), or None where it cannot be told (Accelerate)."""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)  # already loaded: this only gets a handle
        except OSError:
            continue
        for setter, getter in SYMBOLS:
            if hasattr(library, setter) and hasattr(library, getter):
                return getattr(library, setter), getattr(library, getter), path
    return None


def _candidates():
    names = ("openblas", "mkl_rt", "blis")
    package = pathlib.Path(np.__file__).parent  # wheels carry their libraries beside the package, in numpy.libs
    if sys.platform.startswith("linux"):
        with open("/proc/self/maps", encoding="utf-8") as maps:
            mapped = dict.fromkeys(line.split(maxsplit=5)[-1].strip() for line in maps if "/" in line)
        found = [path for path in mapped if any(name in os.path.basename(path) for name in names)]
        return sorted(found, key=lambda path: not path.startswith(str(package)))  # SciPy may have loaded one of its own
    folders = (package / ".dylibs", package.parent / "numpy.libs")
    return [str(path) for folder in folders for path in sorted(folder.glob("*")) if any(name in path.name for name in names)]


@contextlib.contextmanager
def blas_threads(count):
    """Inside the block BLAS uses `count` threads; afterwards the user's setting is back. Yields whether it could be set."""
    blas = find_blas()
    if blas is None:
        yield False
        return
    set_threads, get_threads, _ = blas
    before = get_threads()
    set_threads(count)
    try:
        yield True
    finally:
        set_threads(before)


def peak_memory():
    """The most memory that this process has had at once, in MB; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kilobytes elsewhere


@functools.cache
def keep_freed_memory():
    """Let glibc keep freed memory for the next array instead of handing it back to the system; elsewhere nothing happens.

    Every step frees and asks for the same arrays, and a page handed back costs a fault and a zeroing: a quarter of a step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt:
        # malloc.h: mmap threshold (32 MB is the most that glibc before 2.34 takes), trim threshold, arenas
        for option, value in ((-3, 2**25), (-3, 2**30), (-1, 2**31 - 1), (-8, 1)):
            mallopt(option, value)


@functools.cache
def _say_once(line):
    print(line, flush=True)


@contextlib.contextmanager
def worker_pool(workers=0, shards=1):
    """Yields map(function, items) -> list, in the order of the items, on `workers` threads (0: one per core), the caller's among them.

    Never more threads than shards. Where BLAS cannot be told to use one thread, one worker runs and BLAS threads itself.
    """
    workers = max(1, min(workers or cores(), shards))
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        # also for one worker: with more threads BLAS may cut a sum elsewhere and round it differently
        if shards > 1 and not stack.enter_context(blas_threads(1)):
            _say_once("NumPy's BLAS cannot be set to one thread here; using one worker and BLAS's own threads")
            workers = 1
        if workers == 1:
            yield lambda function, items: [function(item) for item in items]
            return
        pool = stack.enter_context(ThreadPoolExecutor(workers - 1))
        yield functools.partial(_share, pool, workers)


def _share(pool, workers, function, items):
    """[function(item) for item in items] by this thread and the pool's: who is free takes the next item.

    A sleeping thread is woken once, not for every item: that costs as much as the update of a small tensor.
    """
    items, found = list(items), {}
    todo = enumerate(items)

    def work():
        for i, item in todo:  # Python's lock gives every item to one thread
            try:
                found[i] = function(item)
            except BaseException:
                for _ in todo:  # nobody begins another
                    pass
                raise

    helpers = [pool.submit(work) for _ in range(min(workers, len(items)) - 1)]
    try:
        work()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()
    return [found[i] for i in range(len(items))]
