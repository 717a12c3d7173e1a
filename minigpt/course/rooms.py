"""The files behind a lesson: which they are, and what every public name in them is for, read from their docstrings."""
import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def module_file(name):
    """"text.bpe" -> the path of minigpt/text/bpe.py, or of the package's __init__.py. ValueError where there is none."""
    stem = PACKAGE.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.exists():
            return path
    raise ValueError(f"a lesson's header names the file {name}, but there is no minigpt/{name.replace('.', '/')}.py")


def public_names(path):
    """A source file -> its first line of docstring, {public function or class: first line of its docstring}"""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    things = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")]
    return _first_line(tree), {node.name: _first_line(node) for node in things}


def _first_line(node):
    return (ast.get_docstring(node) or "").partition("\n")[0]


def listing(names):
    """Modules below minigpt ("text.bpe", ...) -> Markdown: one part to unfold per file, with a table of its public names"""
    parts = []
    for name in names:
        path = module_file(name)
        title, things = public_names(path)
        file = path.relative_to(PACKAGE.parent).as_posix()
        rows = [f"| `{thing}` | {text.replace('|', chr(92) + '|')} |" for thing, text in things.items()]
        table = "\n".join(["| name | what it is |", "|---|---|", *rows]) if rows else "It has no public names of its own."
        parts.append(f"<details><summary>{file}: {title}</summary>\n\n[Open the file](../../{file})\n\n{table}\n\n</details>")
    return "\n\n".join(["## The files behind this lesson", "Unfold a file to see what each of its public names is for.", *parts])
