"""python -m minigpt bench: which measurements, beside whom, and how they are shown."""
import functools
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from minigpt.bench import child, measure, operations, recipe, steps, tokenizers
from minigpt.config import check_least
from minigpt.files import write_json
from minigpt.nn.gpt import transformer_specs
from minigpt.show.progress import Progress, table
from minigpt.show.readme import markdown_table, read_section, update_section

ORACLE = Path(__file__).parents[2] / "tests" / "oracle"  # the only code that imports PyTorch and others
RIVAL = {"tokenizer": ORACLE / "rival_tokenizers.py", "step": ORACLE / "rival.py", "decode": ORACLE / "rival.py", "text": ORACLE / "rival.py"}
SECTIONS = ("ops", "matmul", "attention", "steps", "products", "decode", "tokenizer")
IN_README = ("steps", "products", "decode", "tokenizer")
ROUNDS = 3  # of the settings that "products" compares with each other


def add_bench_arguments(parser):
    """Flags of `bench`."""
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="which measurements (default: all)")
    parser.add_argument("--shapes", default="abcde", help="which of the shapes a to e the steps are measured at (default all; d is GPT-2 with 124 M parameters)")
    parser.add_argument("--against", choices=("torch",), help="also measure PyTorch, in alternating processes, for decoding transformers, for the tokenizer tiktoken and tokenizers; what is measured must be installed")
    parser.add_argument("--python", default=sys.executable, help="with --against: the Python that has PyTorch (default: this one)")
    parser.add_argument("--pairs", type=int, default=7, help="with --against: how many alternating pairs (default 7)")
    parser.add_argument("--text", metavar="FILE", help="instead: train a letter model on FILE by nanoGPT's laptop recipe, with time and loss; with --against also by a recipe of our own in PyTorch's time")
    parser.add_argument("--json", metavar="FILE", help="also write everything as JSON")
    parser.add_argument("--readme", nargs="?", const="", metavar="PROCESSOR", help="write the tables of steps, products, decoding and the tokenizer into README.md, those of another processor into places marked with its name")


def run_bench(arguments):
    """Measure and print."""
    check_least(arguments, pairs=1)
    if unknown := set(arguments.shapes) - set(steps.SHAPES):
        raise ValueError(f"--shapes holds {sorted(unknown)[0]!r}; choose from {''.join(steps.SHAPES)}")
    if not arguments.shapes:
        raise ValueError(f"--shapes is empty; choose from {''.join(steps.SHAPES)}")
    if arguments.text and arguments.json and os.path.exists(arguments.json) and os.path.samefile(arguments.text, arguments.json):
        raise ValueError(f"--json is {arguments.json}, the text itself, which would be overwritten; choose another file")
    if arguments.text and (arguments.readme is not None or arguments.only != SECTIONS):
        raise ValueError("--text is a measurement of its own; leave --readme and --only out")
    if arguments.readme is not None and not set(IN_README) & set(arguments.only):
        raise ValueError(f"README has tables of {', '.join(IN_README)}; --only names none of them: add one, or leave --readme out")
    found = {"machine": measure.machine()}
    marks = {} if arguments.readme is None else {name: f"bench {name} {arguments.readme}".strip() for name in arguments.only if name in IN_README}
    for mark in marks.values():
        read_section(mark)  # refused now, not after minutes of measuring
    _keep(found, arguments)
    print("\n".join(f"{name}: {value}" for name, value in found["machine"].items()), flush=True)
    if arguments.text:
        found["text"] = _text(arguments)
        _keep(found, arguments)
    else:
        sections = {"ops": _operations, "matmul": _matmul, "attention": _attention, "steps": _steps, "products": _products, "decode": _decode, "tokenizer": _tokenizer}
        for name in arguments.only:
            title, header, rows = sections[name](arguments)
            print(f"\n{title}\n\n{table(rows, header, right=range(1, len(header)))}", flush=True)
            found[name] = {"title": title, "header": header, "rows": rows}
            _keep(found, arguments)
            if name in marks:
                machine = "Measured on: " + "; ".join(f"{k} {v}" for k, v in found["machine"].items()) + "."
                update_section(marks[name], markdown_table(rows, header, right=range(1, len(header))) + f"\n\n{machine}")


