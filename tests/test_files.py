"""Files are written whole or not at all, and JSON is read strictly."""
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigpt import files

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX limits and permissions")


def in_child(code, *arguments):
    """Runs code in a fresh process with the repository on its path -> CompletedProcess."""
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})


def test_bytes_and_pieces_are_written(tmp_path):
    files.atomic_write(tmp_path / "a", b"one")
    files.atomic_write(tmp_path / "a", (piece for piece in [b"t", bytearray(b"w"), memoryview(b"o")]))
    assert (tmp_path / "a").read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


@posix
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600)])
def test_mode_follows_the_umask(tmp_path, umask, mode):
    old = os.umask(umask)
    try:
        files.atomic_write(tmp_path / "a", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@posix
def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    files.atomic_write(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a").read_bytes() == b"x"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, OSError])
def test_an_interrupted_write_keeps_the_old_file(tmp_path, interruption):
    (tmp_path / "a").write_bytes(b"old")

    def pieces():
        yield b"new"
        raise interruption("halfway")

    with pytest.raises(interruption):
        files.atomic_write(tmp_path / "a", pieces())
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


def one_line(raised, *words):
    text = str(raised.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_errors_name_path_and_cure(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError) as raised:
        files.atomic_write(tmp_path / "none" / "a", b"x")
    one_line(raised, str(tmp_path / "none" / "a"), "make its folder first")
    assert raised.value.errno == errno.ENOENT
    with pytest.raises(NotADirectoryError) as raised:
        files.atomic_write(tmp_path / "file" / "a", b"x")
    one_line(raised, "is a file, not a folder")
    with pytest.raises(IsADirectoryError) as raised:
        files.atomic_write(tmp_path / "folder", b"x")
    one_line(raised, "choose another name")
    with pytest.raises(OSError) as raised:
        files.atomic_write(tmp_path / ("n" * 300), b"x")
    one_line(raised, "shorter name")
    with pytest.raises(FileNotFoundError) as raised:
        files.read_bytes(tmp_path / "none")
    one_line(raised, "cannot read", str(tmp_path / "none"))
    with pytest.raises(IsADirectoryError) as raised:
        files.read_bytes(tmp_path / "folder")
    one_line(raised, "cannot read", "not a regular file")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@posix
def test_a_pipe_or_device_is_never_replaced(tmp_path):
    """A pipe stands in for /dev/null, which this test would destroy on the machine of whoever breaks the code."""
    os.mkfifo(tmp_path / "pipe")
    for use in (files.read_bytes, lambda path: files.atomic_write(path, b"x")):
        with pytest.raises(OSError, match="not a regular file"):
            use(tmp_path / "pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


@posix
def test_a_full_disk_keeps_the_old_file(tmp_path):
    """The file size limit stands in for the full disk: both stop the write halfway with an OSError."""
    (tmp_path / "a").write_bytes(b"old")
    child = in_child("import resource, sys; from minigpt import files\n"
                     "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
                     "try: files.atomic_write(sys.argv[1], (bytes(30_000) for _ in range(10)))\n"
                     "except OSError as error: print(error.errno, error)", tmp_path / "a")
    assert child.stdout.startswith(f"{errno.EFBIG} cannot write {tmp_path / 'a'}: "), child
    assert "too small" in child.stdout and child.stdout.count("\n") == 1
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


@posix
def test_a_folder_without_permission(tmp_path):
    """Root may write anywhere, so the child becomes nobody once it has imported what it needs."""
    (tmp_path / "closed").mkdir(mode=0o555)
    child = in_child("import os, sys; from minigpt import files\n"
                     "if os.getuid() == 0: os.setuid(65534)\n"
                     "for write in (lambda p: files.atomic_write(p + '/a', b'x'), files.make_folder):\n"
                     "    try: write(sys.argv[1])\n"
                     "    except PermissionError as error: print(error)", tmp_path / "closed")
    assert child.stdout.count("choose a folder that you may write to") == child.stdout.count("\n") == 2, child


def test_make_folder(tmp_path):
    folder = files.make_folder(tmp_path / "runs" / "first")
    (folder / "kept.part").write_bytes(b"x")
    (folder / "of-a-killed-run".join(files.TEMPORARY)).write_bytes(b"half")
    assert files.make_folder(folder) == folder and os.listdir(folder) == ["kept.part"]
    with pytest.raises(OSError) as raised:
        files.make_folder(folder / "kept.part")
    one_line(raised, "kept.part", "in the way")


@posix
def test_a_file_that_somebody_is_writing_is_not_swept_away(tmp_path):
    def pieces():
        yield b"first "
        assert files.make_folder(tmp_path) == tmp_path and len(os.listdir(tmp_path)) == 1
        yield b"second"

    files.atomic_write(tmp_path / "model", pieces())
    assert (tmp_path / "model").read_bytes() == b"first second" and os.listdir(tmp_path) == ["model"]


@posix
@pytest.mark.parametrize("swept", [BlockingIOError, None])
def test_a_file_that_is_swept_before_it_is_locked_is_begun_anew(tmp_path, monkeypatch, swept):
    """Another command may be sweeping it away (its lock is in the way), or just have done so."""
    lock, calls = files._lock, []

    def late(file):
        calls.append(file.name)
        if len(calls) == 1:
            os.unlink(file.name)
            if swept:
                raise swept
        lock(file)

    monkeypatch.setattr(files, "_lock", late)
    files.atomic_write(tmp_path / "model", b"x")
    assert len(set(calls)) == 2 and (tmp_path / "model").read_bytes() == b"x" and os.listdir(tmp_path) == ["model"]


@posix
def test_a_folder_has_one_writer_at_a_time(tmp_path):
    """Refused while another process holds the folder; a process that was killed holds nothing."""
    code = ("import sys, time; from minigpt import files\n"
            "with files.sole_writer(sys.argv[1]): print('in', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}) as child:
        assert child.stdout.readline() == b"in\n"
        half = tmp_path / "of-the-run".join(files.TEMPORARY)     # what it is writing just now
        half.write_bytes(b"half")
        for enter in (lambda: files.sole_writer(tmp_path).__enter__(), lambda: files.make_folder(tmp_path)):
            with pytest.raises(ValueError) as raised:
                enter()
            one_line(raised, str(tmp_path), "another --out")
        assert half.exists()
        with files.sole_writer(files.make_folder(tmp_path / "other")), files.sole_writer(None):
            child.kill()
    with files.sole_writer(files.make_folder(tmp_path)):
        assert os.listdir(tmp_path) == ["other"]
    with pytest.raises(FileNotFoundError) as raised, files.sole_writer(tmp_path / "none"):
        pass
    one_line(raised, "none", "make its folder first")


@posix
def test_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    """The child writes 0, 1, 2... as files of one repeated number; after kill -9 the file holds one number only."""
    target = tmp_path / "a"
    code = ("import itertools, sys; from minigpt import files\n"
            "for n in itertools.count(): files.atomic_write(sys.argv[1], (b'%08d' % n * 4_000 for _ in range(20)))")
    for delay in (0.0, 0.003, 0.011, 0.05):
        child = subprocess.Popen([sys.executable, "-c", code, target], env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        while not target.exists():
            assert child.poll() is None
            time.sleep(0.005)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        data = target.read_bytes()
        assert len(data) == 640_000 and data == data[:8] * 80_000
        files.make_folder(tmp_path)
        assert os.listdir(tmp_path) == ["a"]
        target.unlink()


def test_json_round_trip_and_bytes(tmp_path):
    obj = {"b": [1, 2.5, None, True], "a": "龙 \u2028 \"", "deep": {"x": {}}}
    files.write_json(tmp_path / "a.json", obj)
    data = (tmp_path / "a.json").read_bytes()
    assert files.read_json(tmp_path / "a.json") == obj and list(files.read_json(tmp_path / "a.json")) == list(obj)
    files.write_json(tmp_path / "a.json", files.read_json(tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_bytes() == data and "龙".encode() in data


def test_escaped_surrogate_pairs_are_one_character():
    assert files.parse_json(rb'{"\ud83d\ude00": "\u9f99"}') == {"😀": "龙"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_never_writes_nan(tmp_path, number):
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", [number])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("data, reason", [
    (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is given twice"),
    (b"[NaN]", "NaN is not a finite number"), (b"[-Infinity]", "-Infinity"), (b"[1e999]", "1e999"),
    (b'"\xff"', "not UTF-8 at byte 1"), (b"", "not JSON"), (b"{'a': 1}", "not JSON"), (b"\xef\xbb\xbf{}", "not JSON"),
    (rb'["\ud83d\ude00", "\uDC00"]', "\\udc00 is half a surrogate pair"),
    (b"[" * 100_000, "too deep"), (b"[" * 100_000 + b"]" * 100_000, "too deep"), (b"9" * 10_000, "digits")])
def test_json_refusals(tmp_path, data, reason):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ValueError) as raised:
        files.read_json(tmp_path / "a.json")
    one_line(raised, str(tmp_path / "a.json"), reason)
