"""Percent-format lessons: a Python script whose comments carry the prose. Here they are found and read; nothing runs.

    # title: Self-attention                      the header: key: value
    # %% [markdown] tolerance=0.02               a cell of prose, every line a comment
    # %% volatile                                a cell of code
"""
import re
from dataclasses import dataclass
from pathlib import Path

HEADER = ("title", "question", "needs", "builds", "minutes", "files")
MAX_LINES = 15  # of one code cell: one idea
MAX_WIDTH = 100  # of a line of code: what a page shows without scrolling
MARKER = re.compile(r"# %%(?P<markdown> \[markdown\])?(?P<options>.*)")


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson, as written."""
    number: int  # counted from 1, as `lesson walk --from` counts
    kind: str  # "markdown" or "code"
    source: str  # prose without its "# ", or code
    line: int  # of the first source line in lesson.py, counted from 1
    tolerance: float = 0.0  # by how much printed numbers may differ in a fresh run
    volatile: bool = False  # speeds and the like: shown with machine and date, never compared


@dataclass(frozen=True)
class Lesson:
    """A lesson as written: its header and its cells."""
    number: str  # "05"
    path: Path  # of lesson.py
    header: dict
    cells: tuple

    @property
    def folder(self):
        """Where lesson.py lies, with the page, figures and exercises."""
        return self.path.parent

    @property
    def title(self):
        """Number and title, as on the page."""
        return f"{self.number}. {self.header['title']}"


def lessons_folder():
    """The folder lessons/ beside the package. Raises ValueError where the package was installed without it."""
    folder = Path(__file__).resolve().parents[2] / "lessons"
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: lessons need a clone of the project and `pip install -e .` in it")
    return folder


def find_folders(folder):
    """lessons/ -> {"05": lessons/05_self_attention, ...} in order; only folders with a lesson.py count."""
    return {path.parent.name[:2]: path.parent for path in sorted(Path(folder).glob("[0-9][0-9]_*/lesson.py"))}


def find_lesson(number, folder):
    """("05", lessons/) -> Lesson. "5" is accepted. Raises ValueError that lists the lessons there are."""
    folders = find_folders(folder)
    if not number or number.zfill(2) not in folders:
        raise ValueError(f"no lesson {number!r}: there are {' '.join(folders) or 'none'}")
    return read_lesson(folders[number.zfill(2)] / "lesson.py")


def read_lesson(path):
    """lesson.py -> Lesson. Raises ValueError with file and line for what is not in the format."""
    path = Path(path)
    lines = path.read_text(encoding="utf-8").split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    header = _read_header(path, lines[:starts[0]] if starts else lines)
    cells = tuple(_read_cell(path, number, start, lines[start:end])
                  for number, (start, end) in enumerate(zip(starts, starts[1:] + [len(lines)]), 1))
    return Lesson(path.parent.name[:2], path, header, cells)


def _read_header(path, lines):
    pairs = (line[2:].partition(": ") for line in lines if line.strip())
    header = {key: value for key, _, value in pairs}
    if tuple(header) != HEADER:
        raise ValueError(f"{path}: the header has {', '.join(header)}; it needs one line each for {', '.join(HEADER)}")
    return header


def _read_cell(path, number, start, lines):
    where = f"{path}:{start + 1}"
    marker = MARKER.fullmatch(lines[0])
    options = _read_options(where, marker["options"].split())
    body = lines[1:]
    while body and not body[-1].strip():
        body.pop()
    if not marker["markdown"]:
        if len(body) > MAX_LINES:
            raise ValueError(f"{where}: a cell of {len(body)} lines; the limit is {MAX_LINES}, split it into two ideas")
        for i, line in enumerate(body):
            if len(line) > MAX_WIDTH:
                raise ValueError(f"{path}:{start + 2 + i}: {len(line)} characters; a page shows {MAX_WIDTH} without scrolling")
        return Cell(number, "code", "\n".join(body), start + 2, **options)
    for i, line in enumerate(body):
        if line != "#" and not line.startswith("# "):
            raise ValueError(f"{path}:{start + 2 + i}: a line of prose begins with '# '")
    return Cell(number, "markdown", "\n".join(line[2:] for line in body).strip("\n"), start + 2, **options)


def _read_options(where, words):
    options = {}
    for word in words:
        key, _, value = word.partition("=")
        if word == "volatile":
            options["volatile"] = True
        elif key == "tolerance":
            try:
                options["tolerance"] = float(value)
            except ValueError:
                raise ValueError(f"{where}: {word} is no tolerance; give a number, such as tolerance=0.1") from None
        else:
            raise ValueError(f"{where}: unknown cell option {word!r}; there are volatile and tolerance=NUMBER")
    return options
