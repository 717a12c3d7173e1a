"""The commands as a user meets them: help, one-line refusals, a whole tiny run."""
import argparse
import dataclasses
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from minigpt import files
from minigpt.__main__ import COMMANDS, main
from minigpt.commands import expected, run
from minigpt.config import PRETRAIN, SFT
from minigpt.model import GPT
from minigpt.text.tokenizer import Tokenizer
from minigpt.world import FAMILIES, small_world, stats


def refused(capsys, *argv):
    """The one line with which a command refuses."""
    assert main(list(argv)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith(f"minigpt {argv[0]}: ")
    return error


def test_a_python_without_the_packages_is_told_where_they_are(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "answer", ("minigpt.no_such_room", "carry out one instruction"))
    assert "source .venv/bin/activate" in refused(capsys, "answer", "hi")


@pytest.mark.parametrize("data, words", [(None, "standard input is closed"), (b" \n", "instruction is empty")])
def test_standard_input_that_holds_no_instruction_is_refused(data, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None if data is None else io.TextIOWrapper(io.BytesIO(data)))
    assert words in refused(capsys, "answer", "-")


@pytest.mark.parametrize("argv, words", [
    (["chat", "--temperature", "-1"], "temperature is -1.0"), (["eval", "--seed", "-1"], "--seed is -1"),
    (["world", "sample", "--seed", "-1"], "--seed is -1"), (["eval", "--handwritten", "-n", "3"], "-n"),
    (["run", "--sft-tokens", "0"], "--sft-tokens is 0; it must be at least 1"), (["sample", "-n", "2000000000"], "at most 1000"), (["world", "build", ""], "FOLDER is empty"), (["answer", "hi", "--model", ""], "--model is empty"),
    (["export", "", "--out", "x"], "MODEL is empty"),
    (["eval", "--model", "micro", "--against", "micro"], "compared with itself")])
def test_values_that_mean_nothing_are_refused(argv, words, capsys):
    assert words in refused(capsys, *argv)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_help_lists_every_command_and_is_fast_because_it_imports_nothing_heavy():
    code = "import sys, minigpt.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\nassert not {'numba', 'matplotlib', 'numpy'} & set(sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in shown for name in COMMANDS)


def test_unknown_commands_and_flags_are_errors(capsys):
    for argv in (["fly"], ["pretrain", "--learning-rate", "1"], ["answer"]):
        with pytest.raises(SystemExit) as exit_:
            main(argv)
        assert exit_.value.code == 2


def test_refusals_name_value_and_cure(tmp_path, capsys):
    assert "no-such-model is neither a folder" in refused(capsys, "answer", "hello", "--model", "no-such-model")
    assert "the instruction is empty" in refused(capsys, "answer", "  ", "--model", "no-such-model")
    assert "n_embd is 130" in refused(capsys, "pretrain", "--n-embd", "130", "--out", str(tmp_path / "a"))
    assert "nothing to do" in refused(capsys, "tokenizer")
    for argv in (["gradcheck"], ["grade", "01"]):
        assert "--seed is -1; it must be 0 or more" in refused(capsys, *argv, "--seed", "-1")
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert "not UTF-8 at byte 3" in refused(capsys, "tokenizer", "--text", str(tmp_path / "latin"), "--out", str(tmp_path / "t"))


def test_jsonl_errors_name_the_line(tmp_path, capsys):
    good = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
    for bad, reason in (("{", "not JSON"), ("[]", "messages"), ('{"messages": [{"role": "king", "content": "x"}]}', "role"),
                        ('{"messages": [{"role": "user", "content": "x"}]}', "assistant")):
        path = tmp_path / "bad.jsonl"
        path.write_text(json.dumps(good) + "\n" + bad + "\n", encoding="utf-8")
        error = refused(capsys, "sft", "--model", "micro-base", "--instructions", str(path), "--out", str(tmp_path / "o"))
        assert "line 2" in error and reason in error


@pytest.mark.parametrize("flags, tokens", [((), (1_700_000, 3_300_000)), (("--world", "full"), (3_500_000, 6_500_000)),
                                           (("--world", "full", "--sft-tokens", "5000"), (3_500_000, 5000))])
def test_the_full_world_is_read_for_longer(flags, tokens, tmp_path):
    parser = argparse.ArgumentParser()
    run.add_run_arguments(parser)
    arguments = parser.parse_args([*flags, "-n", "0", "--out", str(tmp_path)])
    with pytest.raises(ValueError, match="-n is 0"):
        run.run_run(arguments)
    assert (arguments.pretrain_tokens, arguments.sft_tokens) == tokens


def test_a_tokenizer_of_another_world_is_not_taken(tmp_path):
    files.write_json(tmp_path / "train.json", {"world": "small", "vocab_size": 2048, "seed": 0})
    Tokenizer.train(["a cat"], 256).save(tmp_path)
    assert run.make_tokenizer("small", None, tmp_path, 2048, 0).vocab_size == 256
    for other in (("full", None, tmp_path, 2048, 0), ("small", None, tmp_path, 2048, 1)):
        with pytest.raises(ValueError, match="made for world small, vocab_size 2048, seed 0"):
            run.make_tokenizer(*other)


@pytest.mark.parametrize("argv, words", [
    (["world", "sample", "-n", "0"], "-n is 0"), (["world", "build", "x", "--documents", "-1"], "--documents is -1"),
    (["world", "build", "x", "--per-kind", "0"], "--per-kind is 0"), (["world", "sample", "--kind", "en-zh"], "--family"),
    (["eval", "--readme"], "--report"), (["eval", "--readme", "--report", "--careless"], "leave --careless out"), (["eval", "--show", "-1"], "--show is -1"), (["bench", "--text", "x", "--only", "ops"], "leave --readme and --only out"), (["bench", "--shapes", ""], "--shapes is empty"), (["bench", "--only", "ops", "--readme"], "--only names none of them"), (["answer", "What is 1?", "--wrong", "What is 2?"], "--wrong goes with --explain"), (["eval", "--json", "--handwritten"], "--json"), (["eval", "--handwritten", "--against", "base"], "--against"),
    (["eval", "--report", "--by", "name"], "leave --by out"), (["eval", "-n", "1", "--by", "nonsense"], "must be one of cell, combination"),
    (["world", "sample", "--split", "dev"], "--split is dev"), (["sample", "-n", "1" + "0" * 20], "at most 1000")])
def test_flags_that_mean_nothing_are_refused(argv, words, capsys):
    assert words in refused(capsys, *argv)


@pytest.mark.parametrize("name, text", [("report.json", "[]"), ("tokenizer/train.json", "[1]")])
def test_a_foreign_file_in_the_folder_of_a_run_is_refused(name, text, tmp_path, capsys):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    (tmp_path / name).write_text(text)
    assert "was not written by a run" in refused(capsys, "run", "--preset", "nano", "-n", "4", "--out", str(tmp_path))


def test_only_the_small_world_goes_into_the_readme(tmp_path, capsys):
    assert "--world is full" in refused(capsys, "run", "--world", "full", "--readme", "--out", str(tmp_path))


def test_the_recorded_bands_are_those_of_todays_recipe(world):
    """And README's table: it was made by the run with seed 0. Another text of the small world, be it one wording, wants both anew."""
    small, default = small_world(world), argparse.Namespace(world="small", preset="micro", arch="default")
    bands = expected.load(run.recipe_of(default, small, PRETRAIN, SFT))
    assert bands, "record anew: run --seed 1 --record, then run --seed 0 --record --readme"
    assert max(bands["pretraining"]["validation_loss"]) == PRETRAIN.steps and max(bands["tuning"]["dev"]) == SFT.steps
    for other in (dataclasses.replace(small, cache={}, invented=0.51), dataclasses.replace(small, cache={}, practice={**small.practice, "spelling": 0.1})):
        assert expected.load(run.recipe_of(default, other, PRETRAIN, SFT)) == {}


def test_the_world_can_be_looked_at(tmp_path, monkeypatch, capsys):
    assert main(["world", "sample", "--family", "translate", "--kind", "en-zh", "--split", "test", "-n", "2"]) == 0
    shown = capsys.readouterr().out
    assert all(shown.count(mark) == 2 for mark in ("[translate / en-zh] ", "\n  user: ", "\n  -> "))
    assert main(["world", "build", str(tmp_path), "--documents", "2", "--per-kind", "1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"pretraining.txt", "train.jsonl", "dev.jsonl", "test.jsonl"}
    for name, stand_in in {"training_ngrams": lambda world: set(), "overlap": lambda *arguments: 0.5,
                           "pretraining_documents": lambda world, seed: iter(["a red kite"]), "SIZED": 1,
                           "PROOFS": {"train": 3, "dev": 2, "test": 2}}.items():
        monkeypatch.setattr(stats, name, stand_in)  # too slow otherwise
    capsys.readouterr()
    assert main(["world", "stats"]) == 0
    shown, kinds = capsys.readouterr().out, sum(len(family.kinds) for family in FAMILIES.values())
    assert len(re.findall(r"  50\.0  50\.0$", shown, re.MULTILINE)) == kinds
    assert len(re.findall(r"^prompts  +18  +12  +12  +0$", shown, re.MULTILINE)) == 1


@pytest.mark.slow
def test_a_tiny_run_from_text_to_table_and_again(tmp_path, capsys, monkeypatch):
    recorded = []
    monkeypatch.setattr(expected, "record", lambda *arguments: recorded.append(arguments))
    monkeypatch.setattr(expected, "check", lambda recipe: None)
    argv = ["run", "--preset", "nano", "--pretrain-tokens", "20000", "--sft-tokens", "20000", "-n", "4", "--out", str(tmp_path)]
    assert main([*argv, "--record"]) == 0
    out = capsys.readouterr().out
    assert "tuned %" in out and "translate English to Chinese" in out
    (recipe, seed, logs), = recorded
    assert recipe["pretraining"]["tokens"] == 20000 and seed == 0
    assert all(any(name in entry for entry in log) for log, name in logs.values()) and set(logs) == {"pretraining", "tuning"}
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["scores"]["tuned"]["all prompts"][1] == 4 * 4 and "goal %" not in out  # which only the default run is
    for stage in ("base", "tuned"):
        assert {p.name for p in (tmp_path / stage).iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "log.jsonl", "curves.png", "train.json"}
    assert main(argv) == 0
    assert "already done" in capsys.readouterr().out
    assert main(["answer", "What is the capital of France?", "--model", str(tmp_path / "tuned"), "--explain", "--max-new-tokens", "5"]) == 0
    assert "given" in capsys.readouterr().out
    assert main(["sample", "--model", str(tmp_path / "base"), "--seed", "1", "--max-new-tokens", "5", "-n", "2"]) == 0
    capsys.readouterr()
    assert main(["eval", "--model", str(tmp_path / "tuned"), "--against", str(tmp_path / "base"), "-n", "2", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {str(tmp_path / "base"), str(tmp_path / "tuned")}
    assert main(["eval", "--model", str(tmp_path / "tuned"), "-n", "2", "--show", "3"]) == 0
    assert capsys.readouterr().out.count("\n  reference: ") == 3
    assert main(["export", str(tmp_path / "tuned"), "--out", str(tmp_path / "exported"), "--dtype", "float16"]) == 0
    assert main(["import", str(tmp_path / "exported"), "--out", str(tmp_path / "imported")]) == 0
    assert main(["export", str(tmp_path / "tuned"), "--average", str(tmp_path / "base"), str(tmp_path / "imported"), "--out", str(tmp_path / "mean")]) == 0
    mean, *others = (GPT.from_pretrained(tmp_path / name).params for name in ("mean", "tuned", "base", "imported"))
    assert all(np.allclose(values, sum(other[name] for other in others) / 3, atol=1e-6) for name, values in mean.items())
    del report["scores"]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert "report.json is not whole; remove it" in refused(capsys, *argv)
