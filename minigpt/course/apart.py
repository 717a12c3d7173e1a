"""Grading in a process of its own: what a learner wrote may print, never end, or end the program."""
import json
import multiprocessing
import os
import signal
import sys
import time

from minigpt.course.exercises import choose_exercises
from minigpt.course.grade import Grade, grade_each

LIMIT = 60.0  # seconds for one exercise; the solutions of the lessons take a second or two


def grade_apart(folder, answers, seed, number=None, limit=LIMIT):
    """`grade`, but what the answers print goes to stderr, and an exercise that never ends or ends the program earns nothing.

    ValueError where the file of answers as a whole does so when it is loaded.
    """
    exercises, grades = choose_exercises(folder, number), []
    while len(grades) < len(exercises):
        grades += _some(folder, answers, seed, exercises[len(grades) :], limit)
    return grades


def _some(folder, answers, seed, exercises, limit):
    """-> grades from one process: of all the exercises, or up to the first that never ends or ends the program"""
    context, grades = multiprocessing.get_context("spawn"), []
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(folder, answers, seed, exercises, theirs), daemon=True)
    child.start()
    theirs.close()  # so that the end of the child is the end of the pipe
    try:
        message, trouble, _ = _receive(ours, limit)
        if trouble or message:
            raise ValueError(f"{answers} {trouble} while it was loaded; it must run before it is graded" if trouble else message["refused"])
        for exercise in exercises:
            message, trouble, tried = _receive(ours, limit)
            grades.append(Grade(exercise, **message) if message else Grade(exercise, 0, "failed", f"{tried}\n  it {trouble}"))
            if trouble:
                break
    finally:
        child.kill()
        child.join()
        ours.close()
    return grades


def _receive(ours, limit):
    """-> the next message of the child, or None; what went wrong, or ""; the report on what it was trying when that happened"""
    deadline, tried = time.monotonic() + limit, ""
    try:
        while ours.poll(max(0.0, deadline - time.monotonic())):
            message = json.loads(ours.recv_bytes())
            if "trying" not in message:
                return message, "", tried
            tried = message["trying"]
        return None, f"did not end within {limit:g} seconds", tried
    except (EOFError, BrokenPipeError):  # Windows' poll raises the second
        return None, "ended the program", tried


def _work(folder, answers, seed, exercises, theirs):
    """In the child: an empty message when the answers are loaded, then one for each exercise."""
    def send(message):
        theirs.send_bytes(json.dumps(message).encode("utf-8"))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process
    sys.stdout.flush()
    os.dup2(2, 1)  # what is printed, by whatever means, is no part of the points
    try:
        grades = grade_each(folder, answers, seed, exercises, lambda report: send({"trying": report}))
    except ValueError as error:
        send({"refused": str(error)})
        return
    send({})
    for item in grades:
        send({"points": item.points, "status": item.status, "report": item.report})
