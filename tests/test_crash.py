"""Runs that end at any moment, by any hand: what was saved is whole, and going on gives the same bits as if nothing had happened."""
import importlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from runs import BATCH, HOME, STEPS, command, digest, every_stage, exit_status, left_over, refused, saved_step, straight, train_small
from test_files import in_child, posix

from minigpt.__main__ import main
from minigpt.train import checkpoint, trainer


def interrupt(patch, target, call, number):
    """Makes the given call of a function send a signal first."""
    module, name = target.rsplit(".", 1)
    module, calls = importlib.import_module(module), itertools.count(1)
    original = getattr(module, name)

    def interrupted(*arguments, **options):
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return original(*arguments, **options)

    patch.setattr(module, name, interrupted)


# Two at once


@posix
def test_two_runs_do_not_share_a_folder(tmp_path):
    def second_run(step, model):
        with pytest.raises(ValueError, match="another run is writing to"):
            train_small(tmp_path / "a", lambda step, model: {})
        return {}

    train_small(tmp_path / "a", second_run)
    train_small(tmp_path / "b", lambda step, model: {})
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in (checkpoint.FILE, trainer.LOG))


# Killed


@pytest.mark.parametrize("kills", [pytest.param(10, marks=pytest.mark.slow), pytest.param(100, marks=pytest.mark.audit)])
@posix
def test_kills_at_random_moments(kills, kit, tmp_path):
    """kill -9 while every step is saved: each time the checkpoint is whole and the next process goes on from it."""
    rng, steps, path = random.Random(7), [0], tmp_path / "cut" / checkpoint.FILE
    lengths = ["--tokens", 16 * kills * BATCH, "--save-every", 1]
    argv = [sys.executable, "-m", "minigpt", *command(kit, "pretrain", tmp_path / "cut", *lengths)]
    for _ in range(kills):
        before = path.stat().st_mtime_ns if path.exists() else None
        child = subprocess.Popen(argv, env=HOME, stdout=subprocess.DEVNULL)
        seen, wanted = {before}, rng.randint(2, 4)  # so many saves, counted and not timed
        while len(seen) <= wanted:
            assert child.poll() is None
            seen |= {path.stat().st_mtime_ns} if path.exists() else set()
            time.sleep(0.0005)
        time.sleep(rng.uniform(0.0, 0.01))
        child.send_signal(signal.SIGKILL)
        child.wait()
        steps.append(saved_step(tmp_path / "cut"))
        assert steps[-1] >= steps[-2] and len(left_over(tmp_path)) <= 1
    assert len(set(steps)) > 3
    assert main(command(kit, "pretrain", tmp_path / "cut", *lengths)) == 0 and not left_over(tmp_path)
    assert main(command(kit, "pretrain", tmp_path / "straight", *lengths)) == 0
    assert digest(tmp_path / "cut") == digest(tmp_path / "straight")


