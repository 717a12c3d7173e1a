"""Nothing is ever lost: model folders under kill -9, a full disk, missing permission, and in every process alike."""
import copy
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from runs import put
from test_files import in_child, posix
from test_huggingface import CONFIGS, their_folder
from test_safetensors import HOSTILE, mutate_tree

from minigpt.config import GPTConfig
from minigpt.interop import huggingface, safetensors
from minigpt.nn.gpt import Transformer

# Writes a model whose every weight is 0, then 1, 2, ... into the same folder, for ever or `times` times.
WRITER = """
import itertools, sys
from minigpt.config import GPTConfig
from minigpt.interop import huggingface
from minigpt.nn.gpt import Transformer
folder, times = sys.argv[1], int(sys.argv[2])
params = Transformer(GPTConfig(50, 8, 2, 2, 16), backend="numpy").params
for step in itertools.islice(itertools.count(), times or None):
    params.flat[:] = step
    huggingface.write_folder(folder, GPTConfig(50, 8, 2, 2, 16), params, metadata={"step": str(step)})
"""


def whole_step(folder):
    """The step whose weights the folder holds; fails when they are not all of one step."""
    config, params = huggingface.read_folder(folder)
    step = int(safetensors.read_metadata(folder / "model.safetensors")["step"])
    assert config == GPTConfig(50, 8, 2, 2, 16) and all((array == step).all() for array in params.values())
    return step


@pytest.mark.slow
@posix
def test_10_kills_while_saving_leave_a_whole_model(tmp_path):
    rng, steps = random.Random(5), []
    for _ in range(10):
        child = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, "0"],
                                 env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        path = tmp_path / "model.safetensors"
        seen, wanted = {path.stat().st_mtime_ns if steps else None}, rng.randint(2, 4)  # so many saves, counted and not timed
        while len(seen) <= wanted:
            assert child.poll() is None
            seen |= {path.stat().st_mtime_ns} if path.exists() else set()
            time.sleep(0.0005)
        time.sleep(rng.uniform(0.0, 0.01))
        child.send_signal(signal.SIGKILL)
        child.wait()
        steps.append(whole_step(tmp_path))
    huggingface.write_folder(tmp_path, *huggingface.read_folder(tmp_path))          # the next save tidies up
    assert sorted(os.listdir(tmp_path)) == ["config.json", "generation_config.json", "model.safetensors"]
    assert len(set(steps)) > 1


@posix
def test_a_full_disk_keeps_the_last_model(tmp_path):
    in_child(WRITER, tmp_path, 1)
    limited = WRITER.replace("import itertools, sys", "import itertools, resource, sys")
    limited = limited.replace("folder, times =", "resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\nfolder, times =")
    child = in_child(limited, tmp_path, 2)
    assert child.returncode != 0 and f"OSError: cannot write {tmp_path / 'model.safetensors'}: " in child.stderr.splitlines()[-1]
    assert whole_step(tmp_path) == 0
    assert sorted(os.listdir(tmp_path)) == ["config.json", "generation_config.json", "model.safetensors"]


@posix
def test_a_folder_that_cannot_be_made_or_written(tmp_path):
    (tmp_path / "file").write_text("x")
    model = Transformer(GPTConfig(50, 8, 2, 2, 16))
    for wrong in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(OSError) as raised:
            huggingface.write_folder(wrong, model.config, model.params)
        assert str(wrong) in str(raised.value) and "\n" not in str(raised.value)
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match="choose another name"):
        huggingface.write_folder(tmp_path, model.config, model.params)


@pytest.mark.parametrize("family", ["gpt_neox", *(pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS if name != "gpt_neox")])
def test_300_mutated_configs(family, tmp_path):
    """Each is read, or refused in one line that names the file: nothing else is raised."""
    rng, refused = random.Random(9), 0
    their_folder(tmp_path, family)
    for _ in range(300):
        data = copy.deepcopy({**CONFIGS[family], "eos_token_id": [1, 2], "rope_scaling": None, "deep": {"x": [1]}})
        mutate_tree(data, rng)
        for name in ("config.json", "generation_config.json"):
            put(tmp_path / name, json.dumps(rng.choice(HOSTILE) if rng.random() < 0.02 else data).encode())
        for read in (huggingface.read_folder, huggingface.read_stop):
            try:
                read(tmp_path)
            except (ValueError, OSError) as error:
                refused += 1
                assert str(tmp_path) in str(error) and "\n" not in str(error), error
    assert refused > 60


@pytest.mark.slow
def test_equal_models_are_equal_files_in_every_process(tmp_path, monkeypatch):
    digests = set()
    for seed in ("0", "1", "2024"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert in_child(WRITER, tmp_path / seed, 3).returncode == 0
        names = sorted(os.listdir(tmp_path / seed))
        digests.add(hashlib.sha256(b"".join((tmp_path / seed / name).read_bytes() for name in names)).hexdigest())
    assert len(digests) == 1 and len(names) == 3


@pytest.mark.slow
def test_500_bit_flips_in_a_model_folder(tmp_path):
    """Whatever bit of the weights' file flips, the folder is refused in one line."""
    model, rng = Transformer(GPTConfig(50, 8, 2, 2, 16, position="rope")), np.random.default_rng(6)
    huggingface.write_folder(tmp_path, model.config, model.params)
    data = np.fromfile(tmp_path / "model.safetensors", np.uint8)
    for bit in rng.choice(8 * data.size, 500, replace=False):
        flipped = data.copy()
        flipped[bit // 8] ^= 1 << bit % 8
        put(tmp_path / "model.safetensors", flipped.tobytes())
        with pytest.raises(safetensors.SafetensorsError) as raised:
            huggingface.read_folder(tmp_path)
        assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)
