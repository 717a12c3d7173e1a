"""What users, files and machines can throw at the commands: each is served, or refused in one line, and nothing depends on the machine."""
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from runs import GUARD, HOME, SMALL, TEXT, command, digest, refused, straight
from test_files import posix

from minigpt.__main__ import main
from minigpt.config import GPTConfig, SampleConfig
from minigpt.model import GPT, InstructGPT
from minigpt.nn import losses
from minigpt.nn.gradcheck import perturb
from minigpt.sample.explain import continuation_logprobs
from minigpt.sample.generate import generate
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer
from minigpt.train.pretrain import read_text

ODD = os.fsdecode(b"caf\xe9 \xff\xed\xa0\x80")  # what the shell hands over when a word is not UTF-8: lone surrogates
both_backends = pytest.mark.parametrize("backend", ["numpy", "fast"])


# Prompts, ids and settings


@both_backends
@pytest.mark.parametrize("wrong", [-1, 30, 2**31, -(2**40)])
def test_ids_outside_the_vocabulary_never_index_anything(wrong, backend):
    """No wrap-around: -1 is not the last token. Also not where an id is the first or the last of its row, or in padding's place."""
    model = GPT(SMALL, backend=backend)
    for ids in ([[1, 2, wrong]], [[wrong, 2, 3]], [[1, 2, 3], [1, wrong, 3]]):
        for use in (model.forward, model.generate, lambda ids: model.step(ids, model.new_cache(len(ids)))):
            with pytest.raises(ValueError, match=f"id {wrong} is outside the vocabulary of 30"):
                use(np.array(ids))
    with pytest.raises(ValueError, match=str(wrong)):
        losses.cross_entropy(np.zeros((2, 30), np.float32), np.array([3, wrong]), ops=model.ops)
    with pytest.raises(ValueError, match=str(wrong)):
        continuation_logprobs(model, [1, 2], [3, wrong])


def test_prompts_of_any_other_shape_are_refused():
    model = GPT(SMALL, backend="numpy")
    for prompt, words in (([], "0 tokens"), ([1] * 9, "context's 8"), ([1.5, 2.0], "whole numbers"), (["a"], "whole numbers")):
        with pytest.raises(ValueError, match=words):
            generate(model, [prompt], SampleConfig())
    with pytest.raises(ValueError, match=r"\(B, T\)"):
        model.generate(np.array([1, 2]))
    assert model.generate(np.array([[1] * 8]), 5).shape == (1, 9), "a full context still predicts one token"
    assert model.generate(np.zeros((0, 3), int), 5).shape == (0, 3)


@pytest.mark.parametrize("settings, words", [
    (["--temperature", "-1"], "temperature is -1"), (["--temperature", "nan"], "temperature is nan"), (["--temperature", "inf"], "temperature is inf"),
    (["--top-k", "-1"], "top_k is -1"), (["--top-p", "0"], "top_p is 0"), (["--top-p", "1.01"], "top_p is 1.01"), (["--top-p", "nan"], "top_p is nan"),
    (["--min-p", "nan"], "min_p is nan"), (["--repetition-penalty", "0"], "repetition_penalty is 0"), (["--max-new-tokens", "-1"], "max_new_tokens"),
    (["--seed", "-1"], "seed is -1"), (["-n", "0"], "-n is 0"), (["--prompt", ""], "prompt is empty"), (["--prompt", "a<|user|>b"], "<|user|>"),
    (["--prompt", "nine " * 40], "context's 32")], ids=lambda value: value[0] + value[1][:5] if isinstance(value, list) else "")
def test_settings_and_prompts_that_mean_nothing_are_refused(settings, words, kit, capsys):
    refused(capsys, ["sample", "--model", f"{kit}/base", "--backend", "numpy", *settings], words)


def test_extreme_settings_that_mean_something_are_served(kit, capsys, recwarn):
    """Temperatures near 0 are greedy, and limits that limit nothing change nothing."""
    def sample(*settings):
        assert main(["sample", "--model", f"{kit}/base", "--backend", "numpy", "--seed", "3", "--max-new-tokens", "12", *settings]) == 0
        return capsys.readouterr().out

    assert len({sample("--temperature", t) for t in ("0", "1e-9", "1e-320")} | {sample("--top-k", "1"), sample("--top-p", "1e-9")}) == 1
    assert len({sample(), sample("--top-k", "300"), sample("--top-k", "1000000000"), sample("--top-p", "1"), sample("--min-p", "0")}) == 1
    assert sample("--max-new-tokens", "0", "--prompt", "Mary") == "Mary\n" and sample("--temperature", "1e300") != sample("--temperature", "0")
    assert not recwarn.list


