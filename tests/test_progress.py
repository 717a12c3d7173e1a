"""Progress lines and tables."""
import errno
import io

import pytest

from minigpt.show import progress
from minigpt.show.progress import Progress, clock, table


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def tick(monkeypatch):
    """A clock that stands still until it is told to go on."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def pass_seconds(seconds):
        now[0] += seconds
    return pass_seconds


def test_lines_tell_share_speed_and_time_left(tick):
    """A resumed loop counts its speed from where it began, and no loop counts its first step, in which kernels may be compiled."""
    stream = io.StringIO()
    bar = Progress("training", 1000, done=200, every=10, stream=stream)
    tick(20)
    bar.update(400, "loss 3.1")
    tick(5)
    bar.update(450)  # too early for another line
    tick(5)
    bar.update(500, "loss 2.9")
    bar.update(1000)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "training  40%  loss 3.1"
    assert lines[1] == "training  50%  loss 2.9  10 tokens/s  0:50 left"
    assert len(lines) == 3 and lines[2].startswith("training 100%") and lines[2].endswith("0:00 left")


def test_what_takes_seconds_has_a_speed_too(tick):
    stream = io.StringIO()
    bar = Progress("measuring", 10, every=1, unit="shapes", stream=stream)
    for done in (1, 2):
        tick(4)
        bar.update(done)
    assert stream.getvalue().splitlines()[1] == "measuring  20%    0.2 shapes/s  0:32 left"


def test_without_a_label_nothing_is_shown(tick):
    for stream in (io.StringIO(), Terminal()):
        bar = Progress(None, 10, stream=stream)
        for done in (1, 5, 10):
            tick(20)
            bar.update(done)
        assert stream.getvalue() == ""


def test_a_terminal_has_one_line_that_leaves_no_rest_of_a_longer_one(tick):
    stream = Terminal()
    bar = Progress("x", 100, stream=stream)
    for done, note in ((5, ""), (10, "a long note"), (20, "short"), (100, "")):
        tick(1)
        bar.update(done, note)
    _, first, second, last = stream.getvalue().split("\r")[1:]
    assert len(second) == len(first) and second.rstrip() != second
    assert last.endswith("\n") and stream.getvalue().count("\n") == 1


def test_a_line_longer_than_the_terminal_is_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    Progress("a label as long as a path of a folder", 2, stream=stream).update(1)
    assert len(stream.getvalue().strip("\r\n")) == 29


def test_work_goes_on_where_there_is_no_standard_output(monkeypatch):
    monkeypatch.setattr(progress.sys, "stdout", None)
    Progress("training", 2).update(2)


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "the terminal has gone")], ids=str)
def test_work_goes_on_when_nobody_reads(error, tick, monkeypatch):
    """`minigpt pretrain | head` takes three lines and leaves; a log may fill its disk, a terminal be closed."""
    class Closed(io.StringIO):
        def write(self, text):
            raise error

    Progress("training", 2, stream=Closed()).update(2)
    monkeypatch.setattr(progress.sys, "stdout", Closed())
    progress.tell("saved")


def test_clock_and_table():
    assert [clock(s) for s in (0, 59.4, 59.6, 61, 3600, 36061)] == ["0:00", "0:59", "1:00", "1:01", "1:00:00", "10:01:01"]
    assert table([["a", 1], ["bbb", 22]], ["name", "n"], right=(1,)) == "name   n\n----  --\na      1\nbbb   22"
    assert table([["茶", "x"], ["tea", "y"]], ["word", "n"]).splitlines()[2:] == ["茶    x", "tea   y"]  # two columns wide


def test_what_a_model_writes_cannot_command_the_terminal(monkeypatch):
    """ESC [2J would wipe the screen, and others write into the clipboard or rename the window."""
    text = "a\x1b[2Jb\x07\x9b\tc\n茶"
    assert progress.harmless(text) == text  # a file or another program gets every byte
    monkeypatch.setattr(progress.sys, "stdout", Terminal())
    assert progress.harmless(text) == "a\ufffd[2Jb\ufffd\ufffd\tc\n茶"
