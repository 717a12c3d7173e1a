"""The commands `lesson` and `grade`."""
import secrets
import sys
from pathlib import Path

from minigpt.config import check_least
from minigpt.course.apart import grade_apart
from minigpt.course.cells import find_folders, find_lesson, lessons_folder, read_lesson
from minigpt.course.check import check
from minigpt.course.exercises import LEVELS, choose_exercises, find_exercise
from minigpt.course.grade import Grade, as_json, as_table
from minigpt.course.notebook import write_notebook
from minigpt.course.overviews import stale_overviews, write_overviews
from minigpt.course.walk import walk
from minigpt.course.weave import weave
from minigpt.show.progress import table


def add_lesson_arguments(parser):
    """Arguments of `python -m minigpt lesson`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="which lessons there are")
    add = actions.add_parser("walk", help="read and run a lesson in the terminal, cell by cell")
    add.add_argument("lesson", help="its number, such as 05")
    add.add_argument("--from", dest="first", type=int, default=1, metavar="CELL", help="first cell to show; earlier ones run silently")
    add.add_argument("--upto", dest="last", type=int, metavar="CELL", help="last cell to show")
    add = actions.add_parser("hint", help="help with an exercise, in three levels")
    add.add_argument("exercise", help="its number, such as 05.2")
    add.add_argument("--level", type=int, choices=(1, 2, 3), default=1, help="1 a question, 2 the identity to use, 3 the steps")
    add = actions.add_parser("notebook", help="write a lesson as a Jupyter notebook, already run")
    add.add_argument("lesson", help="its number, such as 05")
    for name, text in (("weave", "run a lesson and write its page and figures"),
                       ("check", "run a lesson and compare with its page; exit code 1 when the page is stale")):
        add = actions.add_parser(name, help=text)
        add.add_argument("lesson", nargs="?", help="its number, such as 05")
        add.add_argument("--all", action="store_true", help="every lesson")


def run_lesson(args):
    """Does what the arguments say. -> exit code"""
    folder = lessons_folder()
    if args.action == "list":
        lessons = [read_lesson(path / "lesson.py") for path in find_folders(folder).values()]
        print(table([(lesson.title, lesson.header["question"], lesson.header["minutes"]) for lesson in lessons], ("lesson", "question", "minutes"), right={2}))
        return 0
    if args.action == "hint":
        return _hint(args, folder)
    if args.action in ("weave", "check"):
        if bool(args.lesson) == args.all:
            raise ValueError(f"{args.action}: give one lesson's number, or --all")
        lessons = [read_lesson(path / "lesson.py") for path in find_folders(folder).values()] if args.all \
            else [find_lesson(args.lesson, folder)]
        return _weave(lessons, folder) if args.action == "weave" else _check(lessons, folder if args.all else None)
    lesson = find_lesson(args.lesson, folder)
    if args.action == "notebook":
        print(write_notebook(lesson))
    else:
        walk(lesson, args.first, args.last, wait=input if sys.stdin and sys.stdin.isatty() else None)
    return 0


def _weave(lessons, folder):
    for lesson in lessons:
        weave(lesson)
        print(lesson.folder / "README.md")
    write_overviews(folder)
    return 0


def _check(lessons, folder):
    """folder: lessons/, to check the map of all lessons too, or None."""
    complaints = []
    for lesson in lessons:
        found = check(lesson)
        print(f"{lesson.title}: {'stale' if found else 'fresh'}", flush=True)
        complaints += found
    if folder:
        complaints += stale_overviews(folder)
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


def _hint(args, folder):
    lesson = find_lesson(args.exercise.partition(".")[0], folder)
    exercise = find_exercise(args.exercise, lesson.folder)
    print(f"{exercise.number} {exercise.title} ({exercise.points} points)\nread: {exercise.section}\n")
    print(f"Hint {args.level}, {LEVELS[args.level - 1]}:\n{exercise.hints[args.level - 1].strip()}")
    if args.level < len(LEVELS):
        print(f"\nMore: python -m minigpt lesson hint {exercise.number} --level {args.level + 1}")
    return 0


def add_grade_arguments(parser):
    """Arguments of `python -m minigpt grade`."""
    parser.add_argument("lesson", help="its number, such as 05, or that of one exercise, such as 05.2")
    parser.add_argument("--file", type=Path, help="the file to grade (default: the lesson's exercises.py)")
    parser.add_argument("--seed", type=int, help="of the random inputs (default: another one each time)")
    parser.add_argument("--json", action="store_true", help="print the result for machines")


def run_grade(args):
    """Prints the points. -> exit code: 0 when all points were earned"""
    chapter, dot, _ = args.lesson.partition(".")
    lesson = find_lesson(chapter, lessons_folder())
    check_least(args, seed=0)
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    number = args.lesson if dot else None
    try:
        grades = grade_apart(lesson.folder, args.file or lesson.folder / "exercises.py", seed, number)
    except ValueError as error:  # the file does not load; a script that collects results wants to know it of every exercise
        if not args.json:
            raise
        grades = [Grade(exercise, 0, "failed", str(error)) for exercise in choose_exercises(lesson.folder, number)]
    print(as_json(grades, seed) if args.json else as_table(grades))
    return 0 if all(item.status == "passed" for item in grades) else 1
