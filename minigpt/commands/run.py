"""The main job: raw text to an answered instruction, in one command."""
import dataclasses
import functools
import time
from pathlib import Path

from minigpt.commands import expected
from minigpt.commands.ahead import compile_ahead
from minigpt.commands.folders import spare_tokenizer
from minigpt.commands.stages import DEV, DRAWING, draw_tuning, finish, run_folder, tune_with_evaluation, world_tokenizer
from minigpt.config import ARCHITECTURES, PRESETS, PRETRAIN, SFT, check_least
from minigpt.evaluate import tasks
from minigpt.evaluate.report import ALL, counts, rows_as_text
from minigpt.files import make_folder, read_json, write_json
from minigpt.model import GPT, InstructGPT
from minigpt.nn.threads import cores, peak_memory
from minigpt.show.progress import clock
from minigpt.show.readme import markdown_table, update_section
from minigpt.text.formats import has_tokenizer
from minigpt.text.tokenizer import Tokenizer
from minigpt.train import pretrain
from minigpt.train.trainer import read_log
from minigpt.world import load_world, small_world

REPORT, STAGES = "report.json", ("base", "tuned")
WORLDS = {"small": (small_world, 2048), "full": (lambda world: world, 4096)}  # its part of the tables, its vocabulary
TOKENS = {"full": (3_500_000, 6_500_000)}  # of pretraining and tuning, instead of the settings' own: twice as many in all
SHOWN = 2  # sample answers per kind of task
# how the base is asked: the column's name, the style, the progress line
BASE_STYLES = (("chat", "chat", "chat template"), ("text", "plain", "as plain text"), ("examples", "few-shot", "after examples"),
               ("natural", "natural", "natural text"))


def add_run_arguments(parser):
    """Flags of `run`."""
    parser.add_argument("--preset", choices=PRESETS, default="micro", help="size of the model (default micro, 1 M parameters)")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="default", help="family of the architecture (default: GPT-2's body with rotary positions)")
    parser.add_argument("--out", metavar="FOLDER", default="runs/main", help="where everything goes (default runs/main); an unfinished run there is resumed")
    parser.add_argument("--world", choices=WORLDS, default="small", help="small: ten sentence patterns, three plots, sixty facts, four task families (default); full: everything, with twice the tokens")
    parser.add_argument("--pretrain-tokens", type=int, help=f"tokens of pretraining (default {PRETRAIN.tokens:,}, of the full world {TOKENS['full'][0]:,}; GPT-3: 300 G)")
    parser.add_argument("--sft-tokens", type=int, help=f"tokens of instruction tuning (default {SFT.tokens:,}, of the full world {TOKENS['full'][1]:,})")
    parser.add_argument("-n", type=int, default=500, help="held-out prompts per family in the evaluation (default 500)")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="of the evaluation: test to report (default), dev for whatever is chosen by it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="add this run's losses to data/expected.json, with which later runs compare theirs")
    parser.add_argument("--readme", action="store_true", help="write the table of scores into README.md")


