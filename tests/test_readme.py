"""What the README says can be done: every command parses, every path exists, every import works."""
import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

import minigpt
from minigpt.__main__ import COMMANDS
from minigpt.bench.cli import IN_README
from minigpt.show.readme import markdown_table, update_section

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MADE_BY_RUNNING = ("runs/", ".venv/")


@pytest.mark.parametrize("line", sorted(set(re.findall(r"`(?:\.venv/bin/)?python -m minigpt ([^`]+)`", README))))
def test_every_command_line_parses(line):
    name, *flags = shlex.split(line)
    if name == "--help":
        return
    parser = argparse.ArgumentParser(exit_on_error=False)
    getattr(importlib.import_module(COMMANDS[name][0]), f"add_{name}_arguments")(parser)
    parser.parse_args(["TEXT" if flag == "..." else flag for flag in flags])


def test_every_link_and_path_exists():
    paths = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r"`([\w/]+\.(?:py|md|png))`", README)
    assert len(paths) > 3
    for path in paths:
        if "://" not in path and not path.startswith(MADE_BY_RUNNING):
            assert (ROOT / path).exists() or (ROOT / "minigpt" / path).exists(), path


def test_names_in_python_blocks_exist():
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        for names in re.findall(r"from minigpt import (.+)", block):
            for name in names.split(","):
                assert getattr(minigpt, name.strip())


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {a or b for a, b in re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", README, re.MULTILINE)}
    assert named and named <= targets


def test_a_section_is_replaced_between_its_marks_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\nold\n<!-- end x -->\nafter\n", encoding="utf-8")
    update_section("x", markdown_table([["a", 1]], ["name", "n"], right=(1,)), page)
    assert page.read_text(encoding="utf-8") == "before\n<!-- x -->\n| name | n |\n| --- | ---: |\n| a | 1 |\n<!-- end x -->\nafter\n"
    with pytest.raises(ValueError, match="exactly once"):
        update_section("y", "", page)


@pytest.mark.parametrize("name", ["make", "evaluation", "bench steps intel", "bench decode intel", *(f"bench {name}" for name in IN_README)])
def test_the_place_of_every_measured_table_is_there(name, tmp_path):
    """A missing mark would be noticed after hours of measuring."""
    (tmp_path / "page.md").write_text(README, encoding="utf-8")
    update_section(name, "new", tmp_path / "page.md")
    assert f"<!-- {name} -->\nnew\n<!-- end {name} -->" in (tmp_path / "page.md").read_text(encoding="utf-8")
