"""The cache of compiled kernels: it must notice every edit, and do without a place to live."""
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigpt import jit as module
from minigpt.commands import ahead
from minigpt.config import PRESETS
from minigpt.jit import cache_folder, jit
from minigpt.model import GPT
from minigpt.nn import gpt

ROOT = Path(__file__).parents[1]


def twice(x):
    return 2 * x


def test_the_folder_follows_the_users_wishes(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache_folder.__wrapped__() == tmp_path / "numba" / module.source_hash()
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder.__wrapped__() == tmp_path / "xdg" / "minigpt" / module.source_hash()


@pytest.mark.parametrize("variable, within", [("XDG_CACHE_HOME", "minigpt"), ("NUMBA_CACHE_DIR", "")])
def test_kernels_that_nobody_has_used_for_a_month_are_removed(variable, within, monkeypatch, tmp_path):
    """But not from a folder that other programs may use too: theirs may have such names."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    parent = tmp_path / within
    ours, recent, old, foreign = (parent / name for name in (module.source_hash(), "0" * 16, "1" * 16, "of_another_program"))
    for folder, days in {ours: 99, recent: 29, old: 31, foreign: 99}.items():
        folder.mkdir(parents=True)
        (folder / "kernel.nbc").touch()
        os.utime(folder, (time.time() - days * 86400,) * 2)
    assert cache_folder.__wrapped__() == ours
    assert set(parent.iterdir()) == ({ours, recent, foreign} if within else {ours, recent, old, foreign})
    assert (ours / "kernel.nbc").exists() and (not within or time.time() - ours.stat().st_mtime < 3600)


def test_without_a_place_for_the_cache_kernels_still_work(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    assert cache_folder.__wrapped__() is None
    (tmp_path / "temporary").mkdir()
    assert cache_folder.__wrapped__().is_relative_to(tmp_path / "temporary")
    monkeypatch.setattr(module, "cache_folder", lambda: None)
    assert jit(twice)(21) == 42


GRADIENT = """
import hashlib, numpy as np
from minigpt.config import GPTConfig
from minigpt.nn.gpt import Transformer
model = Transformer(GPTConfig(vocab_size=64, block_size=64, n_layer=2, n_head=4, n_embd=64, position="rope"))
model.params.flat[:] += np.random.default_rng(0).normal(0, 0.1, model.params.flat.size).astype(np.float32)
hidden, cache = model.forward_hidden(np.arange(128).reshape(2, 64) % 64)
model.backward_hidden(np.sin(np.arange(hidden.size, dtype=np.float32)).reshape(hidden.shape), cache)
print(hashlib.sha256(hidden.tobytes() + model.grads.flat.tobytes()).hexdigest())
"""


def fill_a_cache(folder):
    """The job that compiles what a run needs into a cache in its folder, prints the files, and then what GRADIENT prints."""
    code = "from minigpt.commands.ahead import call_all\nfrom minigpt.config import PRESETS\nimport pathlib\ncall_all(PRESETS['micro'])\n" \
           f"print(*pathlib.Path({str(folder)!r}).glob('*/kernels_*/*.nbc'), sep='\\n')\n" + GRADIENT
    return [sys.executable, "-c", code], {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}


ELSEWHERE = dict.fromkeys(("test_kernels_give_the_same_bits_compiled_just_now_and_from_the_cache", "test_a_run_finds_every_kernel_that_was_compiled_ahead"),
                          [fill_a_cache])  # see conftest


@pytest.fixture
def ahead_of_a_run(elsewhere):
    """A cache that one process has filled -> the environment that uses it, its files, what GRADIENT printed there"""
    output, status, folder = elsewhere(fill_a_cache)
    assert status == 0, output[-3000:]
    *files, gradient = output.splitlines()
    return {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}, {Path(line) for line in files if line.endswith(".nbc")}, gradient


@pytest.mark.slow
def test_kernels_give_the_same_bits_compiled_just_now_and_from_the_cache(ahead_of_a_run):
    """What a kernel calls exists by itself and as a part of it; which of them runs depends on what was compiled in this process."""
    environment, _, first = ahead_of_a_run
    second = subprocess.run([sys.executable, "-c", GRADIENT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert first == second.strip() and len(first) == 64


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX permissions")
def test_a_folder_that_others_can_write_is_not_trusted(monkeypatch, tmp_path):
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = module._private_temporary()
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="written by others"):
        module._private_temporary()


def test_a_function_typed_at_a_prompt_is_compiled_without_a_cache():
    typed = type(twice)(twice.__code__.replace(co_filename="<stdin>"), {}, "typed")
    assert jit(typed)(21) == 42


def test_the_setting_of_other_numba_code_is_left_alone():
    config = pytest.importorskip("numba").config
    before = config.CACHE_DIR
    jit(twice)
    assert config.CACHE_DIR == before


@pytest.mark.slow
def test_an_edited_helper_takes_effect(tmp_path):
    """Numba itself would go on with the kernels that it has compiled: cross_entropy.py did not change."""
    shutil.copytree(ROOT / "minigpt", tmp_path / "minigpt", ignore=shutil.ignore_patterns("__pycache__"))
    helper = tmp_path / "minigpt" / "nn" / "kernels" / "exponential.py"
    code = ("import numpy as np; from minigpt.nn.kernels.cross_entropy import cross_entropy_forward as f; "
            "print(f(np.zeros((1, 8), np.float32), np.zeros(1, np.int32))[0][0])")

    def loss():
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True,
                              env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)})
        return float(done.stdout)

    before = loss()
    assert before == pytest.approx(2.0794, abs=1e-3)  # ln 8
    assert loss() == before
    text = helper.read_text(encoding="utf-8")
    helper.write_text(text.replace("1.0000000716553", "2.0"), encoding="utf-8")
    assert loss() == pytest.approx(before + 0.6931, abs=1e-3)  # e^0 has become 2, and the sum of eight of them 16


def test_kernels_are_compiled_ahead_where_a_core_is_free(monkeypatch):
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    assert ahead.compile_ahead(PRESETS["micro"])() == 0  # the other process came to its end
    monkeypatch.setattr(ahead.subprocess, "Popen", None)
    monkeypatch.setattr(ahead, "cores", lambda: 1)
    assert ahead.compile_ahead(PRESETS["micro"])() is None


@pytest.mark.parametrize("preset", ["micro", "mini"])
def test_the_products_that_the_whole_model_takes_are_compiled_ahead(preset, monkeypatch):
    """A model of one layer, which stands for it there, may be too small for NumPy's."""
    monkeypatch.setattr(gpt, "OWN_PRODUCTS", 3_000_000)
    monkeypatch.setattr(gpt, "processor", lambda: "Intel")
    taken = []
    monkeypatch.setattr(ahead, "pretrain", lambda model, *others: taken.append(model.matmul))
    for name in ("tune", "generate"):
        monkeypatch.setattr(ahead, name, lambda *others: None)
    ahead.call_all(PRESETS[preset])
    assert taken == [GPT(PRESETS[preset]).matmul] == ["blas" if preset == "mini" else "numba"]


@pytest.mark.slow
def test_a_run_finds_every_kernel_that_was_compiled_ahead(ahead_of_a_run, tmp_path):
    """Training, evaluation and answers of a run, at other sizes than those of the process beside it, compile nothing anew."""
    environment, before, _ = ahead_of_a_run
    command = ["run", "--pretrain-tokens", "3072", "--sft-tokens", "3072", "-n", "2", "--out", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-m", "minigpt", *command], cwd=tmp_path, check=True, capture_output=True, env=environment)
    folder, = {path.parent for path in before}  # the tokenizer's kernels have another
    assert len(before) > 20 and set(folder.glob("*.nbc")) == before


@pytest.mark.skipif(os.name != "posix", reason="POSIX processes")
def test_the_compiling_process_ends_with_the_program():
    """A run that is refused or interrupted leaves nobody behind who works on for half a minute."""
    code = """if True:
        import subprocess
        from minigpt.commands import ahead
        from minigpt.config import PRESETS
        begin = subprocess.Popen
        def popen(*args, **options):
            child = begin(*args, **options)
            print(child.pid)
            return child
        ahead.cores, ahead.subprocess.Popen = lambda: 2, popen
        ahead.compile_ahead(PRESETS["micro"])
        raise KeyboardInterrupt"""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "KeyboardInterrupt" in done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