def _keep(found, arguments):
    """What was found so far, as JSON where it was asked for: the first time before anything is measured."""
    if arguments.json:
        write_json(arguments.json, found)


def _operations(arguments):
    return "operations at one shard of our default model, microseconds, BLAS on one thread", ["operation", "shape", "numpy", "fast", "ratio"], operations.operations()


def _matmul(arguments):
    return "matrix products, GFLOP/s on one thread", ["M x K x N", *(" x ".join(map(str, size)) for size in operations.LADDER)], operations.ladder()


def _attention(arguments):
    return "causal attention, GFLOP/s on one thread", ["", "forward", "backward", "numpy forward", "numpy backward"], operations.attention()


def _steps(arguments):
    header = ["shape", "parameters", "tokens/s", "ms per step", "NumPy's products alone", *(["PyTorch", "ratio"] if arguments.against else [])]
    rows = []
    for shape in arguments.shapes:
        L, H, C, V, T, B = steps.SHAPES[shape]
        ours, theirs = _in_turn(arguments, "step", shape, ["step"])
        floor = statistics.median(steps.matmul_floor(shape, 3))
        cells = [f"{shape}: {L} layers, {H} heads, {C} wide, vocabulary {V}, {B} x {T} tokens", f"{sum(math.prod(spec.shape) for spec in transformer_specs(steps.config_of(shape))) / 1e6:.1f} M",
                 f"{B * T / statistics.median(ours):,.0f}", steps.milliseconds(ours), f"{1000 * floor:.4g}"]
        rows.append(cells + ([steps.milliseconds(theirs), f"{_ratio(theirs, ours):.2f}"] if theirs else []))
    return "training steps: forward, backward, clip, AdamW, all cores; milliseconds, median (quartiles)", header, rows


def _products(arguments):
    """In turn, each in a process of its own: what ran before leaves its memory and its threads behind."""
    rows = []
    for shape in arguments.shapes:
        settings = ({"matmul": "numba"}, {"matmul": "blas"}, {"workers": 1}, {})
        found = _alternating(f"products {shape}", [functools.partial(_ours, "step", shape, json.dumps(options)) for options in settings], ROUNDS)
        _, _, alone, together = found
        rows.append([shape, *(f"{1000 * statistics.median(samples):.4g}" for samples in found), f"{_ratio(alone, together):.2f}"])
    header = ["shape", 'matmul="numba"', 'matmul="blas"', "default, one worker", "default, all", "one / all"]
    return "training steps by whose matrix products and how many workers, milliseconds", header, rows


def _decode(arguments):
    header, rows = ["decoding, one sequence, greedy", "tokens/s", *(["PyTorch, tokens/s", "ratio", "transformers, tokens/s", "ratio"] if arguments.against else [])], []
    for kind, (_, prompt, new) in steps.DECODE.items():
        whole, half, theirs, library = _in_turn(arguments, "decode", kind, ["decode", "transformers"], ({}, {"half": True}))
        for label, ours in ((f"{kind}: {prompt} tokens of prompt, {new} new", whole), ("the same, with weights as a float16 file holds them", half)):
            cells = [label, f"{statistics.median(ours):,.0f}"]
            rows.append(cells + ([f"{statistics.median(theirs):,.0f}", f"{_ratio(ours, theirs):.2f}", f"{statistics.median(library):,.0f}", f"{_ratio(ours, library):.2f}"] if theirs else []))
    return "decoding, tokens per second", header, rows


