"""A lesson as a Jupyter notebook (nbformat 4.5), executed: prose, code and output. Git ignores it; lesson.py is the source."""
import json
import re
from pathlib import Path

from minigpt.course.run import IMAGE, run_cells
from minigpt.files import atomic_write

SETUP = '%matplotlib inline\n__file__ = "lesson.py"  # a notebook does not know where it lies'


def write_notebook(lesson, path=None):
    """Runs the lesson and writes the notebook (default: lesson.ipynb beside lesson.py, where its figures are found). ValueError where there is one. -> path"""
    path = Path(path or lesson.folder / "lesson.ipynb")
    if path.exists():
        raise ValueError(f"{path} exists, perhaps with somebody's work in it; rename or remove it")
    heading = f"# {lesson.title}\n\n**{lesson.header['question']}**"
    cells = [_markdown("title", heading), _code("setup", SETUP, [])]
    for done in run_cells(lesson):
        name = f"cell-{done.cell.number}"
        if done.cell.kind == "markdown":
            cells.append(_markdown(name, re.sub(r"```math\n(.*?)\n```", r"$$\n\1\n$$", done.prose, flags=re.DOTALL)))
        else:
            cells.append(_code(name, done.cell.source, _outputs(lesson, done.output)))
    notebook = {"nbformat": 4, "nbformat_minor": 5, "cells": cells,
                "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                             "language_info": {"name": "python"}}}
    atomic_write(path, (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
    return path


def _markdown(name, text):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _code(name, source, outputs):
    return {"cell_type": "code", "id": name, "metadata": {}, "source": source, "execution_count": None, "outputs": outputs}


def _outputs(lesson, output):
    """What a cell printed -> Jupyter's outputs: the text, then the figures."""
    text = "\n".join(line for line in output.split("\n") if not IMAGE.fullmatch(line))
    outputs = [{"output_type": "stream", "name": "stdout", "text": text + "\n"}] if text.strip() else []
    for match in IMAGE.finditer(output):
        svg = (lesson.folder / match["path"]).read_text(encoding="utf-8")
        outputs.append({"output_type": "display_data", "metadata": {},
                        "data": {"image/svg+xml": svg, "text/plain": match["alt"]}})
    return outputs
