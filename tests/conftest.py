"""What holds for every test, nothing reaches for the network, and what many of them start from."""
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from runs import GUARD, make_kit

PAGES = "test_every_page_is_fresh"
CHECK = GUARD + """
from minigpt.__main__ import main
sys.exit(main(["lesson", "check", "--all"]))
"""
background = pytest.StashKey()

# a shell that starts programs in the background has them ignore Ctrl-C, which the tests send and wait for
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """The package works offline, so a connection attempt is a bug, also on a machine that has a network."""
    def refuse(*arguments, **options):
        raise RuntimeError(f"a test tried to reach the network: {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            patch.setattr(socket, name, refuse)
        yield


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    """The folder of runs.make_kit; nobody may change it."""
    return make_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="session")
def world():
    """The bundled world; what it caches changes nothing (test_world)."""
    from minigpt.world import load_world

    return load_world()


@pytest.fixture(scope="session")
def documents(world):
    """About 2 MB of pretraining text."""
    from minigpt.world import pretraining_documents

    return list(itertools.islice(pretraining_documents(world, 21), 10_000))


@pytest.fixture
def no_curves(monkeypatch):
    """A run without its picture, which takes longer than its training; those of kit and of test_hostile have theirs."""
    from minigpt.show import plot

    monkeypatch.setattr(plot, "training_curves", lambda log, path: None)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.name.startswith(PAGES))  # last: see below


def pytest_collection_finish(session):
    """The pages of all lessons take half the time of all tests: another process checks them while this one runs the rest."""
    root = Path(__file__).parents[1]
    wanted = sum(item.name.startswith(PAGES) for item in session.items)
    if session.config.option.collectonly or wanted == 0 or wanted < len(list(root.glob("lessons/*/lesson.py"))):
        return
    output = tempfile.TemporaryFile("w+", encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-c", CHECK], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, stdout=output, stderr=output)
    session.config.stash[background] = child, output


def pytest_unconfigure(config):
    if background in config.stash:
        config.stash[background][0].kill()


@pytest.fixture
def complaints(request):
    """-> complaints(lesson): what is stale on its page, from the process in the background where there is one"""
    if background not in request.config.stash:
        from minigpt.course.check import check

        return check
    child, output = request.config.stash[background]
    child.wait()
    output.seek(0)
    lines = output.read().splitlines()
    return lambda lesson: [] if f"{lesson.title}: fresh" in lines else [line for line in lines if lesson.folder.name in line] or [*lines, "no page was checked"]
