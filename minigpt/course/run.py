"""Runs a lesson's cells, one after the other in one namespace, and collects what they say and draw."""
import contextlib
import importlib
import inspect
import io
import re
from dataclasses import dataclass
from pathlib import Path

from minigpt.nn.threads import blas_threads

INCLUDE = re.compile(r"^\{\{include ([\w.]+):(\w+)\}\}$", re.MULTILINE)
EXPRESSION = re.compile(r"\{\{(.+?)\}\}")
IMAGE = re.compile(r"!\[(?P<alt>.+)\]\((?P<path>figures/[\w-]+\.svg)\)")  # what show.plot.save_svg prints


@dataclass(frozen=True)
class Done:
    """A cell that has run."""
    cell: object
    prose: str = ""  # of a markdown cell: includes and numbers filled in
    output: str = ""  # of a code cell: what it printed, figures as Markdown images


def run_cells(lesson):
    """Yields a Done for each cell, in order.

    A cell that fails raises its own error with a note of the cell. A code cell that shows nothing: ValueError.
    """
    path = lesson.folder.resolve() / "lesson.py"
    namespace = {"__name__": "__main__", "__file__": str(path)}
    for cell in lesson.cells:
        try:
            with blas_threads(1):  # a lesson's products are small: two threads gain nothing and fight on a busy machine
                done = _run_cell(cell, path, namespace)
        except Exception as error:
            error.add_note(f"in cell {cell.number} of lesson {lesson.number} ({lesson.path}:{cell.line})")
            raise
        if cell.kind == "code" and not done.output:
            raise ValueError(f"{lesson.path}:{cell.line}: this cell shows nothing; print or draw its one idea")
        yield done


def _run_cell(cell, path, namespace):
    if cell.kind == "markdown":
        return Done(cell, prose=fill(cell.source, cell.line, path, namespace))
    return Done(cell, output=_run_code(cell.source, cell.line, path, namespace).rstrip())


def _run_code(source, line, path, namespace):
    """The one place of the package that executes text: a lesson's own cells, which are code of this project like any
    module, only cut into pieces. Nothing a user typed and nothing from a data file ever comes here."""
    program = compile("\n" * (line - 1) + source, str(path), "exec")  # the blank lines make tracebacks name the right line
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, namespace)
    return printed.getvalue()


def fill(prose, line, path, namespace):
    """Replaces `{{include module:name}}` by the live source and `{{expression:.2f}}` by its value."""
    def number(match):
        return _run_code(f'print(f"""{{{match[1]}}}""", end="")', line, path, namespace)

    before = 0
    filled = []
    for match in INCLUDE.finditer(prose):  # an included function may itself contain braces, so it is not filled again
        filled += [EXPRESSION.sub(number, prose[before:match.start()]), _include(match[1], match[2])]
        before = match.end()
    return "".join(filled) + EXPRESSION.sub(number, prose[before:])


def _include(module_name, name):
    source, file = source_of(module_name, name)
    return f"*[{file}](../../{file}), as it is today:*\n\n```python\n{source}```"


def source_of(module_name, name):
    """("minigpt.nn.ops", "softmax_forward") -> its source text, its file as seen from the project's folder."""
    if module_name.split(".")[0] != "minigpt":
        raise ValueError(f"{{{{include {module_name}:{name}}}}}: only source of minigpt is included")
    thing = getattr(importlib.import_module(module_name), name)
    thing = inspect.unwrap(getattr(thing, "py_func", thing))  # a Numba kernel, or a cached function, keeps its Python source there
    file = Path(inspect.getsourcefile(thing)).resolve().relative_to(Path(__file__).resolve().parents[2])
    return inspect.getsource(thing), file.as_posix()
