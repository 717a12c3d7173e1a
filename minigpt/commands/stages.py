"""Commands that make something: a tokenizer, a base model, a tuned model; and the one that proves the gradients."""
import dataclasses
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np

from minigpt.commands.ahead import compile_ahead
from minigpt.commands.folders import spare, spare_tokenizer
from minigpt.config import ARCHITECTURES, PRESETS, PRETRAIN, SFT, GPTConfig, add_flags, check_least, from_flags
from minigpt.evaluate import tasks
from minigpt.files import find_folder, make_folder, parse_json, read_bytes, read_json, write_json
from minigpt.interop import safetensors
from minigpt.interop.huggingface import MODEL_FILES, check_pair
from minigpt.model import GPT, InstructGPT
from minigpt.nn import gradcheck, losses
from minigpt.nn.layers import MLPS, NORMS, POSITIONS
from minigpt.show.progress import Progress, table, wants_colour
from minigpt.text.formats import FILES as TOKENIZER_FILES
from minigpt.text.splitting import HAN, character_classes
from minigpt.text.template import SPECIAL_TOKENS, chat_template, render, show_mask
from minigpt.text.tokenizer import Tokenizer
from minigpt.train import checkpoint, pretrain, sft
from minigpt.train.batches import whole_rows
from minigpt.train.trainer import LOG, evaluate_loss
from minigpt.world import FAMILIES, load_world, pretraining_documents

VOCAB_SIZE = 2048
DEV = 20  # prompts per family that choose the best model while tuning
BEST = "best.safetensors"  # in the folder of a tuning run: the weights that did best on dev or on held-out conversations
SETTINGS = "train.json"  # of a finished run
RUN_FILES = {LOG: {"step"}, SETTINGS: {"model", "train"}, BEST: {"step", "asked"}}  # and keys by which they are known
WRITTEN = (*RUN_FILES, "curves.png", *MODEL_FILES, "generation_config.json", *TOKENIZER_FILES)
TOKENIZER_DOCUMENTS = 4000  # of the world, with as many conversations: every word and character of it occurs
SAMPLED = 500  # conversations by whose length the number of those to draw is estimated
CHARACTER_COUNT = 60  # how often every Chinese character is shown besides: often enough to become a token, if there is room
DRAWING = "drawing text"  # a label of progress
SHAPE = ("vocab_size",)  # decided by the tokenizer, not by a flag


# Tokenizer


def world_tokenizer(world, vocab_size=VOCAB_SIZE, seed=0):
    """A tokenizer trained on documents and instructions of the world -> Tokenizer

    Names in this text are listed ones: pieces of invented names would fill the vocabulary with tokens too rare to be learned.
    """
    world = dataclasses.replace(world, invented=0.0, cache={})  # what is counted in it is not true of the other
    documents = list(itertools.islice(pretraining_documents(world, seed), TOKENIZER_DOCUMENTS))
    messages = [" " + m["content"] for c in sft.world_conversations(world, TOKENIZER_DOCUMENTS, seed) for m in c]
    classes = character_classes("han")
    characters = "".join(sorted(c for c in set().union(*documents) if classes[ord(c)] == HAN))
    return Tokenizer.train([*documents, *messages, characters * CHARACTER_COUNT], vocab_size, SPECIAL_TOKENS, split="han")


def add_tokenizer_arguments(parser):
    """Flags of `tokenizer`."""
    parser.add_argument("--text", metavar="FILE", help="train on this UTF-8 text instead of the world")
    parser.add_argument("--vocab-size", type=int, help=f"number of tokens, specials included (default {VOCAB_SIZE}; GPT-3: 50257)")
    parser.add_argument("--split", choices=("gpt2", "han"), help="han: every Chinese character apart, then GPT-2's rule (default)")
    parser.add_argument("--out", metavar="FOLDER", help="where to save it")
    parser.add_argument("--model", metavar="FOLDER", help="use this folder's tokenizer instead of training one")
    parser.add_argument("--show", metavar="TEXT", help="show how the tokenizer cuts TEXT, merge by merge")


