"""Is a page still true? The lesson is run again in a copy of its folder, and what comes out is compared with the page.

Text must be equal, numbers equal within the cell's tolerance, figures by the hash of their data. What a volatile cell
printed is not compared, but a page's own checksum finds every edit by hand, there too.
"""
import math
import re
import shutil
import tempfile
from pathlib import Path

from minigpt.course.cells import read_lesson
from minigpt.course.run import IMAGE
from minigpt.course.weave import is_unedited, weave
from minigpt.files import read_json

NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?")  # 12,345.6 is one number


def check(lesson):
    """Lesson -> list of complaints, one line each; empty when its page is fresh."""
    page_path = lesson.folder / "README.md"
    if not page_path.exists():
        return [f"{page_path} is missing: python -m minigpt lesson weave {lesson.number}"]
    page = page_path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / lesson.folder.name
        shutil.copytree(lesson.folder, copy, ignore=shutil.ignore_patterns("README.md", "figures", "__pycache__"))
        blocks, done = weave(read_lesson(copy / "lesson.py"))
        complaints = [] if is_unedited(page) else [f"{page_path} was edited by hand; edit lesson.py and weave again"]
        complaints += _compare_pages(page_path, page, blocks)
        complaints += _compare_figures(lesson.folder, copy, done)
        complaints += _compare_expected(lesson.folder, done)
    return complaints


def _compare_pages(path, page, blocks):
    """The first difference between the committed page and the fresh blocks, as a list of at most one complaint."""
    position = line = 0
    for i, block in enumerate(blocks):
        if block.volatile:  # its text may have any length: go on where the next block begins, the first that is not volatile
            if not blocks[i + 1].volatile:
                position = page.find("\n\n" + blocks[i + 1].text.split("\n")[0], position) + 2
                line = page.count("\n", 0, position)
            continue
        for fresh in block.text.split("\n"):
            end = page.find("\n", position)
            old = page[position:end]
            line += 1
            if not same_line(old, fresh, block.tolerance):
                return [f"{path}:{line}: the page has {old!r}, a fresh run gives {fresh!r}"]
            position = end + 1
        position, line = position + 1, line + 1  # the empty line between blocks
    return []


def same_line(old, fresh, tolerance):
    """Whether two lines say the same: equal text, and numbers that differ by at most `tolerance`, absolute or relative."""
    if old == fresh:
        return True
    if tolerance == 0.0 or NUMBER.sub("#", old).split() != NUMBER.sub("#", fresh).split():
        return False
    pairs = zip(NUMBER.findall(old), NUMBER.findall(fresh), strict=True)
    return all(math.isclose(_value(a), _value(b), rel_tol=tolerance, abs_tol=tolerance) for a, b in pairs)


def _value(number):
    return float(number.replace(",", ""))


def _compare_figures(folder, copy, done):
    from minigpt.show.plot import read_hash  # matplotlib takes a moment to import and not every command draws
    stable = {match["path"] for item in done if not item.cell.volatile for match in IMAGE.finditer(item.output)}
    every = {match["path"] for item in done for match in IMAGE.finditer(item.output)}
    there = {f"figures/{path.name}" for path in (folder / "figures").glob("*.svg")}
    complaints = [f"{folder / name}: the lesson draws it, but it is missing" for name in sorted(every - there)]
    complaints += [f"{folder / name}: no cell draws it" for name in sorted(there - every)]
    complaints += [f"{folder / name}: a fresh run plots other data" for name in sorted(stable & there)
                   if read_hash(folder / name) != read_hash(copy / name)]
    return complaints


def _compare_expected(folder, done):
    """expected.json: {"metrics": {"a cell's printed label": [low, high]}}; each number after its label must be inside."""
    printed = "\n".join(item.output for item in done)
    complaints = []
    for label, (low, high) in read_json(folder / "expected.json")["metrics"].items():
        match = re.search(re.escape(label) + r"[^\d\n]*?(" + NUMBER.pattern + ")", printed)
        if match is None:
            complaints.append(f"{folder / 'expected.json'}: no cell prints {label!r} and a number")
        elif not low <= _value(match[1]) <= high:
            complaints.append(f"{folder / 'expected.json'}: {label!r} is {match[1]}, expected {low} to {high}")
    return complaints
