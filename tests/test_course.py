"""The lessons' tools, on a small lesson that is written here."""
import io
import json
import random
import shutil

import numpy as np
import pytest

from minigpt.__main__ import main
from minigpt.course import cli
from minigpt.course.apart import grade_apart
from minigpt.course.cells import find_lesson, read_lesson
from minigpt.course.check import check, same_line
from minigpt.course.draw import Draw, expect_close, shrink
from minigpt.course.exercises import find_exercise, read_exercises
from minigpt.course.grade import as_json, as_table, grade
from minigpt.course.notebook import write_notebook
from minigpt.course.overviews import stale_overviews, write_overviews
from minigpt.course.run import fill, run_cells, source_of
from minigpt.course.walk import plain_maths, walk
from minigpt.course.weave import weave
from minigpt.show.plot import data_hash, draw_map, new_figure, read_hash, save_svg

LESSON = '''\
# title: Doubling
# question: What is twice a number?
# needs: nothing
# builds: a function
# minutes: 5
# files: config

# %% [markdown]
# ## 1. Twice
#
# ```math
# y = \\frac{x}{2} \\cdot 4
# ```

# %%
def double(x):
    return 2 * x

print("twice 21 is", double(21))

# %% tolerance=0.01
print("nearly pi:", 3.14159)

# %% volatile
import os
print(os.urandom(4).hex())
print("extra line\\n" * (os.urandom(1)[0] % 3))

# %% [markdown]
# Twice 4 is {{double(4)}}, half of 3 is {{3 / 2:.2f}}, a list {{"".join(["a", "b"])}}.
#
# {{include minigpt.nn.ops:softmax_backward}}

# %%
from pathlib import Path
from minigpt.show.plot import new_figure, save_svg
figure, axes = new_figure()
axes.plot([1, 2, 3], [2, 4, 6])
print("before")
save_svg(figure, Path(__file__).parent / "figures" / "line.svg", "a rising line")
print("after")
'''
STUBS = '''\
def double(numbers):
    raise NotImplementedError("77.1 double (2 points)")

def add(a, b):
    raise NotImplementedError("77.2 add (3 points)")
'''
TESTS = '''\
from minigpt.course.draw import expect_close

def test_1_values(exercises, draw):
    """every number is doubled"""
    numbers = draw.array("numbers", draw.integer("n", 1, 9))
    expect_close(exercises.double(numbers), numbers + numbers, "double(numbers)[i]")

def test_2_values(exercises, draw):
    """a + b"""
    a, b = draw.integer("a", 0, 50), draw.integer("b", 0, 50)
    assert exercises.add(a, b) == a + b, f"got {exercises.add(a, b)}"
'''
ROW = '''\
title = "{0}"
function = "{0}"
points = {1}
stars = 1
section = "1. Twice"
hints = ["why?", "x + x", "do it"]
'''


def make_lesson(parent):
    """A lessons folder with one small lesson, 77. -> the lesson's folder"""
    lesson = parent / "lessons" / "77_doubling"
    lesson.mkdir(parents=True)
    for name, text in {"lesson.py": LESSON, "exercises.py": STUBS, "test_exercises.py": TESTS,
                       "hints.toml": "[1]\n" + ROW.format("double", 2) + "[2]\n" + ROW.format("add", 3),
                       "expected.json": json.dumps({"metrics": {"twice 21 is": [41, 43]}})}.items():
        (lesson / name).write_text(text, encoding="utf-8")
    return lesson


@pytest.fixture
def folder(tmp_path):
    return make_lesson(tmp_path)


@pytest.fixture(scope="module")
def woven_once(tmp_path_factory):
    """A lesson like that of `folder`, woven; nobody may change it."""
    lesson = make_lesson(tmp_path_factory.mktemp("woven"))
    woven(lesson)
    return lesson


@pytest.fixture
def fresh(folder, woven_once):
    """`folder` with its page and figures, as `woven` leaves it."""
    shutil.copytree(woven_once, folder, dirs_exist_ok=True)
    return folder


def woven(folder):
    lesson = read_lesson(folder / "lesson.py")
    weave(lesson)
    return lesson, folder / "README.md"


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# --- reading


