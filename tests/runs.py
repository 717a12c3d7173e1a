"""Runs of seconds for the tests that cut, damage and change them: inputs, the commands that begin them, and what they left behind."""
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from minigpt.__main__ import main
from minigpt.config import GPTConfig, TrainConfig
from minigpt.files import TEMPORARY
from minigpt.interop import safetensors
from minigpt.nn.gpt import Transformer
from minigpt.train import checkpoint, trainer
from minigpt.train.batches import Rows, batch_at

TEXT = " ".join(f"Mary has {n} books and reads {n * 7 % 10} of them. 玛丽读书。" for n in range(400))
CHAT = [[("user", f"What is {n} plus 1?"), ("assistant", f"It is {n + 1}.")] for n in range(60)]
STEPS, BATCH = 12, 128
STAGES = ("pretrain", "sft")
every_stage = pytest.mark.parametrize("stage", STAGES)
SMALL, SMALL_ROWS = GPTConfig(30, 8, 2, 2, 16), Rows(np.arange(180, dtype=np.int32).reshape(20, 9) % 30)
os.environ.pop("MINIGPT_DATA", None)  # the tests are about the project's own data
HOME = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}  # of a child process

# run first in another process, it lets no socket be made there
GUARD = """
import sys
def refuse(event, arguments):
    if event.startswith("socket."):
        print("a socket was wanted:", event, arguments, file=sys.stderr)
        raise RuntimeError(event)
sys.addaudithook(refuse)
"""


def make_kit(kit):
    """Fills a folder with what every run here starts from: text.txt, tok/, chat.jsonl, and in base/ and tuned/ runs that nothing disturbed."""
    (kit / "text.txt").write_text(TEXT, encoding="utf-8")
    lines = (json.dumps({"messages": [{"role": role, "content": text} for role, text in chat]}) for chat in CHAT)
    (kit / "chat.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert main(["tokenizer", "--text", f"{kit}/text.txt", "--vocab-size", "300", "--out", f"{kit}/tok"]) == 0
    for stage in STAGES:
        assert main(command(kit, stage, straight(kit, stage))) == 0
    return kit


def command(kit, stage, out, *more):
    """The arguments of a run of twelve steps."""
    inputs = {"pretrain": ["--preset", "nano", "--text", f"{kit}/text.txt", "--tokenizer", f"{kit}/tok", "--block-size", "32"],
              "sft": ["--model", f"{kit}/base", "--instructions", f"{kit}/chat.jsonl"]}[stage]
    return [stage, *inputs, "--backend", "numpy", "--tokens", str(BATCH * STEPS), "--batch-tokens", str(BATCH), "--workers", "1",
            "--save-every", "5", "--eval-every", "4", "--out", str(out), *map(str, more)]


def straight(kit, stage):
    """The folder of the run that nothing disturbed."""
    return kit / {"pretrain": "base", "sft": "tuned"}[stage]


def exit_status(argv):
    """Exit status of a command, however it ends."""
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code


def saved_step(folder):
    """The step of a run's checkpoint, which is proved to be whole, and its log too."""
    arrays = safetensors.load_file(folder / checkpoint.FILE)  # compares the checksum
    assert all(np.isfinite(array).all() for array in arrays.values())
    step = int(safetensors.read_metadata(folder / checkpoint.FILE)["step"])
    assert len(trainer.read_log(folder)) >= step
    return step


def digest(folder):
    """sha256 of weights, moments, log and of the model that came out."""
    arrays = safetensors.load_file(folder / checkpoint.FILE)
    parts = [part for name in sorted(arrays) for part in (name.encode(), arrays[name].tobytes())]
    parts += [(folder / name).read_bytes() for name in (trainer.LOG, "model.safetensors")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def put(path, data):
    """A new file in place of the old one: writing over a file waits for the disk on some systems, which the tests do thousands of times."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def left_over(folder):
    """Temporary files in the folder and below."""
    return [path for path in folder.rglob("*") if path.name.startswith(TEMPORARY[0])]


def refused(capsys, argv, *words):
    """The command ends with one line that holds all words, before its first step."""
    capsys.readouterr()
    assert main(argv) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(f"minigpt {argv[0]}: ") and shown.err.count("\n") == 1, shown.err
    assert all(str(word) in shown.err for word in words), shown.err
    assert "%  loss" not in shown.out
    return shown.err


def train_small(folder, on_eval):
    """Six steps without a command, saved every second one; on_eval(step, model) is called after each."""
    folder.mkdir(exist_ok=True)
    config = TrainConfig(tokens=6 * 32, batch_tokens=32, eval_every=1, save_every=2)
    run = trainer.Run("small", lambda step: batch_at(step, SMALL_ROWS, 4, 0), folder, {}, on_eval)
    return trainer.train(Transformer(SMALL, backend="numpy"), config, run)
