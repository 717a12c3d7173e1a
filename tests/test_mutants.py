"""Are the tests any good? Every known bug of mutants.py is put into a copy of the tree, and its test must fail there."""
import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import MUTANTS

ROOT = Path(__file__).parents[1]
ONCE_PER_BUG = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
CRASHES = re.compile(r"^E +(\w*Error while collecting|SyntaxError|NameError|ImportError|AttributeError|UnboundLocalError)", re.M)


def mutated(mutant, source):
    assert source.count(mutant.line) == 1, f"occurs {source.count(mutant.line)} times in {mutant.file}: {mutant.line}"
    return source.replace(mutant.line, mutant.becomes)


@functools.cache
def meaning(source):
    return ast.dump(ast.parse(source))


@pytest.mark.slow
@ONCE_PER_BUG
def test_the_line_is_still_there_once(mutant):
    source = (ROOT / mutant.file).read_text("utf-8")
    assert ast.dump(ast.parse(mutated(mutant, source))) != meaning(source)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of what the tests need, with a kernel cache of its own."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in ("minigpt", "tests", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "oracle"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_tests(folder, nodes, cache):
    """-> CompletedProcess of pytest in the folder; stale bytecode cannot hide an edit, as none is written"""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "pytest", "-x", "--tb=short", "-p", "no:cacheprovider", "-o", "addopts=", *nodes]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.audit
def test_without_a_bug_every_killer_passes(copy):
    nodes = sorted({f"tests/{mutant.killed_by}" for mutant in MUTANTS})
    result = run_tests(copy, nodes, copy / "cache")
    assert result.returncode == 0, result.stdout[-3000:]
    assert "skipped" not in result.stdout


@pytest.mark.audit
@ONCE_PER_BUG
def test_the_bug_is_killed(mutant, copy, tmp_path):
    path = copy / mutant.file
    source = path.read_text("utf-8")
    kernel = "kernels" in mutant.file
    path.write_text(mutated(mutant, source), "utf-8")
    try:
        result = run_tests(copy, [f"tests/{mutant.killed_by}"], tmp_path / "cache" if kernel else copy / "cache")
    finally:
        path.write_text(source, "utf-8")
    assert result.returncode == 1 and "1 failed" in result.stdout, "survived: " + result.stdout[-2000:] + result.stderr[-1000:]
    assert not CRASHES.search(result.stdout), "died of a crash, which proves nothing: " + result.stdout[-2000:]
