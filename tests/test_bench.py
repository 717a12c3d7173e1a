"""The benchmark's own arithmetic and that every section runs, at the smallest shapes. No time is asserted."""
import functools
import json

import numpy as np
import pytest

from minigpt.__main__ import main
from minigpt.bench import cli, measure, operations, recipe, steps, tokenizers
from minigpt.nn import ops


def test_spread_is_quartiles():
    assert measure.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)
    assert measure.spread([7.0]) == (7.0, 7.0, 7.0)


def test_a_ratio_is_the_median_over_pairs_not_of_medians():
    assert cli._ratio([2.0, 30.0, 4.0], [1.0, 10.0, 4.0]) == 2.0


def test_machine_names_what_figures_depend_on():
    found = measure.machine()
    assert {"processor", "cores", "BLAS", "numpy", "numba", "Python"} <= set(found) and all(found.values())


CASES = operations.cases()


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["fast", "numpy"])
def test_every_case_runs_forward_and_backward(backend, name, monkeypatch):
    monkeypatch.setattr(operations, "quartiles", functools.partial(measure.quartiles, least=1e-4))
    assert min(operations._forward_and_backward(operations.get_ops(backend), name, CASES[name], repeats=2)) > 0.0


def test_every_operation_is_measured():
    wanted = {name.removesuffix("_forward") for name in vars(ops) if name.endswith("_forward")}
    assert CASES.keys() == wanted and {f"{name}_update" for name in operations.updates()} == {name for name in vars(ops) if name.endswith("_update")}


@pytest.mark.slow
def test_the_updates_are_measured(monkeypatch):
    """Rows of pairs and of updates, with progress to the end."""
    monkeypatch.setattr(operations, "quartiles", functools.partial(measure.quartiles, least=1e-4))
    monkeypatch.setattr(operations, "cases", lambda: {"gelu": CASES["gelu"]})
    rows = operations.operations(repeats=2)
    assert [row[:2] for row in rows] == [["gelu forward", "1x256x512"], ["gelu backward", "1x256x512"], ["adamw update", "65536"], ["muon update", "128x512"]]
    assert min(float(cell) for row in rows for cell in row[2:]) > 0.0


def test_measurements_take_turns(capsys):
    """Each round calls everything once, in order; the line of progress counts them."""
    called = []

    def turn(name, *samples):
        return lambda: called.append(name) or {"samples": samples}

    assert cli._alternating("step z", [turn("a", 1.0, 5.0, 2.0), turn("b", 3.0)], 2) == [[2.0, 2.0], [3.0, 3.0]]
    assert called == ["a", "b", "a", "b"] and capsys.readouterr().out.splitlines()[-1].startswith("step z 100%")


def test_every_rung_of_the_ladder_multiplies():
    rng = np.random.default_rng(0)  # _rungs draws the same
    a, b = rng.random((7, 13), np.float32), rng.random((13, 5), np.float32)
    for name, work in operations._rungs(7, 13, 5).items():
        out = next(cell.cell_contents for cell in work.__closure__ if np.shape(cell.cell_contents) == (7, 5))
        out[:] = 0.0
        work()
        np.testing.assert_allclose(out, a @ b, rtol=1e-5, err_msg=name)


def test_steps_and_decoding_give_samples(monkeypatch):
    monkeypatch.setitem(steps.SHAPES, "z", (1, 2, 16, 31, 8, 4))
    monkeypatch.setitem(steps.STEPS, "z", 2)
    monkeypatch.setitem(steps.DECODE, "tiny", ("z", 3, 4))
    for samples in (steps.training_steps("z", 2), steps.matmul_floor("z", 2), steps.decoding("tiny", 2)):
        assert len(samples) == 2 and min(samples) > 0.0


@pytest.mark.parametrize("against, cells", [(None, [3, 3]), ("torch", [7, 7])])
def test_the_tokenizer_is_measured(against, cells, monkeypatch):
    """A ratio above one says in both rows that ours is faster."""
    monkeypatch.setattr(tokenizers, "text", lambda: "Mary reads a book. 玛丽读书。" * 9)
    seconds = {"fast": 1.0, "numpy": 4.0, "tiktoken": 2.0, "tokenizers": 3.0}

    def child(python, argv):
        name = json.loads(argv[4]).get("backend", "fast") if argv[0] == "-m" else argv[1]
        return {"samples": [seconds[name] if "train" in argv else 12.0 / seconds[name]] * 3}

    monkeypatch.setattr(cli, "_child", child)
    title, header, rows = cli._tokenizer(type("Arguments", (), {"against": against, "pairs": 2, "python": "python"}))
    assert [len(row) for row in rows] == cells and len(header) == cells[0] and "0.0 MB" in title
    if against:
        assert rows == [["training, s", "1", "4", "", "", "3", "3.00"], ["encoding, MB/s", "12", "3", "6", "2.00", "4", "3.00"]]
    else:
        assert min(float(cell) for row in rows for cell in row[1:]) > 0.0


@pytest.mark.slow
def test_characters_and_the_recipe_learn(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text("to be or not to be, that is the question. " * 60, encoding="utf-8")
    train, validation, V = recipe.characters(path)
    assert len(train) == 60 * 42 * 9 // 10 and len(train) + len(validation) == 60 * 42 and V == len(set("to be or not to be, that is the question. "))
    found = recipe.run(path, tokens=20 * recipe.T * recipe.B)
    assert found["loss"] < 0.8 * np.log(V) and found["seconds"] > 0.0


def test_unknown_shapes_are_refused():
    with pytest.raises(ValueError, match="'x'"):
        cli.run_bench(type("Arguments", (), {"pairs": 1, "shapes": "ax"}))


@pytest.mark.parametrize("flags, words", [(["--json", "no/such/folder/found.json"], "make its folder first"), (["--readme", "nowhere"], "bench steps nowhere")])
def test_what_cannot_be_written_is_known_before_anything_is_measured(flags, words, tmp_path, capsys, monkeypatch):
    for section in ("_attention", "_steps"):
        monkeypatch.setattr(cli, section, lambda arguments: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--only", "attention", "steps", *flags]) == 1
    assert words in capsys.readouterr().err


def test_the_text_that_is_measured_is_not_overwritten(tmp_path, capsys):
    (text := tmp_path / "a.txt").write_text("Mary reads.")
    assert main(["bench", "--text", str(text), "--json", str(tmp_path / "." / "a.txt")]) == 1
    assert "the text itself" in capsys.readouterr().err and text.read_text() == "Mary reads."


def test_json_and_a_failing_child(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "_attention", lambda arguments: ("title", ["a", "b"], [["x", "1"]]))
    parser = __import__("argparse").ArgumentParser()
    cli.add_bench_arguments(parser)
    cli.run_bench(parser.parse_args(["--only", "attention", "--json", str(tmp_path / "found.json")]))
    assert json.loads((tmp_path / "found.json").read_text())["attention"]["rows"] == [["x", "1"]]
    with pytest.raises(ValueError, match="KeyError"):
        cli._child(cli.sys.executable, ["-m", "minigpt.bench.child", "step", "no-such-shape"])