@pytest.mark.slow
@posix
def test_the_whole_run_killed_in_every_stage(tmp_path, capsys):
    """`run` twice: once in peace, once killed in three places; then it names what was changed."""
    argv = ["run", "--preset", "nano", "--pretrain-tokens", "6144", "--sft-tokens", "6144", "-n", "1", "--out"]
    assert main([*argv, str(tmp_path / "straight")]) == 0
    for waits_for in ("tokenizer/vocab.json", "base/checkpoint.safetensors", "tuned/checkpoint.safetensors"):
        child = subprocess.Popen([sys.executable, "-m", "minigpt", *argv, tmp_path / "cut"], env=HOME, stdout=subprocess.DEVNULL)
        while not (tmp_path / "cut" / waits_for).exists():
            assert child.poll() is None
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert main([*argv, str(tmp_path / "cut")]) == 0 and not left_over(tmp_path)
    reports = [json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8")) for name in ("straight", "cut")]
    assert reports[0]["scores"] == reports[1]["scores"] and reports[0]["samples"] == reports[1]["samples"]
    for stage in ("base", "tuned"):
        assert digest(tmp_path / "straight" / stage) == digest(tmp_path / "cut" / stage)
    for change, words in ((["--pretrain-tokens", "9000"], ["base", "tokens 6144", "9000"]), (["--sft-tokens", "9000"], ["tuned", "9000"]),
                          (["--seed", "1"], ["tokenizer", "seed 0"]), (["--preset", "tiny"], ["base", "n_layer 2"])):
        refused(capsys, [*argv, str(tmp_path / "cut"), *change], *words)


# Stopped by a signal


@pytest.mark.parametrize("stage, workers", [("pretrain", 2), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in (("pretrain", 1), ("sft", 2), ("sft", 1)))])
@pytest.mark.usefixtures("no_curves")
def test_in_two_parts_it_gives_the_same_bits(stage, workers, kit, tmp_path, monkeypatch):
    """n steps == k, another start, n - k: sha256 of weights, moments and log, whoever worked in the first part."""
    with monkeypatch.context() as patch:
        interrupt(patch, "minigpt.train.optim.update", 7, signal.SIGINT)
        assert exit_status(command(kit, stage, tmp_path, "--workers", workers)) == 130
    assert saved_step(tmp_path) == len(trainer.read_log(tmp_path)) == 7
    assert main(command(kit, stage, tmp_path, "--workers", 3 - workers)) == 0
    assert digest(tmp_path) == digest(straight(kit, stage))


MOMENTS = [("minigpt.train.pretrain.read_text", 1, None), ("minigpt.train.checkpoint.save", 1, 1), ("os.replace", 2, 1), ("os.replace", 4, 6),
           ("minigpt.train.pretrain.evaluate_loss", 1, 4), ("minigpt.train.optim.update", STEPS, STEPS), ("minigpt.train.checkpoint.save", 4, STEPS),
           ("minigpt.interop.huggingface.write_folder", 1, STEPS), ("minigpt.show.plot.training_curves", 1, STEPS)]


@posix
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, id="SIGINT"), pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow)])
@pytest.mark.parametrize("target, call, step", [pytest.param(*moment, id=f"{moment[0].split('.')[-1]}-{moment[1]}", marks=pytest.mark.slow if i % 3 else ())
                                               for i, moment in enumerate(MOMENTS)])
@pytest.mark.usefixtures("no_curves")
def test_a_signal_at_any_moment(number, target, call, step, kit, tmp_path, monkeypatch, capsys):
    """While data are read, in a step, while it evaluates or saves, and after the last step: nothing is lost, nothing is left over."""
    with monkeypatch.context() as patch:
        interrupt(patch, target, call, number)
        assert exit_status(command(kit, "pretrain", tmp_path)) == 128 + number
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err and not left_over(tmp_path)
    assert (saved_step(tmp_path) if checkpoint.exists(tmp_path) else None) == step
    in_training = f"{number.name}: saved; run the same command again to go on from step {step}\n" in shown.out
    rest = "the same command goes on from what it saved" if step is not None else "no weights were saved yet"
    assert in_training or f"minigpt pretrain: stopped; {rest}" in shown.err
    assert in_training == (step is not None and not target.startswith(("minigpt.interop", "minigpt.show")))
    assert main(command(kit, "pretrain", tmp_path)) == 0
    assert digest(tmp_path) == digest(straight(kit, "pretrain"))