def test_cells_are_read_with_kind_line_and_options(folder):
    lesson = read_lesson(folder / "lesson.py")
    assert lesson.number == "77" and lesson.title == "77. Doubling"
    assert [cell.kind for cell in lesson.cells] == ["markdown", "code", "code", "code", "markdown", "code"]
    assert [cell.number for cell in lesson.cells] == [1, 2, 3, 4, 5, 6]
    assert lesson.cells[2].tolerance == 0.01 and lesson.cells[3].volatile
    lines = LESSON.split("\n")
    assert lines[lesson.cells[1].line - 1] == "def double(x):"
    assert lesson.cells[0].source.startswith("## 1. Twice\n\n```math")


@pytest.mark.parametrize("old, new, message", [
    ("# title: Doubling", "# titel: Doubling", "the header has titel"),
    ("# %% volatile", "# %% volatil", "unknown cell option 'volatil'"),
    ("# ## 1. Twice", "## 1. Twice", "a line of prose begins with"),
    ("print(\"nearly pi:\", 3.14159)", "\n".join(["print(1)"] * 16), "a cell of 16 lines"),
    ("print(\"nearly pi:\", 3.14159)", "print(" + "1 + " * 30 + "1)", "a page shows 100"),
])
def test_a_lesson_out_of_format_is_refused_in_one_line(folder, old, new, message):
    change(folder / "lesson.py", old, new)
    with pytest.raises(ValueError, match=message) as caught:
        read_lesson(folder / "lesson.py")
    assert "\n" not in str(caught.value)


def test_unknown_lessons_and_exercises_are_named(folder):
    assert find_lesson("77", folder.parent).number == "77"
    with pytest.raises(ValueError, match="no lesson '12': there are 77"):
        find_lesson("12", folder.parent)
    assert find_exercise("77.2", folder).points == 3
    with pytest.raises(ValueError, match="no exercise '77.9': there are 77.1 77.2"):
        find_exercise("77.9", folder)


# --- running


def test_includes_and_numbers_are_filled_in():
    filled = fill("{{1 / 3:.2f}} and {{'x' * 2}}\n\n{{include minigpt.nn.ops:softmax_backward}}", 1, "lesson.py", {})
    assert filled.startswith("0.33 and xx\n")
    assert source_of("minigpt.nn.ops", "softmax_backward")[0] in filled
    assert "minigpt/nn/ops.py" in filled
    with pytest.raises(ValueError, match="only source of minigpt"):
        fill("{{include os:getcwd}}", 1, "lesson.py", {})


def test_a_failing_cell_says_where(folder):
    change(folder / "lesson.py", "double(21))", "double(21) / 0)")
    with pytest.raises(ZeroDivisionError) as caught:
        list(run_cells(read_lesson(folder / "lesson.py")))
    assert "in cell 2 of lesson 77" in caught.value.__notes__[0]
    line = caught.traceback[-1].lineno + 1
    assert "/ 0" in (folder / "lesson.py").read_text().split("\n")[line - 1]


def test_a_cell_that_shows_nothing_is_refused(folder):
    change(folder / "lesson.py", 'print("nearly pi:", 3.14159)', "x = 1")
    with pytest.raises(ValueError, match="shows nothing"):
        list(run_cells(read_lesson(folder / "lesson.py")))


# --- weaving and checking


def test_the_page_has_prose_code_output_and_figures(folder):
    _, page = woven(folder)
    text = page.read_text(encoding="utf-8")
    for part in ("# 77. Doubling", "```math\ny =", "```text\ntwice 21 is 42\n```", "Twice 4 is 8, half of 3 is 1.50, a list ab.",
                 "def softmax_backward", "```text\nbefore\n```\n\n![a rising line](figures/line.svg)\n\n```text\nafter\n```",
                 "*Measured on ", "| 77.2 | add | ★ | 3 | `add` |"):
        assert part in text, part


def test_a_fresh_page_passes_and_weaving_twice_gives_the_same_figure(folder):
    lesson, _ = woven(folder)
    before = (folder / "figures" / "line.svg").read_bytes()
    assert check(lesson) == []
    woven(folder)
    assert (folder / "figures" / "line.svg").read_bytes() == before


def test_a_lesson_that_fails_keeps_its_page_and_figures_and_says_where(fresh, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in [fresh / "README.md", *(fresh / "figures").iterdir()]}
    change(fresh / "lesson.py", 'print("nearly pi:", 3.14159)', 'print(int("a"))')
    monkeypatch.setattr(cli, "lessons_folder", lambda: fresh.parent)
    assert main(["lesson", "weave", "77"]) == 1
    assert "in cell 3 of lesson 77" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in [fresh / "README.md", *(fresh / "figures").iterdir()]}


