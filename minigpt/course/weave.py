"""From a lesson's cells to its page: README.md with prose, code, what the code printed, and figures/*.svg."""
import datetime
import hashlib
import os
from dataclasses import dataclass

from minigpt.course.exercises import read_exercises
from minigpt.course.rooms import listing
from minigpt.course.run import IMAGE, run_cells
from minigpt.files import atomic_write
from minigpt.nn.threads import processor

CHECKSUM = "<!-- page sha256 "


@dataclass(frozen=True)
class Block:
    """A piece of a page and how exactly a fresh run must repeat it."""
    text: str
    tolerance: float = 0.0
    volatile: bool = False


def weave(lesson):
    """Runs the lesson and writes README.md and figures/ beside it. -> the page's blocks, the finished cells"""
    folder = lesson.folder
    done = list(run_cells(lesson))
    blocks = [Block(_heading(lesson))]
    for item in done:
        blocks += _blocks(item)
    blocks += [Block(_coursework(lesson)), Block(listing(lesson.header["files"].split()))]
    page = "\n\n".join(block.text for block in blocks) + "\n"
    atomic_write(folder / "README.md", (page + _checksum(page) + "\n").encode("utf-8"))
    drawn = {match["path"] for item in done for match in IMAGE.finditer(item.output)}
    for path in (folder / "figures").glob("*.svg"):
        if f"figures/{path.name}" not in drawn:  # the lesson no longer draws it
            path.unlink()
    return blocks, done


def is_unedited(page):
    """Whether a page (text) still is what weave wrote: its last line is the checksum of the rest."""
    body, _, _ = page.rpartition(CHECKSUM)
    return page == body + _checksum(body) + "\n"


def _checksum(page):
    return f"{CHECKSUM}{hashlib.sha256(page.encode('utf-8')).hexdigest()} -->"


def _heading(lesson):
    header = lesson.header
    return (f"<!-- made from lesson.py by `python -m minigpt lesson weave {lesson.number}`: change that file, not this one -->\n"
            f"# {lesson.title}\n\n"
            f"**{header['question']}**\n\n"
            f"| you need | you build | time |\n|---|---|---|\n"
            f"| {header['needs']} | {header['builds']} | {header['minutes']} minutes |\n\n"
            f"Run it: `python lessons/{lesson.folder.name}/lesson.py`, or step by step: `python -m minigpt lesson walk {lesson.number}`.")


def _coursework(lesson):
    rows = [f"| {exercise.number} | {exercise.title} | {'★' * exercise.stars} | {exercise.points} | `{exercise.function}` |"
            for exercise in read_exercises(lesson.folder)]
    return "\n".join(["| exercise | | difficulty | points | write |", "|---|---|---|---|---|", *rows, "",
                      f"Write your answers in [exercises.py](exercises.py). `python -m minigpt grade {lesson.number}` tests them, "
                      f"`python -m minigpt lesson hint {rows[0].split()[1]}` helps in three steps, "
                      "and [solutions.py](solutions.py) shows one way."])


def _blocks(done):
    """A finished cell -> the blocks that show it."""
    if done.cell.kind == "markdown":
        return [Block(done.prose, done.cell.tolerance, done.cell.volatile)]
    shown = "\n\n".join(_show(done.output))
    if done.cell.volatile:
        shown += f"\n\n*Measured on {datetime.date.today()}, {processor()}, {os.cpu_count()} cores. Yours will differ.*"
    return [Block(f"```python\n{done.cell.source}\n```"), Block(shown, done.cell.tolerance, done.cell.volatile)]


def _show(output):
    """What a cell printed -> paragraphs: text in fences, figures as images, in their order."""
    text = []
    for line in output.split("\n"):
        if not IMAGE.fullmatch(line):
            text.append(line)
            continue
        if "".join(text).strip():
            yield _fence(text)
        text = []
        yield line
    if "".join(text).strip():
        yield _fence(text)


def _fence(lines):
    return "```text\n" + "\n".join(line.rstrip() for line in lines).strip("\n") + "\n```"
