"""The pages beside the lessons: every command parses, every place exists, and what is marked `<!-- run -->` runs in its order."""
import argparse
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from runs import CHAT, HOME

from minigpt.__main__ import COMMANDS
from minigpt.course.cells import find_folders, lessons_folder
from minigpt.course.exercises import find_exercise
from minigpt.course.overviews import PLANS, plan_table

LESSONS = lessons_folder()
ROOT = LESSONS.parent
PAGES = {str(path.relative_to(LESSONS)): path for path in [*sorted((LESSONS / "guides").glob("*.md")), LESSONS / "recipes" / "README.md"]}
MADE_BY_RUNNING = ("runs/", "my.", "held_out.", "old.txt")
BLOCK = re.compile(r"(?:<!-- (run|file \S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
SMALL = ["--backend", "numpy", "--tokens", "2048", "--batch-tokens", "256"]  # flags that come later win
SMALLER = {"pretrain": ["--preset", "nano", "--block-size", "64", "--vocab-size", "400", *SMALL], "sft": SMALL,
           "sample": ["--max-new-tokens", "5"], "answer": ["--max-new-tokens", "5"]}

each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def commands(page):
    """Every shell command of a page, in its blocks and within its lines."""
    text = page.read_text(encoding="utf-8")
    lines = [line for _, language, block in BLOCK.findall(text) if language == "sh" for line in block.strip().split("\n")]
    return lines + re.findall(r"`((?:[A-Z_]+=\S+ )?python [^`]+)`", BLOCK.sub("", text))


def parse(argv):
    """Arguments of python -m minigpt, accepted by the command's own parser -> what it made of them"""
    parser = argparse.ArgumentParser(exit_on_error=False)
    getattr(importlib.import_module(COMMANDS[argv[0]][0]), f"add_{argv[0]}_arguments")(parser)
    parsed = parser.parse_args(argv[1:])
    if argv[0] in ("lesson", "grade") and getattr(parsed, "lesson", None):
        assert parsed.lesson in find_folders(LESSONS)
    if argv[:2] == ["lesson", "hint"]:
        assert find_exercise(parsed.exercise, find_folders(LESSONS)[parsed.exercise[:2]])
    return parsed


@pytest.mark.parametrize("page", [pytest.param(page, id=name, marks=pytest.mark.slow if "recipes" in name else ()) for name, page in PAGES.items()])
def test_every_command_parses(page):
    found, of_recipes = commands(page), []
    for line in found:
        words = [word for word in shlex.split(line) if not re.fullmatch("[A-Z_]+=.*", word)]
        if words[:3] == ["python", "-m", "minigpt"]:
            assert not words[3:] or parse(words[3:])
        elif words[0] == "python" and words[1].startswith("lessons/recipes/") and "NAME" not in words[1]:
            of_recipes.append((Path(words[1]).stem, words[2:]))
        else:
            assert words[:3] == ["python", "-m", "pytest"] or words[0] in ("cp", "iconv") or "NAME" in line or "your_part" in line, line
    assert found or page.name == "reading_paths.md"
    if of_recipes:  # in a process of their own, for a recipe adds to the package's tables
        code = "import sys, test_pages, importlib; [(importlib.import_module(name), test_pages.parse(argv)) for name, argv in %r]" % of_recipes
        path = [HOME["PYTHONPATH"], str(ROOT / "tests"), str(LESSONS / "recipes")]
        subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], check=True)


@each_page
def test_every_place_exists(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    for link in links:
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|md|txt|json|toml))`", text):
        if not path.startswith(MADE_BY_RUNNING) and path not in ("expected.json", "answers.py"):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", PLANS)
def test_the_plans_are_fresh_and_use_every_lesson_once(name):
    page = (LESSONS / "guides" / "teaching.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->\n{plan_table(PLANS[name], LESSONS)}\n<!-- end {name} -->" in page, "python -m minigpt lesson weave --all"
    used = [lesson for week in PLANS[name] for lesson in week.lessons]
    left_out = {"fourteen weeks": set(), "six weeks": {"04", "09"}}[name]
    assert len(used) == len(set(used)) and set(find_folders(LESSONS)) - set(used) <= left_out | {n for n in find_folders(LESSONS) if n > "14"}


def test_tables_have_as_many_cells_as_their_header():
    for path in PAGES.values():
        for table in re.findall(r"(?:^\|.*\n)+", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.strip().split("\n")}) == 1, table[:80]


@pytest.mark.slow
def test_what_is_marked_to_run_runs(tmp_path):
    """The two guides one after the other, as a reader would, with trainings of seconds."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    chats = [json.dumps({"messages": [{"role": role, "content": text} for role, text in chat]}) for chat in CHAT[:3]]
    (tmp_path / "held_out.jsonl").write_text("\n".join(chats), encoding="utf-8")
    printed = []
    for name in ("own_text.md", "own_instructions.md"):
        for mark, language, block in BLOCK.findall((LESSONS / "guides" / name).read_text(encoding="utf-8")):
            if mark.startswith("file "):
                (tmp_path / mark.removeprefix("file ")).write_text(block, encoding="utf-8")
            elif mark == "run":
                lines = [shlex.split(line) for line in block.strip().split("\n")] if language == "sh" else [["python", "-c", block]]
                for words in lines:
                    words = [sys.executable, *words[1:], *SMALLER.get(words[3] if len(words) > 3 else "", [])] if words[0] == "python" else words
                    done = subprocess.run(words, cwd=tmp_path, env=HOME, input="/quit\n", capture_output=True, text=True, encoding="utf-8")
                    assert done.returncode == 0, f"{words}: {done.stderr}"
                    printed.append(done.stdout)
    assert "of 3" in printed[-1] and any("validation loss" in text for text in printed) and len(printed) > 8
