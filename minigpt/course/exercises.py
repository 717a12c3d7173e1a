"""What a lesson's hints.toml says about its exercises: title, points, where to read, three hints."""
import tomllib
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("a question", "the identity to use", "the steps")


@dataclass(frozen=True)
class Exercise:
    """One entry of hints.toml."""
    number: str  # "05.2"
    title: str
    function: str  # its name in exercises.py
    points: int
    stars: int  # difficulty, 1 to 3
    section: str  # the heading of the lesson that explains it
    hints: tuple  # three texts, see LEVELS


def read_exercises(folder):
    """A lesson's folder -> its Exercises in order. Raises ValueError for a hints.toml that is not complete."""
    path = Path(folder) / "hints.toml"
    number = path.parent.name[:2]
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        exercises = [Exercise(f"{number}.{key}", row["title"], row["function"], row["points"], row["stars"], row["section"],
                              tuple(row["hints"])) for key, row in table.items()]
    except (KeyError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}; each exercise has title, function, points, stars, section, hints") from None
    for exercise in exercises:
        if len(exercise.hints) != len(LEVELS):
            raise ValueError(f"{path}: {exercise.number} has {len(exercise.hints)} hints, it needs {len(LEVELS)}")
    return exercises


def choose_exercises(folder, number=None):
    """A lesson's folder -> its Exercises, or [the one with this number]"""
    return [find_exercise(number, folder)] if number else read_exercises(folder)


def find_exercise(number, folder):
    """("05.2", the lesson's folder) -> Exercise. Raises ValueError that lists the exercises there are."""
    exercises = read_exercises(folder)
    for exercise in exercises:
        if exercise.number.split(".")[1] == number.partition(".")[2]:
            return exercise
    raise ValueError(f"no exercise {number!r}: there are {' '.join(exercise.number for exercise in exercises)}")