def test_a_figure_that_is_no_longer_drawn_goes(fresh):
    (fresh / "figures" / "old.svg").write_text("<svg/>")
    woven(fresh)
    assert [path.name for path in (fresh / "figures").iterdir()] == ["line.svg"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_changing_any_one_digit_of_a_page_is_found(fresh, seed):
    lesson, page = read_lesson(fresh / "lesson.py"), fresh / "README.md"
    text = page.read_text(encoding="utf-8")
    where = random.Random(seed).choice([i for i, letter in enumerate(text) if letter.isdigit()])
    page.write_text(text[:where] + str((int(text[where]) + 1) % 10) + text[where + 1:], encoding="utf-8")
    assert any("edited by hand" in complaint for complaint in check(lesson))


@pytest.mark.parametrize("old, new, message", [
    ("return 2 * x", "return 2.0 * x", "the page has"),
    ("3.14159", "3.2", "a fresh run gives 'print"),
    ("[2, 4, 6]", "[2, 4, 7]", "plots other data"),
    ("figures\" / \"line", "figures\" / \"lines", "no cell draws it"),
    ("print(\"twice 21 is\", double(21))", "print(\"twice 21 is\", double(25))", "is 50, expected 41 to 43"),
])
def test_a_changed_lesson_makes_its_page_stale(fresh, old, new, message):
    change(fresh / "lesson.py", old, new)
    assert any(message in complaint for complaint in check(read_lesson(fresh / "lesson.py")))


def test_a_changed_line_of_included_code_makes_the_page_stale(fresh, monkeypatch):
    lesson = read_lesson(fresh / "lesson.py")
    source, file = source_of("minigpt.nn.ops", "softmax_backward")
    changed = source.replace("p = cache", "p = cache  # now")
    assert changed != source
    monkeypatch.setattr("minigpt.course.run.source_of", lambda module, name: (changed, file))
    complaints = check(lesson)
    assert len(complaints) == 1 and "p = cache  # now" in complaints[0]


def test_numbers_may_differ_by_the_tolerance_and_text_may_not():
    assert same_line("loss 0.500 after 3", "loss  0.501 after 3", 0.01)
    assert not same_line("loss 0.500 after 3", "loss 0.520 after 3", 0.01)
    assert not same_line("loss 0.500 after 3", "cost 0.500 after 3", 0.01)
    assert not same_line("loss 0.500", "loss 0.501", 0.0)
    assert same_line("12,345 tokens", "12,401 tokens", 0.02) and not same_line("12,345 tokens", "13,345 tokens", 0.02)


def test_what_varies_twice_in_a_row_hides_nothing_behind_it(fresh):
    """A text may begin with a number that varies; the page is compared again from the next text on."""
    path = fresh / "lesson.py"
    change(path, "# %% [markdown]\n# Twice 4", "# %% [markdown] volatile\n# {{__import__('time').perf_counter_ns()}} is now.\n\n# %%\nprint(5)\n\n# %% [markdown]\n# Twice 4")
    weave(read_lesson(path))
    assert check(read_lesson(path)) == []
    change(path, "print(5)", "print(6)")
    assert "print(6)" in check(read_lesson(path))[0]


@pytest.mark.parametrize("page, row", [("README.md", "| [77. Doubling](lessons/77_doubling/) | What is twice a number? |"),
                                       ("lessons/README.md", "| [77. Doubling](77_doubling/) | What is twice a number? | nothing | a function | 5 | 5 |")])
def test_the_tables_of_all_lessons_stand_in_the_pages_that_have_a_place_for_them(folder, tmp_path, page, row):
    lessons, page = tmp_path / "course" / "lessons", tmp_path / "course" / page
    shutil.copytree(folder, lessons / folder.name)
    write_overviews(lessons)
    assert not page.exists() and stale_overviews(lessons) == []
    for text, written in (("Mine.\n", False), ("Mine.\n<!-- lessons -->\n<!-- end lessons -->\n", True)):
        page.write_text(text, encoding="utf-8")
        assert len(stale_overviews(lessons)) == written
        write_overviews(lessons)
        assert (row in page.read_text(encoding="utf-8")) == written
        assert stale_overviews(lessons) == []


# --- walking, notebooks


def test_walk_shows_the_cells_asked_for_and_runs_the_ones_before(folder):
    out = io.StringIO()
    walk(read_lesson(folder / "lesson.py"), first=5, last=6, wait=None, out=out)
    assert "Twice 4 is 8" in out.getvalue() and "(figure figures/line.svg: a rising line)" in out.getvalue()
    assert "twice 21" not in out.getvalue()
    for wrong in ({"first": 9}, {"last": 0}):
        with pytest.raises(ValueError, match="cells 1 to 6"):
            walk(read_lesson(folder / "lesson.py"), wait=None, out=out, **wrong)


def test_ctrl_d_ends_a_walk(folder):
    def end_of_input(prompt):
        raise EOFError

    out = io.StringIO()
    walk(read_lesson(folder / "lesson.py"), wait=end_of_input, out=out)
    assert "[1/6]" in out.getvalue() and "[2/6]" not in out.getvalue()


def test_walk_waits_between_cells_and_shows_maths_plainly(folder):
    asked = []
    out = io.StringIO()
    walk(read_lesson(folder / "lesson.py"), last=3, wait=asked.append, out=out)
    assert len(asked) == 2
    assert "    y = x / 2 · 4" in out.getvalue()
    assert plain_maths(r"\frac{\partial L}{\partial x} \le \sum_j p_j") == "∂L / ∂x ≤ Σ_j p_j"


def test_the_notebook_is_nbformat_4_with_outputs(folder):
    path = write_notebook(read_lesson(folder / "lesson.py"))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells) == 8
    assert cells[2]["source"].startswith("## 1. Twice") and "$$\ny = " in cells[2]["source"]
    assert cells[3]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "twice 21 is 42\n"}]
    assert "<svg" in cells[7]["outputs"][1]["data"]["image/svg+xml"]
    path.write_text("what a student added")
    with pytest.raises(ValueError, match="lesson.ipynb exists"):
        write_notebook(read_lesson(folder / "lesson.py"))
    assert path.read_text() == "what a student added"


