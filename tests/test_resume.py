"""What a run may go on from: its own settings, data and files, undamaged; and numbers that are numbers."""
import math
import re
import shutil
import warnings

import numpy as np
import pytest
from runs import BATCH, SMALL, STEPS, TEXT, command, digest, every_stage, put, refused, saved_step, straight, train_small

from minigpt.__main__ import main
from minigpt.config import TrainConfig
from minigpt.nn.gpt import Transformer
from minigpt.train import checkpoint, optim, trainer

# What was saved, and what has changed since


@pytest.mark.parametrize("stage", ["pretrain", pytest.param("sft", marks=pytest.mark.slow)])
def test_changed_settings_are_refused_by_name(stage, kit, capsys):
    changes = [("--tokens", 2 * BATCH * STEPS, "tokens 1536, now it is 3072"), ("--lr", 0.1, "lr"), ("--seed", 5, "seed 0, now it is 5"),
               ("--optimizer", "adamw", "optimizer"), ("--batch-tokens", 64, "batch_tokens 128"), ("--shards", 5, "now it is 5"), ("--backend", "fast", 'backend "numpy"')]
    if stage == "pretrain":
        changes += [("--n-head", 1, "n_head 2"), ("--n-layer", 3, "n_layer"), ("--n-embd", 64, "n_embd 32"), ("--block-size", 16, "block_size"),
                    ("--mlp", "swiglu", "mlp"), ("--arch", "llama", "norm"), ("--no-tie", "--no-tie", "tie true")]
    before = digest(straight(kit, stage))
    for flag, value, words in changes:
        refused(capsys, command(kit, stage, straight(kit, stage), *dict.fromkeys((flag, value))), kit, words)
    assert digest(straight(kit, stage)) == before
    assert main(command(kit, stage, straight(kit, stage), "--workers", 2, "--save-every", 1)) == 0  # these change no result
    assert digest(straight(kit, stage)) == before


def test_changed_data_are_refused(kit, tmp_path, capsys):
    """Another text, be it in its last sentence only; another tokenizer, conversation, base model or stage."""
    base, tuned = straight(kit, "pretrain"), straight(kit, "sft")
    for text in (TEXT.replace("reads 7", "reads 8", 1), TEXT[:-9] + "玛丽看书。"):
        (tmp_path / "other.txt").write_text(text, encoding="utf-8")
        refused(capsys, command(kit, "pretrain", base, "--text", tmp_path / "other.txt"), base / checkpoint.FILE, "data")
    assert main(["tokenizer", "--text", f"{tmp_path}/other.txt", "--vocab-size", "290", "--out", f"{tmp_path}/tok"]) == 0
    refused(capsys, command(kit, "pretrain", base, "--tokenizer", tmp_path / "tok"), base / checkpoint.FILE, "vocab_size")
    (tmp_path / "chat.jsonl").write_text((kit / "chat.jsonl").read_text(encoding="utf-8").replace("59", "95"), encoding="utf-8")
    refused(capsys, command(kit, "sft", tuned, "--instructions", tmp_path / "chat.jsonl"), tuned / checkpoint.FILE, "data")
    refused(capsys, command(kit, "sft", tuned, "--model", tuned), tuned / checkpoint.FILE, "base")
    refused(capsys, command(kit, "sft", base, "--seed", 0, "--lr", 4e-3, "--muon-lr", 0.01), base / checkpoint.FILE, "stage")


NAN = b'{"step": 2, "tokens": 256, "loss": NaN, "lr": 0.004, "grad_norm": 1.0}'
DAMAGES = {"line 12: not JSON": lambda lines: lines[:-1] + [lines[-1][:20]], "line 6: not the entry of step 6": lambda lines: lines[:5] + lines[6:],
           "ends at step 7, the checkpoint is of step 12": lambda lines: lines[:7], "ends at step 0": lambda lines: [],
           "line 2: NaN": lambda lines: [lines[0], NAN, *lines[2:]], "line 1: not UTF-8": lambda lines: [b"\xff", *lines[1:]],
           "line 1: not the entry": lambda lines: [b"[]", *lines[1:]]}


@pytest.mark.parametrize("words", [*DAMAGES, "No such file"])
def test_a_damaged_log_is_named(words, kit, tmp_path, capsys):
    shutil.copytree(straight(kit, "pretrain"), tmp_path / "a")
    log = tmp_path / "a" / trainer.LOG
    lines = log.read_bytes().splitlines()
    log.unlink()
    if words in DAMAGES:
        log.write_bytes(b"\n".join(DAMAGES[words](lines)))
    refused(capsys, command(kit, "pretrain", tmp_path / "a"), log, words)


@pytest.mark.parametrize("content, words", [
    (b"", "too few"), (b"PK\x03\x04 and more", "zip"), ("model.safetensors", "not the checkpoint of a training run"), ("config.json", "JSON")], ids=str)
def test_a_foreign_checkpoint_is_named(content, words, kit, tmp_path, capsys):
    (tmp_path / checkpoint.FILE).write_bytes((straight(kit, "pretrain") / content).read_bytes() if isinstance(content, str) else content)
    refused(capsys, command(kit, "pretrain", tmp_path), tmp_path / checkpoint.FILE, words)


@pytest.mark.slow
def test_flipped_bits_and_cut_ends_of_a_checkpoint(tmp_path):
    """500 flips and 100 cuts, in the header, the settings and the numbers: each is refused in one line that names the file."""
    model, rng = Transformer(SMALL, backend="numpy"), np.random.default_rng(8)
    state = optim.new_state(model.params)
    state.step = 1
    checkpoint.save(tmp_path, model, state, TrainConfig(), {"data": "x"})
    path = tmp_path / checkpoint.FILE
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    flips = [*rng.choice(8 * start, 250, replace=False), *rng.choice(np.arange(8 * start, 8 * len(data)), 250, replace=False)]
    hurt = [data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :] for bit in map(int, flips)]
    for wrong in hurt + [data[:size] for size in rng.integers(0, len(data), 100)]:
        put(path, wrong)
        with pytest.raises(ValueError) as raised:
            checkpoint.load(tmp_path, model, state, TrainConfig(), {"data": "x"})
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)


# Numbers that are none


@pytest.mark.parametrize("rate", ["1e30", "1e300"])
def test_a_run_that_diverges_stops_and_keeps_a_good_checkpoint(rate, kit, tmp_path, capsys):
    """1e30 breaks the next step's loss, 1e300 the weights themselves: they are never saved."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        assert main(command(kit, "pretrain", tmp_path, "--lr", rate, "--optimizer", "adamw", "--save-every", 1)) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"minigpt pretrain: step \d+: (gradient of )?[\w.]+ is not finite; the last checkpoint is intact: .*\n", error), error
    assert saved_step(tmp_path) <= 1


def test_an_evaluation_that_is_no_number_stops_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match="step 3: score is not finite"):
        train_small(tmp_path / "a", lambda step, model: {"score": math.nan if step == 3 else 1.0})
    assert saved_step(tmp_path / "a") == 2
