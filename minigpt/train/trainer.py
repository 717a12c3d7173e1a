"""The one training loop: batch, gradients of its shards, clip, update, log, evaluate, save. Every stage uses it."""
import json
import math
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

import numpy as np

from minigpt.files import atomic_write, parse_json, read_bytes, sole_writer
from minigpt.nn import losses
from minigpt.nn.backend import training_context
from minigpt.nn.threads import cores, worker_pool
from minigpt.show.progress import Progress, tell
from minigpt.train import checkpoint, optim

LOG = "log.jsonl"


@dataclass
class Run:
    """What a stage hands to the trainer.

    batch(step) -> Batch, a pure function. folder: where log and checkpoint go; None: nowhere. about: JSON values that
    identify the data, compared on resume. on_eval(step, model) -> dict of numbers for the log. expected {name: {step: (low,
    high)}}: where these numbers usually are, for who asks whether a loss is normal.
    """

    label: str
    batch: Callable
    folder: Path | None = None
    about: dict | None = None
    on_eval: Callable | None = None
    expected: dict = field(default_factory=dict)


class Interrupted(SystemExit):
    """Training was stopped by a signal after its checkpoint was saved; the exit code is 128 + the signal's number."""


def train(model, config, run):
    """Train `model` in place for config.steps steps, or for what is left of them. Returns the log, a list of dicts.

    The result does not depend on the number of workers: shards are fixed, and their gradients are added in order.
    Raises Interrupted after a signal, FloatingPointError where a number is not finite; what was saved stays.
    """
    state = optim.new_state(model.params)
    shards = config.shards or checkpoint.saved_shards(run.folder) or default_shards(model)
    config = replace(config, shards=shards)  # saved with the checkpoint: resumed with another number, sums would round differently
    buffers = [model.grads] + [model.params.zeros() for _ in range(shards - 1)]
    with sole_writer(run.folder), worker_pool(config.workers, shards) as run_all, _signals() as received:
        log = _resume(model, state, config, run)
        progress = Progress(run.label, config.steps * config.batch_tokens, state.step * config.batch_tokens)
        if run.folder and state.step < config.steps:
            _save(run, model, state, config, log)  # a full disk, or a folder in the way, is known before the first step
            checkpoint.check_room(run.folder)
        stop = False
        while state.step < config.steps and not stop:
            step = state.step
            batch = run.batch(step)
            loss = gradients(model, batch, buffers, run_all, [config.seed, step])
            norm = optim.clip(model.grads, config.clip)
            _finite(step + 1, model, {"loss": loss, "norm of the gradient": norm})
            lr = optim.update(model.params, model.grads, state, config, run_all, ops=model.ops)
            entry = {"step": state.step, "tokens": state.step * config.batch_tokens, "loss": loss, "lr": lr, "grad_norm": norm}
            last = state.step == config.steps
            if run.on_eval and (last or state.step % config.eval_every == 0):
                entry.update({name: float(value) for name, value in run.on_eval(state.step, model).items()})
                _finite(state.step, model, entry)
                _compare(entry, run.expected)
            log.append(entry)
            stop = bool(received)  # asked once, so that what was not saved cannot be called saved
            if run.folder and (last or stop or state.step % config.save_every == 0):
                _save(run, model, state, config, log)
            progress.update(entry["tokens"], f"loss {loss:.3f}")
    if received:
        saved = f"saved; run the same command again to go on from step {state.step}" if run.folder else "there is no folder to save in"
        tell(f"\n{signal.Signals(received[0]).name}: {saved}")
        raise Interrupted(128 + received[0])
    return log


def default_shards(model):
    """One per core, but two to four: each costs Python's time for every layer. A large model has memory for two only."""
    return 2 if model.large else min(max(2, cores()), 4)


def gradients(model, batch, buffers, run_all, seed):
    """Mean loss in nats over the batch; buffers[0] receives the gradient, the sum over shards in their order.

    buffers: one Params per shard. run_all(function, items): a worker pool's map. seed: list of ints, for dropout.
    """
    shards = batch.shards(len(buffers))
    denominator = max(batch.tokens(), 1.0)  # of the whole batch, so that the shards' losses and gradients add up

    def one(i):
        buffers[i].flat[:] = 0.0
        rng = np.random.default_rng([*seed, i]) if model.config.dropout else None
        with training_context(model.backend):  # on every thread, or the number of workers would show
            return shard_gradient(model, shards[i], denominator, buffers[i], rng)

    def add(parts):
        total, *others = parts
        for other in others:  # always in this order, whoever does it
            total += other

    parts = run_all(one, range(len(shards)))
    if len(shards) > 1:
        run_all(add, [*zip(*(np.array_split(buffer.flat, 8) for buffer in buffers[: len(shards)]))])  # 8 pieces, for workers to share
    return math.fsum(parts)