# --- figures


def test_the_data_hash_sees_data_and_not_noise(tmp_path, capsys):
    def line(values, label="a"):
        figure, axes = new_figure()
        axes.plot(values, label=label)
        axes.bar([0, 1], [1, 2])
        axes.legend()
        return figure

    figure = line([1.0, 2.0])
    save_svg(figure, tmp_path / "figures" / "a.svg", "a line")
    assert capsys.readouterr().out == "![a line](figures/a.svg)\n"
    assert read_hash(tmp_path / "figures" / "a.svg") == data_hash(figure) == data_hash(line([1.0, 2.0 + 1e-12]))
    assert len({data_hash(line([1.0, 2.0])), data_hash(line([1.0, 2.1])), data_hash(line([1.0, 2.0], "b"))}) == 3
    with pytest.raises(ValueError, match="alt text"):
        save_svg(figure, tmp_path / "figures" / "a.svg", " ")


def test_maps_are_hashed_by_their_cells():
    hashes = set()
    for value in (0.5, 0.6):
        figure, axes = new_figure()
        draw_map(axes, np.array([[0.0, value]]), ["r"], ["a", "b"], "weight")
        hashes.add(data_hash(figure))
    assert len(hashes) == 2


# --- grading


def answers(folder, source):
    path = folder / "answers.py"
    path.write_text(source, encoding="utf-8")
    return path


def test_stubs_earn_nothing_and_right_answers_everything(folder):
    stubs = grade(folder, folder / "exercises.py", seed=1)
    assert [(item.points, item.status) for item in stubs] == [(0, "not attempted")] * 2
    right = grade(folder, answers(folder, "def double(x): return 2 * x\ndef add(a, b): return a + b"), seed=1)
    assert [item.points for item in right] == [2, 3]
    assert "total   5 of 5" in as_table(right)
    assert json.loads(as_json(right, 1))["points"] == 5


def test_a_failure_is_reported_with_the_smallest_input(folder):
    wrong = answers(folder, "def double(x): return x\ndef add(a, b): return a + b if a + b < 20 else 0")
    first, second = grade(folder, wrong, seed=3)
    assert first.status == second.status == "failed" and first.points == 0
    assert "n = 1" in first.report and "numbers = [" in first.report
    a, b = (int(second.report.split(f"{name} = ")[1].split()[0]) for name in "ab")
    assert a + b == 20
    assert "--seed" in second.report and "lesson hint 77.2" in second.report and "1. Twice" in second.report


