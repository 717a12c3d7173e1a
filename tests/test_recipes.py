"""The five extensions of lessons/recipes: short, right by the package's own checks, and usable with every command."""
import ast
import io
import os
import subprocess
import sys
import tokenize

import pytest
from runs import HOME, TEXT

from minigpt.course.cells import lessons_folder

FOLDER = lessons_folder() / "recipes"
RECIPES = ("norm", "position", "loss", "task_family", "kernel")
LONGEST = 20  # lines of code


def run(*arguments):
    """Runs a recipe as its page says, in a process of its own: it changes the package's tables. -> what it printed"""
    child = subprocess.run([sys.executable, *map(str, arguments)], env={**HOME, "PYTHONPATH": os.pathsep.join([HOME["PYTHONPATH"], str(FOLDER)])},
                           capture_output=True, text=True)
    assert child.returncode == 0, child.stdout[-500:] + child.stderr
    return child.stdout


def lines_of_code(source):
    """Lines that are neither empty, comment, docstring nor import."""
    tree = ast.parse(source)
    functions = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]
    aside = [node.body[0] for node in functions if ast.get_docstring(node)] + [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    code = {token.start[0] for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.string.strip() and token.type != tokenize.COMMENT}
    return len(code - {line for node in aside for line in range(node.lineno, node.end_lineno + 1)})


def test_lines_of_code_are_counted():
    assert lines_of_code('"""doc\n\nmore"""\nimport os\n\n# why\nx = [1,\n     2]\n\n\ndef f():\n    """doc"""\n    return x\n') == 4


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short_and_named_on_its_page(name):
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert lines_of_code(source) <= LONGEST
    assert f"({name}.py)" in (FOLDER / "README.md").read_text(encoding="utf-8")


TRAINED = {"norm": ["--norm", "half-rms"], "position": ["--position", "half-rope"], "loss": [], "kernel": ["--mlp", "relu2"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_trains_saves_and_decodes(name, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    train = ["pretrain", "--preset", "nano", "--block-size", "32", "--vocab-size", "300", "--tokens", "2048", "--batch-tokens", "256"]
    assert "validation loss" in run(FOLDER / f"{name}.py", *train, *TRAINED[name], "--text", tmp_path / "text.txt", "--out", tmp_path / "a")
    sample = ["sample", "--model", tmp_path / "a", "--temperature", "0", "--max-new-tokens", "8", "--prompt", "Mary has"]
    fast, slow = (run(FOLDER / f"{name}.py", *sample, "--backend", backend) for backend in ("fast", "numpy"))
    assert fast == slow
    run("-m", "minigpt", *train, "--text", tmp_path / "text.txt", "--out", tmp_path / "plain")
    logs = {(tmp_path / folder / "log.jsonl").read_bytes() for folder in ("a", "plain")}
    assert len(logs) == 2, "the recipe changed nothing"


@pytest.mark.slow
def test_the_new_rows_of_gradcheck_are_right():
    """Only models made of new parts, the three recipes together: the others are checked in test_gpt."""
    out = run("-c", """
import kernel, norm, position
from minigpt.__main__ import main
from minigpt.commands import stages
stages.NORMS, stages.MLPS, stages.POSITIONS = ["half-rms"], ["gelu", "relu2"], ["half-rope", "alibi"]
assert [main(["gradcheck", "--backend", backend]) for backend in ("numpy", "fast")] == [0, 0]
""")
    assert out.count("half-rms") == 16 and out.count("half-rope") == out.count("relu2") == 8 and out.count("\n8 models") == out.count("passed\n") == 2


@pytest.mark.slow
def test_the_kernel_is_its_definitions_twin():
    run("-c", """
import numpy as np, kernel
from minigpt.nn.backend import get_ops
x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
x[0, :3] = np.nan, np.inf, -np.inf
for inputs in (x, x.T, x[:, ::2], x.astype(np.float64)):
    (y, slope), (expected, expected_slope) = (get_ops(backend).relu2_forward(inputs) for backend in ("fast", "numpy"))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(slope, expected_slope)
    assert y.dtype == slope.dtype == inputs.dtype
assert get_ops("fast").relu2_forward is not get_ops("numpy").relu2_forward
""")


def test_the_losss_gradient_is_its_slope_and_its_shards_add_up():
    run("-c", """
import numpy as np, loss
from minigpt.nn.gradcheck import directional_error
loss.WEIGHT = 0.3
rng = np.random.default_rng(0)
logits, targets, mask = 3 * rng.normal(size=(2, 4, 6)), rng.integers(0, 6, (2, 4)), rng.random((2, 4)) < 0.6
for keep in (None, mask):
    value, gradient, stats = loss.cross_entropy(logits, targets, keep)
    plain, _, same = loss.plain(logits, targets, keep)
    assert stats == same and value > plain
    assert directional_error(lambda x: loss.cross_entropy(x, targets, keep)[0], gradient, logits, rng) < 1e-7
    assert loss.cross_entropy(logits.astype(np.float32), targets, keep)[1].dtype == np.float32
parts = [loss.cross_entropy(logits[i], targets[i], mask[i], mask.sum()) for i in (0, 1)]
np.testing.assert_allclose(sum(part[0] for part in parts), value)
np.testing.assert_allclose(np.stack([part[1] for part in parts]), gradient)
""")


@pytest.mark.slow
def test_the_task_familys_splits_are_apart_and_its_answers_right():
    run("-c", """
import task_family
from minigpt.commands.run import WORLDS
from minigpt.world import examples, load_world, verify
world = WORLDS["odd"][0](load_world())
seen = {split: {example.messages[0]["content"] for example in examples(world, "odd", split, 400, 0)} for split in ("train", "dev", "test")}
assert not seen["train"] & seen["dev"] and not seen["dev"] & seen["test"] and not seen["train"] & seen["test"]
kind = {word["en"]: word["tags"][0] for tag in ("animals", "foods", "places") for word in world.words[tag]}
for example in examples(world, "odd", "dev", 200, 1):
    words = example.messages[0]["content"].partition(": ")[2].rstrip("?").split(", ")
    assert len(set(words)) == 4 and verify(example, example.answer) and not verify(example, "nothing")
    kinds = [kind[word.lower()] for word in words]
    assert [word.lower() for word in words if kinds.count(kind[word.lower()]) == 1] == [example.answer]
""")


@pytest.mark.slow
def test_the_task_family_goes_through_the_whole_run(tmp_path):
    out = run(FOLDER / "task_family.py", "run", "--world", "odd", "--preset", "nano", "--pretrain-tokens", 8192, "--sft-tokens", 8192, "-n", 5, "--out", tmp_path)
    assert "odd / list" in out
