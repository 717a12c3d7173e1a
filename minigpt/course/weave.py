"""From a lesson's cells to its page: README.md with prose, code, what the code printed, and figures/*.svg."""
import datetime
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from minigpt.course.cells import find_folders, read_lesson
from minigpt.course.exercises import read_exercises
from minigpt.course.rooms import listing
from minigpt.course.run import IMAGE, run_cells
from minigpt.files import atomic_write
from minigpt.nn.threads import processor
from minigpt.show.readme import markdown_table, update_section

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


def lesson_map(folder):
    """lessons/ -> the text of lessons/README.md: every lesson that exists, from its header."""
    rows = []
    for path in find_folders(folder).values():
        lesson = read_lesson(path / "lesson.py")
        points = sum(exercise.points for exercise in read_exercises(path))
        rows.append(f"| [{lesson.title}]({path.name}/) | {lesson.header['question']} | {lesson.header['needs']} "
                    f"| {lesson.header['builds']} | {lesson.header['minutes']} | {points} |")
    return "\n".join([
        "<!-- made from the headers of the lessons by `python -m minigpt lesson weave --all`: change those -->",
        "# Lessons", "",
        "Each lesson asks one question and answers it with code that you can run. The pages are made by running the scripts, "
        "so every number and figure on them is what the code really gave.", "",
        "| lesson | the question | you need | you build | minutes | points |", "|---|---|---|---|---|---|", *rows, "",
        "Four ways to use a lesson:", "",
        "* **read** it here: open its folder;",
        "* **run** it: `python lessons/05_self_attention/lesson.py`;",
        "* **walk** through it in the terminal, cell by cell: `python -m minigpt lesson walk 05`;",
        "* open it as a **notebook**: `python -m minigpt lesson notebook 05`, or open `lesson.py` in an editor that knows cells.", "",
        "Then solve its `exercises.py`. `python -m minigpt grade 05` gives points and shows the smallest input that fails. "
        "`python -m minigpt lesson hint 05.1` helps.", "",
        "Beside the lessons:", "",
        "* [four ways through](guides/reading_paths.md), by what you want;",
        "* [five extensions](recipes/) of at most twenty lines: a norm, a position scheme, a loss, a task family, a kernel;",
        "* [train on your own text](guides/own_text.md), [tune on your own instructions](guides/own_instructions.md);",
        "* [troubleshooting](guides/troubleshooting.md): symptom, cause, command;",
        "* [for teachers](guides/teaching.md): plans of fourteen and of six weeks, points, a bug hunt;",
        "* [LOG.md](LOG.md): what was tried, to make it fast and to make it answer well, and what lost.", ""])


def lesson_index(folder):
    """lessons/ -> the table of the lessons in the README of the project, which the folder stands in."""
    lessons = [read_lesson(path / "lesson.py") for path in find_folders(folder).values()]
    rows = [[f"[{lesson.title}]({lesson.folder.parent.name}/{lesson.folder.name}/)", lesson.header["question"]] for lesson in lessons]
    return markdown_table(rows, ["lesson", "the question"])


def index_page(folder):
    """lessons/ -> the README that holds the place of its index, or None"""
    page = Path(folder).parent / "README.md"
    return page if page.exists() and "<!-- lessons -->" in page.read_text(encoding="utf-8") else None


def write_map(folder):
    """Writes lessons/README.md, and the index into the project's README."""
    atomic_write(Path(folder) / "README.md", lesson_map(folder).encode("utf-8"))
    if page := index_page(folder):
        update_section("lessons", lesson_index(folder), page)