def run_run(arguments):
    """Tokenizer, base model, tuned model, evaluation of both, answers to read. A finished run only prints its report."""
    folder, began = make_folder(arguments.out), time.perf_counter()
    for name, tokens in zip(("pretrain_tokens", "sft_tokens"), TOKENS.get(arguments.world, (PRETRAIN.tokens, SFT.tokens))):
        if getattr(arguments, name) is None:
            setattr(arguments, name, tokens)
    check_least(arguments, pretrain_tokens=1, sft_tokens=1, n=1)
    settings = {name: value for name, value in vars(arguments).items() if name not in ("out", "readme", "record")}
    if arguments.readme and arguments.world != "small":
        raise ValueError(f"--readme writes the table of the small world, --world is {arguments.world}; leave one of them out")
    pretraining = dataclasses.replace(PRETRAIN, tokens=arguments.pretrain_tokens, seed=arguments.seed)
    tuning = dataclasses.replace(SFT, tokens=arguments.sft_tokens, seed=arguments.seed)
    shape = dataclasses.replace(PRESETS[arguments.preset], **ARCHITECTURES[arguments.arch])
    cut, vocab_size = WORLDS[arguments.world]
    world, seconds = cut(load_world()), {}
    recipe = functools.partial(recipe_of, arguments, world, pretraining, tuning)  # not before it is wanted: it draws text
    done = _read_dict(folder / REPORT, "settings") if (folder / REPORT).exists() else {}
    if done.get("settings") == settings:
        if not {"scores", "samples"} <= done.keys() or ALL not in done["scores"].get("tuned", ()):
            raise ValueError(f"{folder / REPORT} is not whole; remove it, and the same command makes it anew")
        print(f"already done ({folder / REPORT}); remove {folder}, or choose another --out, to start anew\n")
        return _finish(done, recipe, arguments)
    make_folder(folder / "tokenizer")  # now, as everything above: what can be refused is refused before the work
    for name in STAGES:
        run_folder(folder / name)
    if arguments.record:
        expected.check(recipe())  # now, not after the work
    bands = {} if arguments.record else expected.load(recipe(), {"dev": DEV * len(world.families)})

    def step(number, name, work):
        print(f"[{number}/4] {name}", flush=True)
        start = time.perf_counter()
        result = work()
        seconds[name] = round(time.perf_counter() - start, 1)
        return result

    compiled = compile_ahead(shape)
    # all text is drawn at once, while the kernels are compiled; each stage takes its own, so that none is kept longer
    tok, rows = step(1, "text", lambda: draw_text(arguments.world, world, folder / "tokenizer", vocab_size, shape.block_size, pretraining, tuning))
    for name in STAGES:
        spare_tokenizer(folder / name, tok)
    base = step(2, "pretraining", lambda: make_base(tok, shape, rows.pop("read"), pretraining, folder / "base", bands.get("pretraining"), compiled))
    tuned = step(3, "instruction tuning", lambda: make_tuned(world, tok, base.copy(), rows.pop("asked"), tuning, folder / "tuned", bands.get("tuning")))
    report = step(4, "evaluation", lambda: evaluate(world, tok, base, tuned, arguments.split, arguments.n))
    write_json(folder / REPORT, {"settings": settings, "seconds": seconds, "cores": cores(), **report})
    _finish(read_json(folder / REPORT), recipe, arguments)
    memory = peak_memory()
    print(f"\n{clock(time.perf_counter() - began)} in all: " + ", ".join(f"{name} {clock(s)}" for name, s in seconds.items())
          + (f"; {memory:.0f} MB of memory at most" if memory else ""))


def recipe_of(arguments, world, pretraining, tuning):
    """All that decides a run's losses but the seed -> dict"""
    configs = {name: {key: value for key, value in dataclasses.asdict(config).items() if key != "seed"}
               for name, config in (("pretraining", pretraining), ("tuning", tuning))}
    return {"world": arguments.world, "text": expected.world_fingerprint(world), "preset": arguments.preset, "arch": arguments.arch, **configs}


def _finish(report, recipe, arguments):
    """Show a report, and record its run's losses if they are wanted. recipe(): what they are of."""
    show(report, arguments)
    if arguments.record:
        logs = {"pretraining": (read_log(Path(arguments.out) / "base"), "validation_loss"), "tuning": (read_log(Path(arguments.out) / "tuned"), "dev")}
        expected.record(recipe(), arguments.seed, logs)


def draw_text(name, world, folder, vocab_size, T, pretraining, tuning):
    """-> Tokenizer, {"read": Rows of pretraining and of validation, "asked": Rows of tuning and those to be replayed}"""
    tok = make_tokenizer(name, world, folder, vocab_size, pretraining.seed)
    return tok, {"read": pretrain.world_rows(world, tok, pretraining.tokens, T, pretraining.seed, DRAWING), "asked": draw_tuning(world, tok, tuning, T)}


