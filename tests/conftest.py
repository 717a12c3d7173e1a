"""What holds for every test, nothing reaches for the network, and what many of them start from."""
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from runs import GUARD, make_kit

ROOT = Path(__file__).parents[1]
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


def pages(folder):
    """The job that checks the pages of all lessons."""
    return [sys.executable, "-c", CHECK], {"PYTHONPATH": str(ROOT)}


def jobs_of(item):
    """What another process does for a test -> list of jobs: functions of a folder of their own -> (command, its environment)"""
    return [pages] if item.name.startswith(PAGES) else getattr(item.module, "ELSEWHERE", {}).get(item.name, [])


@pytest.hookimpl(tryfirst=True)  # before pytest looks at -m
def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("audit"):
            item.add_marker("slow")  # so that -m "not slow" alone is what is quick
    items.sort(key=lambda item: bool(jobs_of(item)))  # last: see below


def pytest_collection_finish(session):
    """What takes minutes goes to other processes, one after the other, while this one runs the rest; the pages of all lessons first."""
    jobs = list(dict.fromkeys(job for item in session.items for job in jobs_of(item)))
    if sum(item.name.startswith(PAGES) for item in session.items) < len(list(ROOT.glob("lessons/*/lesson.py"))):
        jobs = [job for job in jobs if job is not pages]
    if session.config.option.collectonly or len(jobs) == 0:
        return
    pool, folder, children = ThreadPoolExecutor(1), tempfile.TemporaryDirectory(), []
    jobs = sorted(jobs, key=lambda job: job is not pages)
    session.config.stash[background] = pool, folder, children, {job: pool.submit(work, job, Path(folder.name), children) for job in jobs}


def work(job, parent, children):
    """Do a job -> its output, its exit status, its folder. children: a list to which the process is added."""
    folder = parent / job.__name__
    folder.mkdir()
    command, environment = job(folder)
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    children.append(child)
    return child.communicate()[0], child.returncode, folder


def begun_jobs(config):
    """{job: the future of what `work` returns} of the jobs that were begun with the tests"""
    return config.stash[background][-1] if background in config.stash else {}


def pytest_unconfigure(config):
    if background in config.stash:
        pool, folder, children, _ = config.stash[background]
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()
        pool.shutdown()
        folder.cleanup()


@pytest.fixture(scope="session")
def elsewhere(request, tmp_path_factory):
    """-> elsewhere(job): output, exit status and folder of the job's process, which was begun with the tests or is begun now"""
    begun = begun_jobs(request.config)
    return lambda job: begun[job].result() if job in begun else work(job, tmp_path_factory.mktemp("job"), [])


@pytest.fixture
def complaints(request):
    """-> complaints(lesson): what is stale on its page, from the process in the background where there is one"""
    begun = begun_jobs(request.config)
    if pages not in begun:
        from minigpt.course.check import check

        return check
    lines = begun[pages].result()[0].splitlines()
    return lambda lesson: [] if f"{lesson.title}: fresh" in lines else [line for line in lines if lesson.folder.name in line] or [*lines, "no page was checked"]
