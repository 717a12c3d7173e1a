"""The one way a file is written: whole or not at all. And JSON that means the same thing everywhere.

A program can be killed, and a disk can be full, between any two bytes. So nothing is ever written in place: the bytes go
to a temporary file beside the target, are forced to the disk, and only then take the target's name in one step. Whoever
opens the target sees the old file or the new one, never half of one.
"""
import contextlib
import errno
import json
import math
import os
import re
import reprlib
from pathlib import Path

try:
    import fcntl
except ImportError:                                    # Windows
    fcntl = None

TEMPORARY = (".minigpt-", ".part")      # our temporary files begin and end like this, so that left-over ones can be recognised

CURES = {errno.ENOSPC: "free some disk space or choose another place",
         errno.EFBIG: "the file size limit (ulimit -f) or the disk is too small for it",
         errno.EROFS: "this disk is read-only, choose another place",
         errno.EACCES: "choose a folder that you may write to",
         errno.EPERM: "choose a folder that you may write to",
         errno.ENOENT: "make its folder first",
         errno.ENOTDIR: "a part of its path is a file, not a folder",
         errno.EEXIST: "a file of that name is in the way of the folder",
         errno.EISDIR: "a folder of that name exists, choose another name",
         errno.ENAMETOOLONG: "choose a shorter name"}


def atomic_write(path, data):
    """Writes `data` to the file `path` so that a crash at any moment leaves the old file or the new one.

    data: bytes, or an iterable of bytes-like pieces, written one by one so that a big file need not exist twice in memory.
    Raises OSError (the subclass and errno that the system gave) with one line: path, reason, cure. The old file is intact then.
    """
    target = os.path.realpath(path)                    # writes through a symbolic link instead of replacing it
    folder = os.path.dirname(target)
    temporary = ""
    pieces = (data,) if isinstance(data, (bytes, bytearray, memoryview)) else data
    try:
        if os.path.exists(target) and not os.path.isfile(target):      # renaming would fail on a folder and destroy a device
            raise OSError(errno.EISDIR if os.path.isdir(target) else errno.EINVAL, "not a regular file")
        file = _new_temporary(folder)
        temporary = file.name
        with file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())                    # the bytes must be on the disk before the name points at them
        os.replace(temporary, target)
        _sync_folder(folder)                           # and the name itself
    except BaseException as error:                     # Ctrl-C too leaves no temporary file
        if os.path.lexists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _explain(error, "write", path) from error
        raise