@posix
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, id="SIGINT"), pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow)])
def test_a_process_in_training_is_stopped(number, kit, tmp_path):
    """As the shell sees it; this run would train for days and save only because it was stopped."""
    argv = command(kit, "pretrain", tmp_path, "--tokens", 10**9, "--save-every", 10**6)
    child = subprocess.Popen([sys.executable, "-m", "minigpt", *argv], env=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "loss" not in child.stdout.readline():
        assert child.poll() is None
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number and not err
    assert f"go on from step {saved_step(tmp_path)}\n" in out and saved_step(tmp_path) == len(trainer.read_log(tmp_path)) > 0


@posix
def test_the_third_signal_is_obeyed_at_once(tmp_path, monkeypatch):
    def impatient(step, model):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        return {}

    exits = []
    monkeypatch.setattr(os, "_exit", exits.append)
    with pytest.raises(trainer.Interrupted) as stop:
        train_small(tmp_path / "a", impatient)
    assert stop.value.code == 130 and exits == [130] and saved_step(tmp_path / "a") == 1


@posix
@pytest.mark.parametrize("handler, steps", [(signal.SIG_IGN, 6), (signal.SIG_DFL, 3)], ids=["under nohup", "otherwise"])
def test_a_closed_terminal_is_a_reason_to_save_unless_it_is_ignored(handler, steps, tmp_path):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        train_small(tmp_path / "a", lambda step, model: os.kill(os.getpid(), signal.SIGHUP) or {} if step == 3 else {})
    except trainer.Interrupted as stop:
        assert stop.code == 128 + signal.SIGHUP
    finally:
        signal.signal(signal.SIGHUP, before)
    assert saved_step(tmp_path / "a") == steps


# The disk


LIMITED = "import resource, sys; from minigpt import __main__\n"
LIMIT = "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"  # bytes; a checkpoint of the nano preset takes 430,000
LATER = """from minigpt.train import pretrain
def evaluate(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    return 1.0
pretrain.evaluate_loss = evaluate
"""
MAIN = "sys.exit(__main__.main(sys.argv[1:]))"


@posix
def test_a_full_disk_is_noticed_before_the_first_step(kit, tmp_path):
    child = in_child(LIMITED + LIMIT + MAIN, *command(kit, "pretrain", tmp_path))
    assert child.returncode == 1 and "%  loss" not in child.stdout
    assert child.stderr.startswith(f"minigpt pretrain: cannot write {tmp_path / checkpoint.FILE}: ") and child.stderr.count("\n") == 1
    assert not left_over(tmp_path) and not checkpoint.exists(tmp_path)


@pytest.mark.slow
@posix
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(kit, tmp_path):
    """Full after the evaluation of step 4: the save of step 6 fails, that of step 3 stays, and with room again the run goes on."""
    child = in_child(LIMITED + LATER + MAIN, *command(kit, "pretrain", tmp_path, "--save-every", 3))
    assert child.returncode == 1 and child.stderr.count("\n") == 1
    assert child.stderr.startswith(f"minigpt pretrain: cannot write {tmp_path / checkpoint.FILE}: ")
    assert saved_step(tmp_path) == 3 and not left_over(tmp_path)
    assert main(command(kit, "pretrain", tmp_path)) == 0 and digest(tmp_path) == digest(straight(kit, "pretrain"))


@every_stage
def test_places_that_cannot_be_written_are_refused_before_the_work(stage, kit, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for out, words in ((tmp_path / "file", "in the way"), (tmp_path / "file" / "deeper", "is a file, not a folder")):
        refused(capsys, command(kit, stage, out), out, words)
    for name in (trainer.LOG, checkpoint.FILE):
        (tmp_path / name / name).mkdir(parents=True)
        refused(capsys, command(kit, stage, tmp_path / name), tmp_path / name / name, "not a regular file")


@posix
def test_a_folder_without_permission_is_refused_before_the_work(tmp_path):
    """Root may write anywhere, so the child becomes nobody once it has imported what it needs."""
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o555)
    child = in_child("import os, sys; from minigpt.__main__ import main\n"
                     "for folder in sys.argv[1:]:\n"
                     "    for name in ('pretrain', 'run', 'tokenizer'): main([name, '--out', folder])\n"
                     "    if os.getuid() == 0: os.setuid(65534)", tmp_path / "file" / "a", tmp_path / "closed" / "a")
    assert child.stderr.count("is a file") == child.stderr.count("choose a folder that you may write to") == 3, child.stderr
    assert child.stderr.count("\n") == 6 and not child.stdout