def run_tokenizer(arguments):
    """Train or load a tokenizer, save it, show its work."""
    if not arguments.out and arguments.show is None:
        raise ValueError("nothing to do: give --out FOLDER to save the tokenizer, --show TEXT to see its work, or both")
    if arguments.out:
        folder = make_folder(arguments.out)  # refused now if it cannot be written
        _spare(folder, arguments.text)
        if (folder / "config.json").exists():
            raise ValueError(f"--out is {arguments.out}, which holds a model whose tokenizer would be replaced; choose another")
        if (folder / SETTINGS).exists():
            raise ValueError(f"--out is {arguments.out}, which belongs to a run whose tokenizer would be replaced; choose another")
    if arguments.model and (arguments.text, arguments.vocab_size, arguments.split) != (None, None, None):
        raise ValueError("--model takes a tokenizer as it is; leave --text, --vocab-size and --split out")
    vocab_size, split = VOCAB_SIZE if arguments.vocab_size is None else arguments.vocab_size, arguments.split or "han"
    if arguments.model:
        tok = Tokenizer.from_pretrained(arguments.model)
    elif arguments.text:
        tok = Tokenizer.train(pretrain.read_text(arguments.text), vocab_size, SPECIAL_TOKENS, split=split)
    elif split != "han":
        raise ValueError(f"--split is {split}; the world's Chinese needs han: leave it out, or give --text")
    else:
        tok = world_tokenizer(load_world(), vocab_size)
    if arguments.out:
        spare_tokenizer(folder, tok)
        tok.save(arguments.out, chat_template=chat_template(tok))
        print(f"{tok.vocab_size} tokens saved in {arguments.out}")
    if arguments.show is not None:
        print(tok.show_work(arguments.show))


# Training


def add_pretrain_arguments(parser):
    """Flags of `pretrain`: where, on what, the shape, the training settings."""
    parser.add_argument("--out", metavar="FOLDER", default="runs/pretrain", help="folder of the run (default runs/pretrain); an unfinished run there is resumed")
    parser.add_argument("--text", metavar="FILE", help="train on this UTF-8 text instead of the world")
    parser.add_argument("--model", metavar="FOLDER", help="go on from this model, with its shape and its tokenizer, instead of from random weights")
    parser.add_argument("--tokenizer", metavar="FOLDER", help="use this tokenizer instead of training one on the same text")
    parser.add_argument("--preset", choices=PRESETS, help="size of the model (default micro)")
    parser.add_argument("--arch", choices=ARCHITECTURES, help="family of the architecture (default: GPT-2's body with rotary positions)")
    _add_backend(parser)
    add_flags(parser.add_argument_group("shape (instead of the preset's; shown: micro's)"), PRESETS["micro"], skip=SHAPE)
    parser.add_argument("--vocab-size", type=int, help=f"tokens of a tokenizer trained here (default {VOCAB_SIZE}; GPT-3: 50257)")
    add_flags(parser.add_argument_group("training"), PRETRAIN, skip=("replay",))


def run_pretrain(arguments):
    """Train a base model and save it with its tokenizer."""
    base, config = arguments.model and find_folder(arguments.model), from_flags(PRETRAIN, arguments)
    shape = _shape(arguments, base)
    folder = run_folder(arguments.out, arguments.text)
    world = None if arguments.text else load_world()
    compiled = compile_ahead(shape) if world and arguments.backend == "fast" else lambda: None
    if base or arguments.tokenizer:
        tok = Tokenizer.from_pretrained(base or arguments.tokenizer)
    elif arguments.text:
        tok = Tokenizer.train(pretrain.read_text(arguments.text), shape.vocab_size, SPECIAL_TOKENS, split="han")
    else:
        tok = world_tokenizer(world, shape.vocab_size, config.seed)
    spare_tokenizer(folder, tok)
    shape = check_pair(shape, tok) if base else dataclasses.replace(shape, vocab_size=tok.vocab_size)
    rows, validation = (pretrain.text_rows(arguments.text, tok, shape.block_size) if arguments.text
                        else pretrain.world_rows(world, tok, config.tokens, shape.block_size, config.seed, DRAWING))
    model = _base_model(base, arguments) if base else GPT(shape, config.seed, backend=arguments.backend)
    config = whole_rows(config, shape.block_size)
    print(f"{model.num_parameters():,} parameters, a vocabulary of {tok.vocab_size:,} tokens, {config.steps} steps of {config.batch_tokens} tokens")
    compiled()
    finish(model, tok, pretrain.pretrain(model, rows, validation, config, folder, goes_on=bool(base)), config, folder)


def _base_model(folder, arguments):
    """The model to go on from, with the dropout that is asked for -> GPT"""
    model = GPT.from_pretrained(folder, backend=arguments.backend)
    if arguments.dropout is None:
        return model
    other = GPT(dataclasses.replace(model.config, dropout=arguments.dropout), backend=arguments.backend)
    other.params.flat[:], other.stop = model.params.flat, model.stop
    return other