def test_instructions_that_are_empty_or_too_long_are_refused(kit, capsys):
    answer = ["answer", "--model", f"{kit}/tuned", "--backend", "numpy"]
    refused(capsys, [*answer, " \n\t"], "the instruction is empty")
    refused(capsys, [*answer, "very " * 60], "the context is 32", "shorten it")
    refused(capsys, [*answer, "hi", "--max-new-tokens", "0", "--explain"], "no token to explain")


def test_an_answer_that_the_context_cuts_off_says_so(kit, capsys, monkeypatch):
    """Unless its length was asked for."""
    monkeypatch.setattr(InstructGPT, "__init__", lambda self, model, tok: vars(self).update(model=model, tokenizer=tok, stop=set()))
    answer = ["answer", "hi", "--model", f"{kit}/tuned", "--backend", "numpy"]
    assert main(answer) == 0 and "cut off after" in capsys.readouterr().err
    assert main([*answer, "--max-new-tokens", "3"]) == 0 and capsys.readouterr().err == ""


def test_a_model_without_our_chat_tokens_continues_texts_and_refuses_instructions(kit, tmp_path, capsys):
    tok = Tokenizer.train([TEXT], 280, ["<|endoftext|>"])
    perturb(GPT(GPTConfig(280, 32, 2, 2, 16), backend="numpy"), np.random.default_rng(0)).save_pretrained(tmp_path, tok)
    assert main(["sample", "--model", str(tmp_path), "--backend", "numpy", "--max-new-tokens", "3"]) == 0
    refused(capsys, ["answer", "hi", "--model", str(tmp_path), "--backend", "numpy"], "no special token '<|system|>'")
    Tokenizer.train([TEXT], 280).save(tmp_path / "bare")
    refused(capsys, command(kit, "pretrain", tmp_path / "a", "--tokenizer", tmp_path / "bare"), "no <|endoftext|>", "import FOLDER --chat")
    # before the file is read, which is not to blame
    refused(capsys, ["sft", "--model", str(tmp_path), "--instructions", f"{tmp_path}/none"], "no special token '<|system|>'", "import FOLDER --chat")
    refused(capsys, ["eval", "--model", str(tmp_path), "-n", "1"], "no special token '<|system|>'")


# Files


@pytest.mark.parametrize("data, words", [
    (b"", "holds no text"), (b"<|endoftext|>\n" * 3000, "holds no text"), (b"Mary reads.", "first nine tenths, to train on"),
    (TEXT[:400].encode(), "last tenth, for validation"), (TEXT[:400].encode(), "give more text"), (b"caf\xe9", "not UTF-8 at byte 3"),
    (b"\xef\xbb\xbfcaf\xe9", "not UTF-8 at byte 6"), (TEXT.encode("utf-16"), "not UTF-8 at byte 0"), (TEXT.encode()[:-1], "not UTF-8")],
    ids=["empty", "only ends", "short", "short validation", "short, with a cure", "Latin-1", "Latin-1 after a mark", "UTF-16", "half a character"])
