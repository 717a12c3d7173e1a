"""The one decorator for compiled kernels: Numba without the GIL, and a disk cache that notices every edit.

Numba's own cache looks only at the file in which a function stands, so an edited helper in another file would
go unnoticed. Here the cache folder is named by a hash of all kernel sources: change any and all are compiled anew.
"""
import contextlib
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

# Everything that reorders sums or fuses multiply-adds, but not "nnan" and "ninf": NaN and -inf must pass through.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
# x / 0 is inf as in NumPy: a check that could raise ZeroDivisionError would keep a loop from becoming vector code.
# No kernel is called from C: without the wrapper for that, all compile in a twentieth less time.
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "no_cfunc_wrapper": True}
MONTH = 30 * 24 * 3600.0  # seconds


def jit(function=None, parallel=False, in_order=False):
    """Compile `function` with Numba on its first call; a plain function when NUMBA_DISABLE_JIT=1.

    parallel: its prange loops use Numba's own threads. Training does not: its workers are Python threads.
    in_order: sums and products as they are written. Otherwise a kernel with arithmetic of some length that is part of others may
    have other last bits there, and whether the part or the whole is used depends on which of them came from the cache.
    """
    import numba  # 0.3 s, so not before the first kernel is wanted

    whole_vectors()
    if function is None:
        return functools.partial(jit, parallel=parallel, in_order=in_order)
    if parallel:
        numba.get_num_threads()  # starts them: Numba 0.60 forgets to when a kernel around this one comes from the cache, and crashes
    options, folder = OPTIONS | {"parallel": parallel, "fastmath": {"contract"} if in_order else FASTMATH}, cache_folder()
    if folder is None or not os.path.exists(function.__code__.co_filename):  # typed at a prompt
        return numba.njit(**options)(function)
    users_folder, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)  # read while decorating, only then
    try:
        return numba.njit(cache=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = users_folder


@functools.cache
def whole_vectors():
    """Let LLVM use all 512 bits of Intel's AVX-512 registers, which doubles the speed of a matrix product.

    It prefers halves, for fear of a lower clock. Nothing happens where the user has set NUMBA_CPU_NAME or _FEATURES, or has
    compiled something with Numba before.
    """
    import numba
    from numba.core import codegen

    features = codegen.get_host_cpu_features()
    if numba.config.CPU_NAME is None and numba.config.CPU_FEATURES is None and "+avx512f" in features:
        numba.config.CPU_FEATURES = features + ",-prefer-256-bit"


@functools.cache
def cache_folder():
    """-> the folder of the compiled kernels, named by their sources; None when nothing is writable.

    NUMBA_CACHE_DIR, then the user's cache folder (XDG_CACHE_HOME), then a private one among the temporary files.
    """
    name = source_hash()
    for parent in (_users_cache, _private_temporary):
        try:
            folder = parent() / name
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            if not os.environ.get("NUMBA_CACHE_DIR"):  # a folder that others may use too
                _forget_old(folder)
            return folder
        except (OSError, RuntimeError):  # RuntimeError: this user has no home
            continue
    return None


def source_hash():
    """-> 16 hexadecimal digits that change when any kernel's source does"""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    # ops.py: its constants are compiled into kernels
    for path in [package / "jit.py", package / "nn" / "ops.py", *sorted(package.glob("*/kernels/*.py"))]:
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _forget_old(folder):
    """Remove the kernels of other sources that nobody has used for MONTH: each edit leaves 30 MB behind."""
    with contextlib.suppress(OSError):  # another program may remove them at the same time
        os.utime(folder)  # used now
        for other in folder.parent.iterdir():
            if re.fullmatch("[0-9a-f]{16}", other.name) and folder.stat().st_mtime - other.stat().st_mtime > MONTH:
                shutil.rmtree(other, ignore_errors=True)


def _users_cache():
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "minigpt"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "minigpt"
    return Path.home() / ".cache" / "minigpt"


def _private_temporary():
    """A folder that only this user can write: compiled code is loaded from it."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"minigpt-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and (folder.stat().st_uid != user or folder.stat().st_mode & 0o077):
        raise PermissionError(f"{folder} can be written by others; delete it")
    return folder