def _shape(arguments, base):
    """The shape of the model to train: that of the base, or what preset, family and flags say; then the tokenizer decides vocab_size."""
    if base:
        shape = GPTConfig.from_pretrained(base)
        shape = shape if arguments.dropout is None else dataclasses.replace(shape, dropout=arguments.dropout)
        if arguments.tokenizer or arguments.preset or arguments.arch or from_flags(shape, arguments) != shape:
            raise ValueError("--model has its own shape and tokenizer; leave --tokenizer, --preset, --arch and the flags of the shape out")
        return shape
    if arguments.tokenizer and arguments.vocab_size is not None:
        raise ValueError("--tokenizer has its own number of tokens; leave --vocab-size out")
    shape = dataclasses.replace(PRESETS[arguments.preset or "micro"], **ARCHITECTURES[arguments.arch or "default"], vocab_size=VOCAB_SIZE)
    return from_flags(shape, arguments)


def add_sft_arguments(parser):
    """Flags of `sft`."""
    parser.add_argument("--model", metavar="FOLDER", default="runs/pretrain", help="the base model (default runs/pretrain)")
    parser.add_argument("--out", metavar="FOLDER", default="runs/sft", help="folder of the run (default runs/sft); an unfinished run there is resumed")
    parser.add_argument("--instructions", metavar="FILE", help='JSONL, one {"messages": [...]} per line, instead of the world\'s instructions')
    parser.add_argument("--held-out", metavar="FILE", help="JSONL that is not learned: its loss is measured every --eval-every steps, and the model that does best is kept (default: the last); only with --instructions")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, metavar="NAME", help=f"only these task families of the world: {', '.join(FAMILIES)} (default all)")
    parser.add_argument("--text", metavar="FILE", help="replay this UTF-8 text, which the base model has read, instead of the world's documents")
    parser.add_argument("--dev", type=int, metavar="N", help=f"ask N dev prompts per family every --eval-every steps and keep the model that does best (default {DEV}; 0: keep the last); only for the world's instructions")
    parser.add_argument("--show", type=int, metavar="N", help="instead: print N conversations token by token, in colour what the model learns to write")
    _add_backend(parser)
    training = parser.add_argument_group("training")
    training.add_argument("--dropout", type=float, metavar="FLOAT", help="probability of dropping a channel on the residual path (default: the base's)")
    add_flags(training, SFT)


def run_sft(arguments):
    """Tune a model on instructions and save it."""
    base, config = find_folder(arguments.model), from_flags(SFT, arguments)
    check_least(arguments, dev=0, show=1)
    if arguments.instructions and arguments.families:
        raise ValueError("--families chooses among the world's instructions; leave it out, or --instructions")
    if arguments.instructions and arguments.dev is not None:
        raise ValueError("--dev asks questions of the world; leave it out, or --instructions: for these there is --held-out")
    if arguments.held_out and not arguments.instructions:
        raise ValueError("--held-out goes with --instructions; of the world's, --dev asks questions that are not learned")
    shape, tok = GPTConfig.from_pretrained(base), Tokenizer.load(base)
    T = check_pair(shape, tok).block_size
    render([], tok)  # refused now if it lacks the template's tokens, not as an error of the file
    conversations, held_out = (path and sft.read_conversations(path, lambda messages: sft.check_length(messages, tok, T))
                               for path in (arguments.instructions, arguments.held_out))
    learned, kept = (Counter(map(json.dumps, found or ())) for found in (conversations, held_out))
    if both := sum(count for messages, count in kept.items() if messages in learned):
        raise ValueError(f"{both} of the {len(held_out)} conversations of {arguments.held_out} are learned too; leave them out of one of the two files")
    if arguments.show is not None:
        for messages in (conversations or sft.world_conversations(_world(arguments), 10 * arguments.show, config.seed))[: arguments.show]:
            print(show_mask(*render(messages, tok), tok, colour=wants_colour()) + "\n")
        return
    folder = run_folder(arguments.out, arguments.instructions, arguments.held_out, arguments.text)
    spare_tokenizer(folder, tok)
    model = _base_model(base, arguments)
    config = whole_rows(config, T)
    world = _world(arguments) if conversations is None or config.replay and not arguments.text else None
    dev = 0 if conversations is not None else DEV if arguments.dev is None else arguments.dev
    rows, replay = draw_tuning(world, tok, config, T, conversations, arguments.text)
    finish(model, tok, tune_with_evaluation(model, tok, world, config, folder, rows, replay, dev, held_out=held_out), config, folder)


