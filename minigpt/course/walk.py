"""A lesson in the terminal, cell by cell: prose, code, output, Enter to go on."""
import re
import shutil
import sys
import textwrap

from minigpt.course.run import IMAGE, run_cells

WIDTH = 88  # at most: longer lines are hard to read
# LaTeX that the lessons use -> what a terminal can show
SYMBOLS = {r"\begin{pmatrix}": "(", r"\end{pmatrix}": ")", r"\\": ";",
           r"\partial ": "∂", r"\partial": "∂", r"\cdots": "...", r"\cdot": "·", r"\dots": "...", r"\sum": "Σ", r"\prod": "Π",
           r"\log": "log", r"\exp": "exp", r"\ln": "ln", r"\cos": "cos", r"\sin": "sin", r"\tanh": "tanh", r"\max": "max",
           r"\min": "min", r"\ge": "≥", r"\leftarrow": "←", r"\eta": "η", r"\lambda": "λ", r"\gamma": "γ", r"\ne": "≠", r"\sim": "~",
           r"\odot": "⊙", r"\times": "×", r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\neq": "≠", r"\approx": "≈", r"\infty": "∞",
           r"\sqrt": "√", r"\top": "T", r"\mid": "|", r"\quad": "   ", r"\qquad": "      ", r"\,": " ", r"\;": " ", r"\ ": " ",
           r"\left": "", r"\right": "", r"\alpha": "α", r"\beta": "β", r"\theta": "θ", r"\sigma": "σ", r"\mu": "μ", r"\epsilon": "ε",
           r"\delta": "δ", r"\phi": "φ", r"\Delta": "Δ", r"\pi": "π", r"\to": "→", r"\in": "∈", "&": ""}


def walk(lesson, first=1, last=None, wait=input, out=None):
    """Shows the cells first..last (counted from 1); the ones before `first` run without being shown.

    wait(prompt) is called between cells; None: no pause
    """
    out = out or sys.stdout
    last = len(lesson.cells) if last is None else last
    if not 1 <= first <= last <= len(lesson.cells):
        raise ValueError(f"cells {first} to {last}: lesson {lesson.number} has cells 1 to {len(lesson.cells)}")
    print(f"{lesson.title}\n{lesson.header['question']}", file=out)
    for done in run_cells(lesson):
        if done.cell.number < first:
            continue
        print(f"\n[{done.cell.number}/{len(lesson.cells)}] " + "-" * 60 + f"\n{render(done)}", file=out)
        if done.cell.number == last:
            return
        if wait:
            try:
                wait("\nEnter to go on ")
            except EOFError:  # Ctrl-D
                return


def render(done):
    """A finished cell as plain text."""
    if done.cell.kind == "code":
        code = "\n".join(f"    {line}".rstrip() for line in done.cell.source.split("\n"))
        shown = IMAGE.sub(r"(figure \g<path>: \g<alt>)", done.output)
        return f"{code}\n\n{shown}"
    width = min(WIDTH, shutil.get_terminal_size().columns)
    lines, language = [], None  # language: of the fence that we are in
    for line in done.prose.split("\n"):
        if line.startswith("```"):
            language = None if language is not None else line[3:]
        elif language is not None:
            lines.append("    " + (plain_maths(line) if language == "math" else line))
        else:
            lines += textwrap.wrap(line, width, subsequent_indent="  " if line.startswith("* ") else "") or [""]
    return "\n".join(lines)


def plain_maths(line):
    r"""LaTeX -> one line of Unicode: \frac{a}{b} -> a / b, \sum -> Σ, braces of indices kept where they group.

    >>> plain_maths(r"p_j = \frac{e^{s_j}}{\sum_k e^{s_k}}")
    'p_j = e^(s_j) / Σ_k e^(s_k)'
    """
    line = re.sub(r"\\(?:text|mathrm|operatorname)\{([^{}]*)\}", r"\1", line)
    while (start := line.rfind(r"\frac")) >= 0:  # fractions in fractions: the last one has none inside
        above, end = _group(line, start + len(r"\frac"))
        below, end = _group(line, end)
        line = f"{line[:start]}{above} / {below}{line[end:]}"
    for symbol, shown in SYMBOLS.items():
        line = re.sub(re.escape(symbol) + r"(?![A-Za-z])", lambda _: shown, line) if symbol[-1].isalpha() \
            else line.replace(symbol, shown)
    return line.replace("{", "(").replace("}", ")").rstrip()


def _group(line, start):
    """What stands in the braces that open at `start`, in brackets if it is a sum; and where it ends."""
    depth, end = 0, start
    while depth or end == start:
        depth += {"{": 1, "}": -1}.get(line[end], 0)
        end += 1
    inside = line[start + 1:end - 1]
    return f"({inside})" if re.search(r"[-+] ", inside) else inside, end
