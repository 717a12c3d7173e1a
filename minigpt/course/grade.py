"""Points for a lesson's exercises.

A lesson's test_exercises.py holds functions `test_2_name(exercises, draw)`: exercise 2 of the lesson, the module to
grade, and a source of random inputs. An exercise earns its points when all its tests pass on all inputs.
"""
import importlib.util
import json
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigpt.course.draw import Draw, shrink
from minigpt.course.exercises import choose_exercises

INPUTS = 20  # random inputs for each test
SEARCH = 10.0  # seconds for the smallest input that fails


@dataclass(frozen=True)
class Grade:
    """What one exercise earned."""
    exercise: object
    points: int
    status: str  # "passed", "failed" or "not attempted"
    report: str = ""  # the smallest failing input and what to do, "" when none failed


def grade(folder, answers, seed, number=None):
    """(a lesson's folder, the file with the answers, an int) -> a Grade for each exercise, or for exercise `number` ("05.2") alone"""
    return list(grade_each(folder, answers, seed, choose_exercises(folder, number)))


def grade_each(folder, answers, seed, exercises, tell=lambda report: None):
    """Loads the answers now -> iterator of a Grade for each of these exercises, graded when it is asked for

    tell(report) is called before whatever may never end: with what to report if it does not.
    """
    tests = vars(load_module(Path(folder) / "test_exercises.py"))
    module = load_module(answers)
    return (_grade_exercise(exercise, _tests_of(exercise, tests, folder), module, seed, tell) for exercise in exercises)


def _tests_of(exercise, tests, folder):
    prefix = f"test_{exercise.number.partition('.')[2]}_"
    chosen = [test for name, test in tests.items() if name.startswith(prefix)]
    if not chosen:
        raise ValueError(f"{folder}/test_exercises.py has no function {prefix}...")
    return chosen


def load_module(path):
    """Imports a Python file that is not in a package. Raises ValueError when there is none, or it does not run."""
    path = Path(path)
    if not path.is_file() or path.suffix != ".py":
        raise ValueError(f"no Python file {path}; give one whose name ends in .py")
    name = f"graded_{path.stem}"  # a file may be called numpy.py
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look for their module there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # sys.exit() would end the grading with success
        line = error.lineno if isinstance(error, SyntaxError) else _line_of(error, path)
        raise ValueError(f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {error}; it must run before it is graded") from None
    return module


def _line_of(error, path):
    """The last line of a file that an error came through, or None."""
    lines = [place.lineno for place in traceback.extract_tb(error.__traceback__) if Path(place.filename).resolve() == path.resolve()]
    return lines[-1] if lines else None


def _grade_exercise(exercise, tests, module, seed, tell):
    if not hasattr(module, exercise.function):
        return Grade(exercise, 0, "not attempted", f"{exercise.number}: {module.__file__} has no {exercise.function}")
    for test in tests:
        for number in range(INPUTS):
            draw = Draw(seed + number)
            tell(_lines(exercise, test, draw))
            error = _attempt(test, module, draw)
            if isinstance(error, NotImplementedError):
                return Grade(exercise, 0, "not attempted")
            if error is not None:
                return Grade(exercise, 0, "failed", _report(exercise, test, module, draw, error, tell))
    return Grade(exercise, exercise.points, "passed")


def _attempt(test, module, draw):
    """-> the error that the test raises on this input, or None. Whatever a learner's code raises is an answer too."""
    try:
        with np.errstate(all="ignore"):  # a wrong formula may overflow; the comparison reports it better
            test(module, draw)
    except (Exception, SystemExit) as error:
        return error


def _report(exercise, test, module, draw, first, tell):
    """first: the error by which the test failed; it stands where the same input does not fail again."""
    tell(_lines(exercise, test, draw, *_said(first, module)))  # a smaller input may never end
    deadline = time.monotonic() + SEARCH

    def fails(candidate):
        error = _attempt(test, module, candidate) if time.monotonic() < deadline else None
        return error is not None and not isinstance(error, NotImplementedError)

    small = shrink(fails, draw)
    error = _attempt(test, module, small) or first
    return _lines(exercise, test, draw, *_said(error, module), "  with the smallest input found:",
                  *(line for name, value in small.values.items() for line in _indent(f"{name} = {_text(value)}", "    ")))


def _said(error, module):
    """What an error says, and where in the answers it happened -> lines"""
    if isinstance(error, AssertionError):
        return _indent(str(error))
    line = _line_of(error, Path(module.__file__))
    where = f"line {line} of {Path(module.__file__).name}" if line else "in the test; does the function return what its description says?"
    return _indent(f"{type(error).__name__}: {error} ({where})")


def _lines(exercise, test, draw, *between):
    """The report on a test: what it asks, what went wrong, how to see it again. -> text"""
    return "\n".join([f"{exercise.number} {exercise.function}: {test.__doc__.splitlines()[0]}", *between,
                      f"  again: --seed {draw.seed}   read: {exercise.section}   help: python -m minigpt lesson hint {exercise.number}"])


def _text(value):
    if isinstance(value, np.ndarray) and value.size > 40:
        return f"array of shape {value.shape}"
    return np.array2string(value, precision=3, separator=", ") if isinstance(value, np.ndarray) else repr(value)


def _indent(text, by="  "):
    return [by + line for line in text.strip().split("\n")]


def as_table(grades):
    """Grades -> text for people: a line for each exercise, the total, then what failed."""
    lines = [f"{grade.exercise.number:<6} {grade.points:>2} of {grade.exercise.points:<2} {grade.status:<14} "
             f"{'*' * grade.exercise.stars:<4}{grade.exercise.title}" for grade in grades]
    total, possible = sum(grade.points for grade in grades), sum(grade.exercise.points for grade in grades)
    reports = [grade.report for grade in grades if grade.report]
    return "\n".join([*lines, f"{'total':<6} {total:>2} of {possible}", *(f"\n{report}" for report in reports)])


def as_json(grades, seed):
    """Grades -> JSON for machines."""
    rows = [{"exercise": grade.exercise.number, "title": grade.exercise.title, "points": grade.points,
             "possible": grade.exercise.points, "status": grade.status, "report": grade.report} for grade in grades]
    return json.dumps({"seed": seed, "points": sum(row["points"] for row in rows),
                       "possible": sum(row["possible"] for row in rows), "exercises": rows}, ensure_ascii=False, indent=2)
