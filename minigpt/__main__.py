"""python -m minigpt COMMAND: the table of commands. Their bodies live in the rooms they belong to."""
import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

from minigpt import __version__

# name: (module with add_NAME_arguments(parser) and run_NAME(arguments), what it does)
COMMANDS = {
    "run": ("minigpt.commands.run", "everything: tokenizer, pretraining, instruction tuning, evaluation, sample answers"),
    "world": ("minigpt.world.cli", "look at the synthetic world: documents, task families, statistics"),
    "tokenizer": ("minigpt.commands.stages", "train a tokenizer, or show how one cuts a text"),
    "pretrain": ("minigpt.commands.stages", "train a base model on the world or on a text file"),
    "sft": ("minigpt.commands.stages", "tune a base model on instructions, the world's or a JSONL file"),
    "eval": ("minigpt.commands.use", "score a model on held-out instructions, alone or against another"),
    "answer": ("minigpt.commands.use", "carry out one instruction"),
    "chat": ("minigpt.commands.use", "talk with a model"),
    "sample": ("minigpt.commands.use", "let a model continue a text"),
    "bench": ("minigpt.bench.cli", "measure operations, training steps, decoding and the tokenizer"),
    "gradcheck": ("minigpt.commands.stages", "compare every hand-written gradient with finite differences"),
    "lesson": ("minigpt.course.cli", "read, walk, check or convert the lessons"),
    "grade": ("minigpt.course.cli", "grade the exercises of a lesson"),
    "import": ("minigpt.commands.folders", "read a model folder of another library into ours"),
    "export": ("minigpt.commands.folders", "write a model for transformers"),
}


def main(argv=None):
    """Run one command -> exit status: 0 done, 1 refused with one line, 2 usage, 128 + n stopped by signal n."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and (stream.encoding, stream.errors) != ("utf-8", "replace"):
            stream.reconfigure(encoding="utf-8", errors="replace")  # whatever the terminal's locale is
    parser = argparse.ArgumentParser(prog="python -m minigpt", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="minigpt: InstructGPT from scratch, on a laptop processor.",
                                     epilog="commands:\n" + "\n".join(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items())
                                     + "\n\n`python -m minigpt COMMAND --help` explains a command's settings.")
    parser.add_argument("--version", action="version", version=f"minigpt {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="one of the commands below")
    name = parser.parse_args(argv[:1]).command
    before, arguments = signal.signal(signal.SIGTERM, _like_ctrl_c), None
    try:
        module = importlib.import_module(COMMANDS[name][0])  # only now, so that help does not wait for Numba
        what = COMMANDS[name][1]
        command = argparse.ArgumentParser(prog=f"python -m minigpt {name}", description=what[0].upper() + what[1:] + ".")
        getattr(module, f"add_{name}_arguments")(command)
        arguments = command.parse_args(argv[1:])
        _check_paths(command, arguments)
        status = getattr(module, f"run_{name}")(arguments) or 0
        if sys.stdout:  # None when it was closed
            sys.stdout.flush()
        return status
    except ModuleNotFoundError as error:
        print(f"minigpt {name}: {error}; use the environment that `make` set up (source .venv/bin/activate), or pip install -e .", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who read our output has gone, as `head` does; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except (ValueError, OSError, FloatingPointError, MemoryError, OverflowError) as error:
        notes = [str(error) or "not enough memory", *getattr(error, "__notes__", ())]  # a note says in which cell of a lesson
        cure = "; choose smaller sizes" if isinstance(error, (MemoryError, OverflowError)) else ""
        print(f"minigpt {name}: {', '.join(notes)}{cure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"\nminigpt {name}: stopped{_what_is_left(name, arguments)}", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)


def _what_is_left(name, arguments):
    """How a training command that was stopped goes on; nothing for the others."""
    if arguments is None or name not in ("run", "pretrain", "sft"):
        return ""
    saved = next(Path(arguments.out).rglob("*.safetensors"), None)
    return "; the same command goes on from what it saved" if saved else "; no weights were saved yet, the same command begins anew"


def _check_paths(command, arguments):
    """ValueError for a path that is empty, as an unset variable of the shell leaves it; ~ is the home folder in --out=~/x too."""
    paths = {action.dest: action for action in _actions(command) if action.metavar in ("FILE", "FOLDER", "NAME")}
    for name, value in vars(arguments).items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in values) or name not in paths and name not in ("model", "folder"):
            continue
        if "" in values:
            flag = paths[name].option_strings if name in paths else ()
            raise ValueError(f"{flag[0] if flag else name.upper()} is empty; give a path, or leave it out")
        values = [os.path.expanduser(one) for one in values]
        setattr(arguments, name, values if isinstance(value, list) else values[0])


def _actions(parser):
    """The flags of a command, and those of its own commands."""
    for action in parser._actions:
        yield action
        for below in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            yield from _actions(below)


def _like_ctrl_c(number, frame):
    """SIGTERM unwinds the program, so that a half-written file is removed."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    sys.exit(main())