def test_texts_that_cannot_be_trained_on_are_refused(data, words, kit, tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(data)
    refused(capsys, command(kit, "pretrain", tmp_path / "out", "--text", tmp_path / "a.txt"), tmp_path / "a.txt", words)


def test_paths_of_inputs_that_are_wrong_are_refused(kit, tmp_path, capsys):
    for flag, path, words in (("--text", tmp_path, "not a regular file"), ("--text", tmp_path / "none", "No such file"),
                              ("--tokenizer", tmp_path / "none", "neither a folder"), ("--tokenizer", tmp_path, "no tokenizer in"),
                              ("--text", "", "--text is empty"), ("--tokenizer", "", "--tokenizer is empty"), ("--out", "", "--out is empty")):
        refused(capsys, command(kit, "pretrain", tmp_path / "out", flag, path), path, words)
    for flag, path, words in (("--model", tmp_path / "none", "neither a folder"), ("--model", tmp_path, "no model in"),
                              ("--instructions", tmp_path / "none", "No such file")):
        refused(capsys, command(kit, "sft", tmp_path / "out", flag, path), path, words)


def test_a_tokenizer_of_another_model_is_refused_before_any_work(kit, tmp_path, capsys):
    shutil.copytree(straight(kit, "sft"), tmp_path / "pair")
    tok = Tokenizer.train(["Mary reads."], 262, SPECIAL_TOKENS)
    words = [*tok.vocabulary, *(b"%d" % i for i in range(100))]
    Tokenizer(words, tok.merges, tok.special_tokens, tok.split).save(tmp_path / "pair")
    for argv in (["answer", "hi", "--model", f"{tmp_path}/pair"], command(kit, "sft", tmp_path / "a", "--model", tmp_path / "pair"),
                 ["pretrain", "--text", f"{kit}/text.txt", "--model", f"{tmp_path}/pair", "--out", f"{tmp_path}/b"]):
        refused(capsys, argv, f"the tokenizer has {len(words)} tokens, the model 300")


def test_a_trained_model_is_not_overwritten_by_another(kit, tmp_path, capsys):
    trained = straight(kit, "sft")
    before = digest(trained)
    for command in ("export", "import"):
        refused(capsys, [command, str(straight(kit, "pretrain")), "--out", str(trained)], "a trained model that would be overwritten")
    assert digest(trained) == before


@pytest.mark.slow
def test_marks_and_line_ends_of_other_systems_change_nothing(kit, tmp_path):
    """A byte-order mark and CRLF leave weights and log as they are; NUL and U+2028 are characters like any other."""
    (tmp_path / "plain.txt").write_bytes(TEXT.replace("书。 ", "书。\n").encode())
    (tmp_path / "windows.txt").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("书。 ", "书。\r\n").encode())
    (tmp_path / "chat.jsonl").write_bytes(b"\xef\xbb\xbf" + (kit / "chat.jsonl").read_bytes().replace(b"\n", b"\r\n\r\n"))
    for name in ("plain", "windows"):
        assert main(command(kit, "pretrain", tmp_path / name, "--text", tmp_path / f"{name}.txt")) == 0
    assert digest(tmp_path / "plain") == digest(tmp_path / "windows") != digest(straight(kit, "pretrain"))
    assert main(command(kit, "sft", tmp_path / "sft", "--instructions", tmp_path / "chat.jsonl")) == 0
    assert digest(tmp_path / "sft") == digest(straight(kit, "sft"))
    (tmp_path / "nul.txt").write_bytes(b"a\0b\xe2\x80\xa8\x0c\r")
    tok = Tokenizer.load(kit / "tok")
    assert tok.decode(tok.encode(read_text(tmp_path / "nul.txt"))) == "a\0b\u2028\x0c\r"


# The command line and the machine


@posix
def test_words_that_are_not_utf8_on_the_command_line(kit, tmp_path):
    """As text they become U+FFFD, as names of files they are what they are, and on the way out nothing breaks, whatever the locale."""
    code = ("import sys; from minigpt.__main__ import main\n"
            "kit, out, odd = sys.argv[1:]\n"
            "for argv in (['answer', odd, '--model', f'{kit}/tuned'], ['answer', '-', '--model', f'{kit}/tuned'],\n"
            "             ['sample', '--prompt', odd, '--model', f'{kit}/base'], ['tokenizer', '--show', odd, '--model', f'{kit}/tok'],\n"
            "             ['tokenizer', '--text', f'{kit}/text.txt', '--out', f'{out}/{odd[:5]}'], ['answer', 'hi', '--model', odd]):\n"
            "    print(main(argv + ['--backend', 'numpy', '--max-new-tokens', '3'] * (argv[0] in ('answer', 'sample'))), file=sys.stderr)")
    child = subprocess.run([sys.executable, "-c", code, kit, tmp_path, ODD], input=os.fsencode(ODD), capture_output=True, env={**HOME, "LC_ALL": "C"})
    lines = child.stderr.decode().splitlines()
    assert lines[:5] == ["0"] * 5 and "neither a folder" in lines[5] and lines[6:] == ["1"], lines
    assert "caf\ufffd" in child.stdout.decode() or "caf?" in child.stdout.decode()
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9 "]