def _tokenizer(arguments):
    rows = []
    for job, title, rivals in (("train", "training, s", ["tokenizers"]), ("encode", "encoding, MB/s", ["tiktoken", "tokenizers"])):
        ours, plain, *others = _in_turn(arguments, "tokenizer", job, rivals, ({}, {"backend": "numpy"}))
        cells = [title, *(f"{statistics.median(samples):.3g}" for samples in (ours, plain))]
        if arguments.against:
            cells += ["", ""] if job == "train" else []  # tiktoken trains for teaching only
            for theirs in others:
                ratio = _ratio(theirs, ours) if job == "train" else _ratio(ours, theirs)  # seconds, or MB per second
                cells += [f"{statistics.median(theirs):.3g}", f"{ratio:.2f}"]
        rows.append(cells)
    header = ["", "ours", "ours, plain Python", *(["tiktoken", "ratio", "tokenizers", "ratio"] if arguments.against else [])]
    return f"tokenizer of {tokenizers.VOCABULARY} tokens on {tokenizers.size():.1f} MB of the world's text; ours on one thread, compiling not counted", header, rows


def _text(arguments):
    """nanoGPT's recipe, ours and PyTorch's in turn."""
    ours, theirs = [], []
    for _ in range(arguments.pairs if arguments.against else 1):
        ours.append(_ours("text", arguments.text))
        print("ours:    {seconds:.1f} s, validation loss {loss:.4f} nats per character".format(**ours[-1]), flush=True)
        if arguments.against:
            theirs.append(_child(arguments.python, [str(RIVAL["text"]), "text", arguments.text]))
            print("PyTorch: {seconds:.1f} s, validation loss {loss:.4f}".format(**theirs[-1]), flush=True)
    found = {"ours": ours, "torch": theirs}
    if theirs:
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(ours, theirs))
        print(f"wall time, ours / PyTorch: {ratio:.2f}", flush=True)
        found["own"] = _own_recipe(arguments.text, statistics.median(b["seconds"] for b in theirs))
        print("our own recipe in PyTorch's time: {seconds:.1f} s, validation loss {loss:.4f}".format(**found["own"]))
    return found


def _own_recipe(path, seconds):
    """Our own recipe with as many steps as fit into `seconds`, by the pace of a tenth of them."""
    def trained(tokens):
        return _ours("text", path, json.dumps({**recipe.OWN, "tokens": tokens}))

    few = recipe.CONFIG.tokens // 10
    return trained(int(0.97 * seconds / trained(few)["seconds"] * few))


def _in_turn(arguments, what, name, rivals, settings=({},)):
    """Samples of ours with each of these settings and of the rivals, from alternating processes, one median per process; without
    --against ours alone, from this process. -> a list for each"""
    if not arguments.against:
        return [*(child.MEASUREMENTS[what](name, **options) for options in settings), *([] for _ in rivals)]
    turns = [*(functools.partial(_ours, what, name, json.dumps(options)) for options in settings),
             *(functools.partial(_child, arguments.python, [str(RIVAL[what]), rival, name]) for rival in rivals)]
    return _alternating(f"{what} {name}", turns, arguments.pairs)


def _alternating(label, turns, rounds):
    """Call each of the turns in every round -> for each its medians, one per round"""
    found, progress = [[] for _ in turns], Progress(label, rounds * len(turns), unit="measurements")
    for _ in range(rounds):
        for samples, measured in zip(found, turns):
            samples.append(statistics.median(measured()["samples"]))
            progress.update(sum(map(len, found)))
    return found


def _ratio(first, second):
    """Median of the ratios pair by pair: it holds when the machine's speed drifts."""
    return statistics.median(a / b for a, b in zip(first, second))


def _ours(*argv):
    """A measurement of bench.child, in a process of its own -> its JSON"""
    return _child(sys.executable, ["-m", "minigpt.bench.child", *argv])


def _child(python, argv):
    """Run a measurement in a process of its own -> its JSON. ValueError with its last line when it fails."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    done = subprocess.run([python, *argv], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ValueError(f"{' '.join(argv)} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