def run_folder(path, *sources):
    """The folder of a run, made or found; refused where the run would overwrite what no run has written.

    sources: files that the run reads, or None.
    """
    folder = make_folder(path)
    _spare(folder, *sources)
    if checkpoint.exists(folder):
        return folder
    for name in RUN_FILES:
        if (folder / name).exists() and not _of_a_run(folder / name):
            raise ValueError(f"{folder / name} is no file of a run and would be overwritten; choose another --out")
    if any((folder / name).exists() for name in MODEL_FILES):
        raise ValueError(f"--out is {path}, which holds a model that was not trained there and would be overwritten; choose another")
    if not any((folder / name).exists() for name in RUN_FILES):  # which of a run, as seen above, are left without weights
        spare(folder, ["curves.png", "generation_config.json"])
    return folder


def _spare(folder, *sources):
    """ValueError where one of the files that are read lies in the folder, by a name that will be written there."""
    for source in filter(None, sources):
        if Path(source).name in WRITTEN and Path(source).resolve().parent == folder.resolve():
            raise ValueError(f"{source} would be overwritten, for a file of that name is written to {folder}; choose another --out, or rename it")


def _of_a_run(path):
    """Whether a file is what a run writes by this name."""
    try:
        if path.name == BEST:
            found = safetensors.read_metadata(path)
        elif path.name == LOG:
            found = parse_json(read_bytes(path).partition(b"\n")[0] or b'{"step": 0}')  # a run that ended at once leaves an empty log
        else:
            found = read_json(path)
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() >= RUN_FILES[path.name]


def _world(arguments):
    """The world, with the task families that were asked for."""
    world = load_world()
    return dataclasses.replace(world, families=tuple(name for name in world.families if name in (arguments.families or world.families)))


def draw_tuning(world, tok, config, T, conversations=None, text=None):
    """What is tuned on: conversations (None: the world's), and the text in a file (None: the world's documents) to be replayed

    -> Rows, and Rows or None where config replays nothing
    """
    replayed, replay = config.tokens * config.replay, None
    if replayed >= T:
        sft.replay_rows(config, T)  # refused before anything is drawn
        replay, _ = pretrain.text_rows(text, tok, T) if text else pretrain.world_rows(world, tok, replayed, T, config.seed + 1, f"{DRAWING} to replay")
    if conversations is not None:
        return sft.tuning_rows(conversations, tok, T), replay
    sample = sft.world_rows(dataclasses.replace(world, choice=1), SAMPLED, config.seed, tok, T)
    length = sample.tokens.size / SAMPLED  # tokens per conversation, padding included
    wanted = int(config.tokens * (1.0 - config.replay) / length) + 1
    label = "drawing conversations" + (f", 1 of {world.choice}" if world.choice > 1 else "")
    return sft.world_rows(world, wanted, config.seed, tok, T, label), replay  # a million take minutes


def tune_with_evaluation(model, tok, world, config, folder, rows, replay, dev=0, expected=None, held_out=None):
    """Tune model on rows, with replay, both from `draw_tuning` -> log

    dev: how many dev prompts of each family are asked every config.eval_every steps; held_out: conversations whose loss is measured as
    often, instead. The model that did best is the result. expected: see train.trainer.Run.
    """
    name = None
    if dev:
        name, asked, measure = "dev", f"{dev} of {' '.join(world.families)}", tasks.dev_scores(InstructGPT(model, tok), world, dev)
    elif held_out:
        kept = sft.tuning_rows(held_out, tok, model.config.block_size)
        name, asked = "validation_loss", checkpoint.fingerprint(kept.tokens, kept.mask)

        def measure(step, model):
            return {name: evaluate_loss(model, kept, len(kept))}

    on_eval = _keep_best(measure, Path(folder), name, asked) if name else None
    log = sft.tune(model, rows, replay, config, folder, on_eval, expected)
    if name and (path := Path(folder) / BEST).exists():  # a finished run that was not asked then has none
        best, weights = safetensors.read_metadata(path), safetensors.load_file(path).get("weights")
        if weights is None or weights.shape != model.params.flat.shape or not {"step", name} <= best.keys():
            raise ValueError(f"{path} is not of this run; remove it, and the same command keeps the last weights")
        model.params.flat[:] = weights
        print(f"best on dev: step {best['step']} of {config.steps}, {100 * float(best['dev']):.1f} % right" if dev else
              f"best on the held-out conversations: step {best['step']} of {config.steps}, {float(best[name]):.3f} nats per token")
    return log