def make_tokenizer(name, world, folder, vocab_size, seed):
    """Train the tokenizer, or take the one that an earlier run with the same settings left in the folder."""
    path, made_for = folder / "train.json", {"world": name, "vocab_size": vocab_size, "seed": seed}
    if has_tokenizer(folder):
        found = _read_dict(path) if path.exists() else {}
        if found != made_for:
            raise ValueError(f"the tokenizer in {folder} was made for {_brief(found)}, this run is for {_brief(made_for)}; choose another --out, or remove that folder")
        return Tokenizer.load(folder)
    tok = world_tokenizer(world, vocab_size, seed)
    write_json(path, made_for)
    tok.save(folder)
    for line in ("Mary bought three red apples.", "玛丽买了三个红苹果。"):
        print(f"      {tok.vocab_size} tokens; {line!r} -> {tok.draw(tok.encode_ordinary(' ' + line))}")
    return tok


def _read_dict(path, *keys):
    found = read_json(path)
    if not isinstance(found, dict) or not found.keys() >= {*keys}:
        raise ValueError(f"{path} was not written by a run; remove it, or choose another --out")
    return found


def _brief(settings):
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "an unknown world"


def make_base(tok, shape, rows, config, folder, bands, compiled):
    """Pretrain: text in (two Rows), a model that can continue text. bands: see train.trainer.Run; compiled() waits for the kernels."""
    model = GPT(dataclasses.replace(shape, vocab_size=tok.vocab_size), config.seed)
    print(f"      {model.num_parameters():,} parameters, {config.tokens:,} tokens of the world's text")
    compiled()
    finish(model, tok, pretrain.pretrain(model, *rows, config, folder, bands), config, folder)
    return model


def make_tuned(world, tok, model, rows, config, folder, bands):
    """Tune: instructions and answers in (two Rows), a model that answers."""
    finish(model, tok, tune_with_evaluation(model, tok, world, config, folder, *rows, DEV, bands), config, folder)
    return model


def evaluate(world, tok, base, tuned, split, n):
    """Both models on the same held-out prompts -> counts per row of the report and some answers.

    The base is asked four times: through the chat template, which it has never seen, as Question / Answer text, which it has,
    as such text after solved examples, and by the beginning of a text like those that it has read.
    """
    questions, shots, base = tasks.evaluation_examples(world, split, n), tasks.few_shots(world), InstructGPT(base, tok)
    answers = {f"base, {name}": tasks.answer_all(base, questions, style, f"      base, {label}", shots) for name, style, label in BASE_STYLES}
    answers["tuned"] = tasks.answer_all(InstructGPT(tuned, tok), questions, label="      tuned")
    columns = {name: counts(questions, tasks.score(questions, texts)) for name, texts in answers.items()}
    samples, shown = [], {}
    for question, base_answer, answer in zip(questions, answers["base, chat"], answers["tuned"]):
        kind = question.family, question.kind
        if shown.setdefault(kind, 0) < SHOWN:
            shown[kind] += 1
            samples.append({"messages": list(question.messages), "base": base_answer, "tuned": answer, "reference": question.answer})
    return {"scores": columns, "samples": samples}


def show(report, arguments):
    """Print a report: sample answers, then the table, with what is asked of the default run."""
    default = ("small", "micro", "default", PRETRAIN.tokens, SFT.tokens)
    wanted = "make" if (arguments.world, arguments.preset, arguments.arch, arguments.pretrain_tokens, arguments.sft_tokens) == default else None
    for sample in report["samples"]:
        print()
        for message in sample["messages"]:
            print(f"  {message['role']}: {message['content']}".replace("\n", "\n   "))
        print(f"    base:  {' '.join(sample['base'].split())[:100]}\n    tuned: {sample['tuned']}")
    print("\nright answers to held-out prompts, in percent\n")
    print(rows_as_text(report["scores"], wanted))
    base, tuned = Path(arguments.out) / "base", Path(arguments.out) / "tuned"
    print(f"\nmodels: {base}, {tuned}; ask: python -m minigpt answer --model {tuned} 'What is the capital of Japan?'")
    if arguments.readme:
        update_section("make", rows_as_text(report["scores"], wanted, markdown_table))