def make_folder(path):
    """Makes the folder `path` with its parents and proves that a file can be written there, before hours are spent.

    path -> Path. Temporary files that a killed run left there are removed. Raises OSError with one line: path, reason, cure;
    ValueError where another run is writing.
    """
    path = Path(os.path.expanduser(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / "probe".join(TEMPORARY)
        probe.touch()
        probe.unlink(missing_ok=True)                  # another command may have swept it away
    except OSError as error:
        raise _explain(error, "write to the folder", path) from error
    with sole_writer(path):                            # what another run is writing just now is not left over
        for left_over in path.glob("*".join(TEMPORARY)):
            with contextlib.suppress(OSError):
                with open(left_over, "r+b") as file:   # network file systems lock only what is open for writing
                    _lock(file)
                left_over.unlink()                     # Windows removes no open file
    return path


def _new_temporary(folder):
    """An open, locked temporary file in the folder: it is being written, not left over."""
    while True:
        name = os.path.join(folder, os.urandom(8).hex().join(TEMPORARY))
        file = open(name, "xb")                        # "x": never someone else's file; its mode follows the umask
        with contextlib.suppress(BlockingIOError):     # another command is just sweeping it away
            _lock(file)
            if os.path.exists(name):
                return file
        file.close()


def _lock(file):
    """Lock an open file, or the handle of a folder, until it is closed. BlockingIOError where another has it; nothing where files cannot be locked."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:                                    # some network file systems
        pass


@contextlib.contextmanager
def sole_writer(folder):
    """Inside the block no other process passes here with the same folder: ValueError says so at once. None: no folder, no lock.

    The system takes the lock back from a process that dies. Where folders cannot be locked nothing is refused.
    """
    if folder is None or fcntl is None:
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _explain(error, "write to the folder", folder) from error
    try:
        try:
            _lock(handle)
        except BlockingIOError:
            raise ValueError(f"another run is writing to {folder}; wait for it, stop it, or choose another --out") from None
        yield
    finally:
        os.close(handle)


def open_to_read(path):
    """path -> the file, open for reading bytes. Raises OSError with one line: path and reason."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):          # opening a pipe would wait for ever
            raise IsADirectoryError(errno.EISDIR, "not a regular file")
        return open(path, "rb")
    except OSError as error:
        raise _explain(error, "read", path) from error


def data_folder():
    """The folder of the project's data: MINIGPT_DATA, or else data/ beside the package."""
    return Path(os.environ.get("MINIGPT_DATA") or Path(__file__).resolve().parents[1] / "data")


def find_folder(name_or_folder):
    """A model folder, or the name of a checkpoint in data/pretrained ("base": micro-base) -> its path. FileNotFoundError names all.

    A folder of such a name in the working directory is meant only if it may hold a model.
    """
    here, shipped = Path(os.path.expanduser(name_or_folder)), data_folder() / "pretrained"
    name = "micro-base" if str(name_or_folder) == "base" else here.name
    is_name = here.name == str(name_or_folder) and (shipped / name).is_dir()
    if here.is_dir() and not (is_name and not any(here.glob("*.json"))):
        return here
    if is_name:
        return shipped / name
    names = sorted(path.parent.name for path in shipped.glob("*/config.json"))
    these = f"in {shipped} these are: {', '.join(names)}" if names else f"{shipped} holds none: set MINIGPT_DATA to the project's data folder"
    raise FileNotFoundError(f"{name_or_folder} is neither a folder nor a shipped model; {these}")


def read_bytes(path):
    """path -> the file's bytes. Raises OSError with one line: path and reason."""
    with open_to_read(path) as file:
        return file.read()


def write_json(path, obj):
    """Writes obj as UTF-8 JSON, keys in their own order, so that equal objects give equal bytes. NaN and infinity: ValueError."""
    atomic_write(path, (json.dumps(obj, ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode("utf-8"))


def read_json(path):
    """path -> the object in a JSON file. Raises ValueError that names the file where `parse_json` refuses it."""
    try:
        return parse_json(read_bytes(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def parse_json(data):
    """bytes -> object, as RFC 8259 has it. Python's reader is laxer; here not UTF-8, half a surrogate pair, a key given
    twice, NaN, a number beyond floating point and too deep a nesting raise ValueError with one line."""
    try:
        obj = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
        if re.search(rb"\\u[dD][89a-fA-F]", data):      # an escaped surrogate: text that cannot be written again if it is alone
            json.dumps(obj, ensure_ascii=False).encode("utf-8")
        return obj
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except UnicodeEncodeError as error:
        raise ValueError(f"\\u{ord(error.object[error.start]):x} is half a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deep") from None


def short(value):
    """repr for an error line, cut short: a name in a hostile file can have a hundred million letters."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 100
    return brief.repr(value)


def _unique(pairs):
    result = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {short(key)} is given twice")
        result[key] = value
    return result


def _finite(text):
    if not math.isfinite(float(text)):                 # the literals NaN and Infinity, and 1e999
        raise ValueError(f"{text[:100]} is not a finite number")
    return float(text)


def _sync_folder(folder):
    if os.name == "nt":                                # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):      # some network file systems cannot, which is no loss to report
            raise
    finally:
        os.close(handle)


def _explain(error, action, path):
    """The same error as one line with its cure; type and errno are kept for whoever wants to tell them apart."""
    cure = CURES.get(error.errno, "") if action != "read" else ""
    reason = error.strerror or str(error)
    explained = type(error)(f"cannot {action} {os.fspath(path)}: {reason}" + (f" ({cure})" if cure else ""))
    explained.errno = error.errno
    return explained