def test_a_missing_function_and_a_crash_are_answers_too(folder):
    missing, crash = grade(folder, answers(folder, "def add(a, b): return a[0]"), seed=1)
    assert missing.status == "not attempted" and "has no double" in missing.report and "TypeError" in crash.report


def test_answers_may_be_a_whole_program(folder):
    """Dataclasses with postponed annotations look for their module by its name."""
    path = answers(folder, "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Pair:\n    a: int\n\ndef add(a, b): return a + b\n")
    assert grade(folder, path, seed=1)[1].status == "passed"


def test_the_search_for_a_small_input_ends(folder, monkeypatch):
    monkeypatch.setattr("minigpt.course.grade.SEARCH", 0.0)
    assert "a = " in grade(folder, answers(folder, "def add(a, b): return a + b if a + b < 20 else 0"), seed=1)[1].report


@pytest.mark.parametrize("text, words", [("def add(a:", "line 1: SyntaxError"), ("\nimport nothere", "line 2: ModuleNotFoundError"), ("x = 1\n1 / 0", "line 2: ZeroDivisionError")])
def test_answers_that_do_not_run_are_refused_in_one_line(text, words, folder):
    path = answers(folder, text)
    with pytest.raises(ValueError, match=words) as raised:
        grade(folder, path, seed=1)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="ends in .py"):
        grade(folder, path.with_suffix(".txt"), seed=1)


ENDLESS = "import time\ndef double(x):\n    while True: time.sleep(1)\ndef add(a, b): return a + b"
ENDS = "import os\ndef double(x): os._exit(0)\ndef add(a, b):\n    print('debug')\n    os.system('echo debug')\n    return a + b"


@pytest.mark.slow
@pytest.mark.parametrize("source, trouble, limit", [(ENDLESS, "did not end within 6 seconds", 6.0), (ENDS, "ended the program", 60.0)])
def test_graded_apart_one_exercise_cannot_spoil_the_others(source, trouble, limit, folder, capfd):
    first, second = grade_apart(folder, answers(folder, source), 1, limit=limit)
    assert (first.points, first.status) == (0, "failed") and trouble in first.report and second.points == 3
    assert "--seed 1 " in first.report and "lesson hint 77.1" in first.report, "which test, on which input"
    assert capfd.readouterr().out == "", "what answers print must not stand among the points"


@pytest.mark.slow
def test_a_smaller_input_that_never_ends_does_not_cost_the_report(folder):
    source = "import time\ndef double(x): return 2 * x\ndef add(a, b):\n    while a + b < 5: time.sleep(1)\n    return -7"
    _, second = grade_apart(folder, answers(folder, source), 1, limit=6.0)
    assert "got -7" in second.report and "did not end within 6 seconds" in second.report


@pytest.mark.parametrize("source, words", [("def double(x):\n    return x @ x @ x", "(line 2 of"), ("def double(x): x + x", "got None; is there a return?"),
                                           ("def double(x): return x\ndef add(a): return a", "in the test; does the function")])
