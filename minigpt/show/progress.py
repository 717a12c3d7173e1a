"""One line that tells how far a long loop is, how fast it goes and how long it will take."""
import contextlib
import io
import os
import shutil
import sys
import time
import unicodedata

CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class Progress:
    """Progress of `total` units of work, counted from `done`; the speed is that of what comes after the first update.

    On a terminal one line is rewritten, elsewhere a new one is written every `every` seconds; without a label none is.
    """

    def __init__(self, label, total, done=0, unit="tokens", every=10.0, stream=None):
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.stream = stream or sys.stdout or io.StringIO()  # a program without a terminal may have no standard output
        self.began, self.first, self.last_shown, self.width = time.perf_counter(), done, 0.0, 0
        self.live = self.stream.isatty()

    def update(self, done, note=""):
        """done: units finished so far in all. Shows a line if the last one is old enough."""
        now = time.perf_counter()
        if self.label is None or (now - self.last_shown < (0.2 if self.live else self.every) and done < self.total):
            return
        begins, self.last_shown = not self.last_shown, now
        line = f"{self.label} {min(100 * done / self.total, 100):3.0f}%  {note}"  # the last document may reach beyond the end
        if begins and done < self.total:  # the first step may have compiled for half a minute, which tells nothing of the others
            self.began, self.first = now, done
        else:
            rate = (done - self.first) / max(now - self.began, 1e-9)
            left = (self.total - done) / max(rate, 1e-9) if rate else 0.0
            line += f"  {rate:,.0f}" if rate >= 10 else f"  {rate:.1g}"
            line += f" {self.unit}/s  {clock(left)} left"
        with contextlib.suppress(OSError):  # who read along has gone, or the disk with the output is full; the work goes on
            self._show(line, last=done >= self.total)

    def _show(self, line, last):
        if self.live:
            line = line[: shutil.get_terminal_size().columns - 1]  # a line that is broken cannot be rewritten
            padded = line.ljust(self.width)  # wipe what a longer line left behind
            self.width = len(line)
            self.stream.write("\r" + padded + ("\n" if last else ""))
        else:
            self.stream.write(line + "\n")
        self.stream.flush()


def tell(text):
    """Print a line in the middle of long work, which goes on where nobody can read it."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def wants_colour():
    """Whether what is printed is read on a terminal that knows colours, by someone who has not asked for NO_COLOR (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(sys.stdout and sys.stdout.isatty() and not plain)


def harmless(text):
    """What a model wrote, as a terminal may show it: an escape character would command it, and every byte is a token. Elsewhere all of it."""
    return text.translate(CONTROLS) if sys.stdout and sys.stdout.isatty() else text


def clock(seconds):
    """Seconds as m:ss or h:mm:ss."""
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{whole % 60:02d}"


def table(rows, header, right=()):
    """Rows of texts under a header as aligned lines; columns whose index is in `right` are aligned to the right."""
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(columns(row[i]) for row in rows) for i in range(len(header))]
    lines = ["  ".join(_fill(cell, w, i in right) for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _fill(cell, width, right):
    gap = " " * (width - columns(cell))
    return gap + cell if right else cell + gap


def columns(text):
    """How many columns of a terminal a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