def shard_gradient(model, batch, denominator, grads, rng=None):
    """Loss of one shard; its gradient is added into grads. Behind the last attention only the positions that count are computed."""
    targets, weight, kept = batch.targets.reshape(-1), None, None  # (N,)
    if batch.mask is not None:
        kept = np.flatnonzero(batch.mask)  # (n,)
        targets, weight = targets[kept], batch.mask.reshape(-1)[kept]  # (n,) each
    if len(targets) == 0:
        return 0.0
    hidden, cache = model.forward_hidden(batch.ids, batch.starts, rng, kept)  # (B, T, C) or (n, C)
    logits, head = model.forward_head(hidden.reshape(len(targets), -1))  # (n, V)
    loss, dlogits, _ = losses.cross_entropy(logits, targets, weight, denominator, model.ops)
    dhidden = model.backward_head(dlogits, head, grads)  # (n, C)
    model.backward_hidden(dhidden.reshape(hidden.shape), cache, grads)
    return loss


def evaluate_loss(model, rows, most=64, batch=None):
    """Mean loss in nats per token over the first `most` rows of a data set (Rows), `batch` at a time (None: some 2048 tokens)."""
    batch = batch or max(1, min(8, 2048 // (rows.tokens.shape[1] - 1)))  # the logits of one long row may take 200 MB
    starts = range(0, min(most, len(rows)), batch)

    def one(start):
        part = rows.batch(np.arange(start, min(start + batch, most, len(rows))))
        logits, _ = model.forward(part.ids, part.starts)  # (B, T, V)
        return losses.negative_log_likelihood(logits, part.targets, part.mask, model.ops)

    with worker_pool(shards=len(starts)) as run_all:
        parts = run_all(one, starts)
    return sum(nll for nll, _ in parts) / max(sum(tokens for _, tokens in parts), 1.0)


def read_log(folder):
    """The log of a run: one dict per step. ValueError names the line that is not its step's."""
    path, log = Path(folder) / LOG, []
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        try:
            entry = parse_json(line)
            if not isinstance(entry, dict) or entry.get("step") != number:
                raise ValueError(f"not the entry of step {number}")
            if not {"tokens", "loss", "lr"} <= entry.keys() or not all(isinstance(value, (int, float)) for value in entry.values()):
                raise ValueError("not an entry with the numbers tokens, loss and lr")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}; put the run's own log back, or start anew with another --out") from None
        log.append(entry)
    return log


def _resume(model, state, config, run):
    """Load the checkpoint of the run's folder, if there is one, and the log up to its step."""
    if run.folder is None or not checkpoint.exists(run.folder):
        return []
    checkpoint.load(run.folder, model, state, config, run.about or {})
    log = read_log(run.folder) if state.step else []
    if len(log) < state.step:  # a crash between the two files leaves the log longer, never shorter
        raise ValueError(f"{run.folder / LOG} ends at step {len(log)}, the checkpoint is of step {state.step}; "
                         "put the run's own log back, or start anew with another --out")
    return log[: state.step]


def _save(run, model, state, config, log):
    _finite(state.step, model, {"weights": float(np.abs(model.params.flat).max())})
    lines = "".join(json.dumps(entry) + "\n" for entry in log)
    atomic_write(run.folder / LOG, lines.encode("utf-8"))
    checkpoint.save(run.folder, model, state, config, run.about or {})


def _compare(entry, expected):
    """Print where this step's numbers lie among those of earlier runs, if these were recorded."""
    for name, bands in expected.items():
        if entry["step"] in bands:
            low, high = bands[entry["step"]]
            place = "inside" if low <= entry[name] <= high else "above" if entry[name] > high else "below"
            tell(f"\n{name} {entry[name]:.3f} at step {entry['step']}: {place} the expected band {low:.3f} to {high:.3f}")


def _finite(step, model, numbers):
    """Stop unless all numbers {name: value} are finite, and name the step and the first tensor that is not. What was saved stays."""
    odd = [name for name, value in numbers.items() if not math.isfinite(value)]
    if not odd:
        return
    tensors = [("", model.params), ("gradient of ", model.grads)]
    bad = [kind + name for kind, params in tensors for name, x in params.items() if not np.isfinite(x).all()]
    raise FloatingPointError(f"step {step}: {bad[0] if bad else odd[0]} is not finite; "
                             "the last checkpoint is intact: lower the learning rate, or look at the data of this step")


class _signals:
    """Inside the block these signals are only noted in the list that it yields, so that a step is never cut in half."""

    def __enter__(self):
        self.received, self.before = [], {}
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) == signal.SIG_IGN:  # nohup asked to ignore it
                continue
            try:
                self.before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: its owner decides
                break
        return self.received

    def _note(self, number, frame):
        self.received.append(number)
        if len(self.received) > 2:  # asked for the third time (a wrapper may pass one Ctrl-C on twice): at once
            os._exit(128 + number)

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)