@posix
def test_who_stops_reading_stops_the_command(kit):
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run([sys.executable, "-m", "minigpt", "tokenizer", "--show", "abc", "--model", kit / "tok"], env=HOME, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert child.returncode == 141 and not child.stderr


def test_too_large_a_model_is_refused(kit, tmp_path, capsys):
    refused(capsys, command(kit, "pretrain", tmp_path, "--n-embd", 2**24, "--n-head", 2**10), "choose smaller sizes")
    refused(capsys, command(kit, "pretrain", tmp_path, "--block-size", 2**24), "block_size is 16777216")


KERNEL = """
import numpy as np, sys, tempfile
from minigpt.jit import cache_folder
if sys.argv[1] == "nowhere":
    tempfile.tempdir = "/dev/null"
from minigpt.nn.kernels import adamw
arrays = [np.ones(3, np.float32) for _ in range(4)]
adamw.adamw_update(*arrays, 0.1, 0.9, 0.9, 1e-8, 0.0, 1)
print(cache_folder(), arrays[0][0] < 1.0)
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("writable", ["nowhere", "temporary"])
def test_kernels_work_where_no_cache_can_be_written(writable, tmp_path):
    """No home, a cache folder that cannot exist, then not even a temporary folder: compiled for this process only."""
    env = {"PYTHONPATH": HOME["PYTHONPATH"], "XDG_CACHE_HOME": "/dev/null/cache", "TMPDIR": str(tmp_path)}
    child = subprocess.run([sys.executable, "-c", KERNEL, writable], env=env, capture_output=True, text=True)
    where = re.escape(str(tmp_path)) + r"/minigpt-\d+/\w+" if writable == "temporary" else "None"
    assert re.fullmatch(where + r" True\n", child.stdout) and not child.stderr, child


@posix
@pytest.mark.slow
def test_a_run_in_a_bare_environment(kit, tmp_path):
    """No home, no locale, no display, no writable cache: the same bits, and a picture of the losses."""
    env = {"PYTHONPATH": HOME["PYTHONPATH"], "XDG_CACHE_HOME": "/dev/null/cache", "LC_ALL": "C"}
    env |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS")}  # other BLAS kernels round otherwise
    child = subprocess.run([sys.executable, "-m", "minigpt", *command(kit, "pretrain", tmp_path)], env=env, capture_output=True, text=True)
    assert child.returncode == 0 and "Traceback" not in child.stderr
    assert digest(tmp_path) == digest(straight(kit, "pretrain")) and (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


EVERYTHING = """
import socket, sys
from minigpt.__main__ import main
try:
    socket.socket()
except RuntimeError:
    print("guarded", file=sys.stderr)
out = sys.argv[1]
for argv in (["run", "--preset", "nano", "--pretrain-tokens", "4096", "--sft-tokens", "4096", "-n", "1", "--out", out],
             ["answer", "What is the capital of France?", "--model", out + "/tuned", "--explain", "--max-new-tokens", "20"], ["chat", "--model", out + "/tuned"],
             ["sample", "--model", out + "/base"], ["eval", "--model", out + "/tuned", "-n", "1"],
             ["export", out + "/base", "--out", out + "/exported"], ["import", out + "/exported", "--out", out + "/imported"]):
    print(main(argv), file=sys.stderr)
"""


@pytest.mark.slow
def test_no_socket_is_opened_and_no_display_is_needed(tmp_path):
    """Every command that uses a model, in a process where a socket is an error."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    env = {name: value for name, value in HOME.items() if name not in ("DISPLAY", "MPLBACKEND")}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), HOME["PYTHONPATH"]])
    child = subprocess.run([sys.executable, "-c", EVERYTHING, tmp_path / "out"], env=env, input="hello\n/quit\n", capture_output=True, text=True)
    lines = child.stderr.splitlines()
    assert "socket.__new__" in lines[0] and lines[1:] == ["guarded"] + ["0"] * 7, child.stderr


def hashed_by(seed):
    """The job that makes world, tokenizer, base, tuned model and samples where Python's hashes begin at the seed."""
    def a_whole_run(folder):
        code = ("import sys; from minigpt.__main__ import main\n"
                "out, steps = sys.argv[1], ['--backend', 'numpy', '--tokens', '2048', '--batch-tokens', '512', '--seed', '5']\n"
                "assert main(['pretrain', '--preset', 'nano', '--vocab-size', '512', '--out', out + '/base', *steps]) == 0\n"
                "assert main(['sft', '--model', out + '/base', '--out', out + '/tuned', *steps]) == 0\n"
                "print('sampled')\n"
                "assert main(['sample', '--model', out + '/tuned', '--backend', 'numpy', '--seed', '1', '-n', '3']) == 0")
        return [sys.executable, "-c", code, str(folder)], {**HOME, "PYTHONHASHSEED": seed}
    a_whole_run.__name__ += seed
    return a_whole_run


HASHED = [hashed_by(seed) for seed in ("0", "2024")]
ELSEWHERE = {"test_every_process_makes_the_same_model_and_text": HASHED}  # see conftest


@pytest.mark.slow
def test_every_process_makes_the_same_model_and_text(elsewhere):
    """World, tokenizer, training, tuning and sampling in two processes with other hash seeds: the same files and words."""
    seen = set()
    for output, status, folder in map(elsewhere, HASHED):
        assert status == 0, output
        files = [(folder / stage / name).read_bytes() for stage in ("base", "tuned") for name in ("tokenizer.json", "config.json")]
        seen.add((digest(folder / "base"), digest(folder / "tuned"), *files, output.partition("sampled")[2]))
    assert len(seen) == 1
