"""What is made from all lessons together: their map, their index, and the teacher's plans of which lesson comes in which week."""
from pathlib import Path
from typing import NamedTuple

from minigpt.course.cells import find_folders, read_lesson
from minigpt.course.exercises import read_exercises
from minigpt.show.readme import markdown_table, read_section, update_section


class Week(NamedTuple):
    """One week of a course."""
    lessons: tuple  # numbers; those that do not exist are left out
    in_class: str
    homework: str = ""  # besides the exercises
    points: int = 0  # of the homework


OWN_TEXT, OWN_INSTRUCTIONS = "[your own text](own_text.md)", "[your own instructions](own_instructions.md)"
PLANS = {
    "fourteen weeks": (
        Week(("00", "01"), "chat with a base and a tuned model; the byte-pair merges of \"the cat sat on the mat\" on the board"),
        Week(("02",), "guess the next word of a text together, and compute the perplexity of the class"),
        Week(("03",), "the gradient of one line by hand, then by finite differences"),
        Week(("04",), "shuffle a sentence: what is lost, and what brings it back"),
        Week(("05",), "act out attention: every student a token, with a query, a key and a value on paper"),
        Week(("06",), "the backward of softmax in three forms"),
        Week(("07",), "count GPT-2's parameters from its configuration", "bug hunt: three mutants", 12),
        Week(("08",), "five optimisers; bets before the figure is shown"),
        Week(("09",), "the roofline of the room's laptops: `python -m minigpt bench --only matmul`"),
        Week(("10",), "rank samples by the loss of the model that wrote them", f"{OWN_TEXT}: curve, samples, one page", 10),
        Week(("11",), "one distribution, six ways to draw from it"),
        Week(("12",), "the mask in colour: who can say why each token is green", f"{OWN_INSTRUCTIONS}: 200 conversations, held-out score", 15),
        Week(("13", "14"), "one answer as a product of probabilities; what an interval says", "choose a project: [an extension](../recipes/)"),
        Week((), "the projects, ten minutes each", "code, gradient check, three seeds against what it replaces", 30)),
    "six weeks": (
        Week(("00", "01", "02"), "from letters to losses"),
        Week(("03", "05"), "one gradient, one attention map"),
        Week(("06", "07"), "the backward of attention; the whole model", "bug hunt: two mutants", 8),
        Week(("08", "10"), "what to watch while a model learns", f"{OWN_TEXT}: curve, samples", 10),
        Week(("11", "12"), "from a model that continues to one that answers", f"{OWN_INSTRUCTIONS}: 100 conversations", 15),
        Week(("13", "14"), "what a number means", "[an extension](../recipes/) with its gradient check", 20)),
}


def plan_table(weeks, folder):
    """(Weeks, lessons/) -> a plan as a Markdown table, its last row the sums of the points"""
    folders = find_folders(folder)
    worth = {number: sum(exercise.points for exercise in read_exercises(path)) for number, path in folders.items()}
    rows, exercises = [], 0
    for number, week in enumerate(weeks, 1):
        there = [lesson for lesson in week.lessons if lesson in folders]
        points = sum(worth[lesson] for lesson in there)
        exercises += points
        links = ", ".join(f"[{lesson}](../{folders[lesson].name}/)" for lesson in there)
        rows.append([number, links, week.in_class, week.homework, points or "", week.points or ""])
    rows.append(["", "", "", "together", exercises, sum(week.points for week in weeks)])
    return markdown_table(rows, ["week", "lessons", "in class", "besides the exercises", "exercises", "other"], right=(0, 4, 5))


def overviews(folder):
    """lessons/ -> (page, name of the section, text) of every table that is made from all lessons; pages without a place for it are left out."""
    lessons, map_rows, index_rows = Path(folder), [], []
    for path in find_folders(folder).values():
        lesson, points = read_lesson(path / "lesson.py"), sum(exercise.points for exercise in read_exercises(path))
        header = lesson.header
        map_rows.append([f"[{lesson.title}]({path.name}/)", *(header[key] for key in ("question", "needs", "builds", "minutes")), points])
        index_rows.append([f"[{lesson.title}]({lessons.name}/{path.name}/)", header["question"]])
    tables = [(lessons / "README.md", "lessons", markdown_table(map_rows, ["lesson", "the question", "you need", "you build", "minutes", "points"])),
              (lessons.parent / "README.md", "lessons", markdown_table(index_rows, ["lesson", "the question"])),
              *((lessons / "guides" / "teaching.md", name, plan_table(weeks, folder)) for name, weeks in PLANS.items())]
    return [(page, name, text) for page, name, text in tables if page.exists() and f"<!-- {name} -->" in page.read_text(encoding="utf-8")]


def write_overviews(folder):
    """Writes them into their pages."""
    for page, name, text in overviews(folder):
        update_section(name, text, page)


def stale_overviews(folder):
    """Those that are not what would be written -> complaints"""
    return [f"{page} is stale: python -m minigpt lesson weave --all" for page, name, text in overviews(folder)
            if read_section(name, page)[1] != text + "\n"]