def test_a_report_says_where_an_answer_went_wrong(source, words, folder):
    assert any(words in item.report for item in grade(folder, answers(folder, source), seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("source, words", [("import os; os._exit(0)", "ended the program while it was loaded"), ("1 / 0", "line 1: ZeroDivisionError")])
def test_answers_that_cannot_be_loaded_are_refused_apart_too(source, words, folder):
    with pytest.raises(ValueError, match=words):
        grade_apart(folder, answers(folder, source), 1)


@pytest.mark.parametrize("source", ["import sys\nsys.exit(0)", "def double(x): raise SystemExit\ndef add(a, b): raise SystemExit(0)"])
def test_answers_that_leave_the_program_earn_nothing(source, folder):
    try:
        grades = grade(folder, answers(folder, source), seed=1)
    except ValueError as error:
        assert "SystemExit" in str(error)
    else:
        assert [(item.points, item.status) for item in grades] == [(0, "failed")] * 2 and "SystemExit" in grades[0].report


def test_a_failure_that_does_not_repeat_is_reported_as_it_was(folder):
    flaky = "calls = []\ndef double(x): return 2 * x\ndef add(a, b):\n    calls.append(1)\n    return a + b if len(calls) not in (4, 5) else -7"
    assert "got -7" in grade(folder, answers(folder, flaky), seed=1)[1].report


def test_the_seed_of_a_report_repeats_the_failure(folder):
    wrong = answers(folder, "def double(x): return 2 * x\ndef add(a, b): return a + b if (a, b) != (7, 7) and a < 45 else -1")
    report = grade(folder, wrong, seed=100)[1].report
    seed = int(report.split("--seed ")[1].split()[0])
    assert grade(folder, wrong, seed=seed)[1].status == "failed"


def test_draws_repeat_and_shrink_by_name():
    draw = Draw(5)
    n, array = draw.integer("n", 1, 9), draw.array("a", 3)
    again = Draw(5, {"n": 1})
    assert again.integer("n", 1, 9) == 1 and np.array_equal(again.array("a", 3), array)

    def fails(candidate):
        return candidate.integer("n", 1, 9) >= min(n, 3) and candidate.integer("m", 0, 5) >= 0

    assert fails(draw)
    small = shrink(fails, draw)
    assert small.values["n"] == min(n, 3) and small.values["m"] == 0


def test_expect_close_names_the_first_wrong_place():
    with pytest.raises(AssertionError, match=r"weights at \[0, 1\]: got 2, expected 3"):
        expect_close([[1.0, 2.0]], [[1.0, 3.0]], "weights")
    with pytest.raises(AssertionError, match=r"shape \(1,\), expected \(2,\)"):
        expect_close([1.0], [1.0, 2.0], "weights")
    with pytest.raises(AssertionError, match="got nan"):
        expect_close([np.nan], [1.0], "weights")
    with pytest.raises(AssertionError, match=r"got 999.500000001, expected 999.5, off by 1e-09"):
        expect_close(999.500000001, 999.5, "weight", 1e-15)


# --- the commands


def run(folder, monkeypatch, command, *arguments):
    import argparse
    monkeypatch.setattr(cli, "lessons_folder", lambda: folder.parent)
    add, body = {"lesson": (cli.add_lesson_arguments, cli.run_lesson), "grade": (cli.add_grade_arguments, cli.run_grade)}[command]
    parser = argparse.ArgumentParser()
    add(parser)
    return body(parser.parse_args(arguments))


def test_commands_weave_check_hint_and_grade(folder, monkeypatch, capsys):
    shutil.copy(folder / "exercises.py", folder / "solutions.py")
    assert run(folder, monkeypatch, "lesson", "weave", "--all") == 0
    assert run(folder, monkeypatch, "lesson", "check", "77") == 0
    assert run(folder, monkeypatch, "lesson", "list") == 0 and "77. " in capsys.readouterr().out
    (folder / "figures" / ".DS_Store").write_bytes(b"left by a look into the folder")
    assert run(folder, monkeypatch, "lesson", "check", "--all") == 0
    change(folder / "README.md", "42", "43")
    assert run(folder, monkeypatch, "lesson", "check", "--all") == 1
    with pytest.raises(ValueError, match="give one lesson's number, or --all"):
        run(folder, monkeypatch, "lesson", "check")
    capsys.readouterr()
    assert run(folder, monkeypatch, "lesson", "hint", "77.2", "--level", "2") == 0
    assert "x + x" in capsys.readouterr().out
    assert run(folder, monkeypatch, "grade", "77", "--json") == 1
    assert json.loads(capsys.readouterr().out)["possible"] == 5
    assert run(folder, monkeypatch, "grade", "77.2", "--json") == 1
    assert [row["exercise"] for row in json.loads(capsys.readouterr().out)["exercises"]] == ["77.2"]
    (folder / "broken.py").write_text("def broken(", encoding="utf-8")  # a script that collects results wants to know it too
    assert run(folder, monkeypatch, "grade", "77", "--json", "--file", str(folder / "broken.py")) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["points"], result["possible"]) == (0, 5) and all("broken.py" in row["report"] for row in result["exercises"])
    with pytest.raises(ValueError, match="no exercise '77.9': there are 77.1 77.2"):
        run(folder, monkeypatch, "grade", "77.9")
    assert len(read_exercises(folder)) == 2
