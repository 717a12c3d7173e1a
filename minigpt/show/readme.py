"""Measured tables of the README: written by the command that measured them, never by hand."""
import re
from pathlib import Path

from minigpt.files import atomic_write

README = Path(__file__).parents[2] / "README.md"


def update_section(name, text, path=README):
    """Replace what stands between `<!-- name -->` and `<!-- end name -->` in a Markdown file by text. ValueError where the marks are missing."""
    page = Path(path).read_text(encoding="utf-8")
    marked = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end {re.escape(name)} -->)", re.DOTALL)
    if len(marked.findall(page)) != 1:
        raise ValueError(f"{path} must hold <!-- {name} --> and <!-- end {name} --> exactly once")
    atomic_write(path, marked.sub(lambda m: m[1] + text.strip("\n") + "\n" + m[2], page).encode("utf-8"))


def markdown_table(rows, header, right=()):
    """Rows of texts under a header as a Markdown table; columns whose index is in `right` are aligned to the right."""
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in [header, rule, *rows])