def _keep_best(measure, folder, name, asked):
    """-> on_eval(step, model) that also keeps the weights with the best of a number in folder/BEST: "dev" (highest) or a loss (lowest)

    measure(step, model) -> dict with the number. asked: what it is of; that of other questions is not compared with it.
    """
    if checkpoint.saved_step(folder) == 0:
        (folder / BEST).unlink(missing_ok=True)  # of a run that somebody began anew

    def on_eval(step, model):
        entry = measure(step, model)
        best = safetensors.read_metadata(folder / BEST) if (folder / BEST).exists() else {}
        gain = entry[name] - float(best[name]) if best.get("asked") == asked else 0.0
        if (gain if name == "dev" else -gain) >= 0.0:
            safetensors.save_file({"weights": model.params.flat}, folder / BEST, {"step": str(step), name: repr(entry[name]), "asked": asked})
        return entry

    return on_eval


def finish(model, tok, log, config, folder):
    """Save the trained model with its tokenizer, its settings and its learning curve."""
    from minigpt.show.plot import training_curves  # matplotlib takes half a second

    model.save_pretrained(folder, tok)
    config = dataclasses.replace(config, shards=checkpoint.saved_shards(Path(folder)) or config.shards)  # with others the sums would round differently
    write_json(Path(folder) / SETTINGS, {"model": dataclasses.asdict(model.config), "train": dataclasses.asdict(config)})
    training_curves(log, Path(folder) / "curves.png")
    validation = [entry["validation_loss"] for entry in log if "validation_loss" in entry]
    print(f"saved in {folder}" + (f"; validation loss at the end {validation[-1]:.3f} nats per token" if validation else ""))


def _add_backend(parser):
    parser.add_argument("--backend", choices=("fast", "numpy"), default="fast", help="fast: Numba kernels (default); numpy: the readable definitions")


# Gradients


def add_gradcheck_arguments(parser):
    """Flags of `gradcheck`."""
    parser.add_argument("--backend", choices=("fast", "numpy"), default="numpy", help="which functions to check (default numpy)")
    parser.add_argument("--seed", type=int, default=0)


def run_gradcheck(arguments):
    """Every parameter of a two-layer model, for every norm, MLP and position option, against finite differences in float64."""
    check_least(arguments, seed=0)
    rows, worst, mixes = [], 0.0, list(itertools.product(NORMS, MLPS, POSITIONS, (None, 2)))
    progress = Progress("checking", len(mixes), unit="models")  # minutes, where kernels are to be compiled
    for norm, mlp, position, n_kv_head in mixes:
        config = GPTConfig(vocab_size=11, block_size=9, n_layer=2, n_head=4, n_embd=16, n_kv_head=n_kv_head, norm=norm, mlp=mlp, position=position)
        errors = gradcheck.check_model(*_random_problem(config, arguments))
        name = list(errors)[int(np.argmax(list(errors.values())))]  # NaN counts as the largest, unlike for max()
        worst = float(np.max([worst, errors[name]]))
        rows.append([norm, mlp, position, config.kv_heads, f"{errors[name]:.1e}", name])
        progress.update(len(rows))
    print(table(rows, ["norm", "mlp", "position", "kv heads", "largest error", "at"], right=(3, 4)))
    print(f"\n{len(rows)} models, largest relative error {worst:.1e}, allowed {gradcheck.TOLERANCE:.0e}: {'passed' if worst <= gradcheck.TOLERANCE else 'FAILED'}")
    return 0 if worst <= gradcheck.TOLERANCE else 1


def _random_problem(config, arguments):
    """A model with random weights, a loss on random packed rows with a random mask, and the generator for directions."""
    rng = np.random.default_rng(arguments.seed)
    model = gradcheck.perturb(GPT(config, dtype="float64", backend=arguments.backend), rng)
    ids, targets = rng.integers(0, config.vocab_size, (2, 3, 7))  # (B, T) each
    mask = rng.random((3, 7)) < 0.7
    starts = np.array([[0] * 7, [0, 0, 2, 2, 2, 2, 2], [0, 1, 1, 1, 4, 4, 4]])

    def loss(model, backward):
        logits, cache = model.forward(ids, starts)
        value, dlogits, _ = losses.cross_entropy(logits, targets, mask, ops=model.ops)
        if backward:
            model.backward(dlogits, cache)
        return value

    return model, loss, rng
