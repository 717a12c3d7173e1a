"""Measured tables of the README: written by the command that measured them, never by hand."""
import re
from pathlib import Path

from minigpt.files import atomic_write

README = Path(__file__).parents[2] / "README.md"


def read_section(name, path=README):
    """A Markdown file, cut around what stands between `<!-- name -->` and `<!-- end name -->` -> what is before, within, behind.

    ValueError where the marks are missing.
    """
    page = Path(path).read_text(encoding="utf-8")
    parts = re.split(rf"(?<=<!-- {re.escape(name)} -->\n)(.*?)(?=<!-- end {re.escape(name)} -->)", page, flags=re.DOTALL)
    if len(parts) != 3:
        raise ValueError(f"{path} must hold <!-- {name} --> and <!-- end {name} --> exactly once")
    return parts


def update_section(name, text, path=README):
    """Replace what stands between the marks of a section by text. ValueError where the marks are missing."""
    before, _, behind = read_section(name, path)
    atomic_write(path, (before + text.strip("\n") + "\n" + behind).encode("utf-8"))


def markdown_table(rows, header, right=()):
    """Rows of texts under a header as a Markdown table; columns whose index is in `right` are aligned to the right."""
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in [header, rule, *rows])
