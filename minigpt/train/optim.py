"""Optimizers: how a gradient becomes a change of the weights. AdamW, Muon, schedule, clipping."""
import math
from dataclasses import dataclass

import numpy as np

from minigpt.nn import ops
from minigpt.nn.params import Params


@dataclass
class OptimizerState:
    """First and second moments, laid out like the parameters, and the number of updates made. Muon's momentum is in `mean`."""

    mean: Params
    variance: Params
    step: int = 0


def new_state(params):
    """The state before the first update: all moments 0. params: Params."""
    return OptimizerState(params.zeros(), params.zeros())


def schedule(step, config):
    """Learning rate at `step` (from 0) as a fraction of the peak: a rise, a plateau (of linear ones), a decay to config.final_lr."""
    done = (step + 1) / config.steps
    if done < config.warmup:
        return done / config.warmup
    start = max(config.flat, config.warmup) if config.schedule == "linear" else config.warmup
    if done <= start:
        return 1.0
    rest = (1.0 - done) / (1.0 - start)  # 1 at the start of the decay, 0 at the end
    shape = rest if config.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * rest))
    return config.final_lr + (1.0 - config.final_lr) * shape


def global_norm(grads):
    """Euclidean norm of the whole gradient. Blocks are added in float64, so that a large model loses no digits."""
    return math.sqrt(sum(float(np.dot(part, part)) for part in np.array_split(grads.flat, max(1, grads.flat.size >> 16))))


def clip(grads, largest):
    """Scale the whole gradient down to norm `largest` (Pascanu et al. 2013); 0: never. Returns the norm before."""
    norm = global_norm(grads)
    if largest and norm > largest:
        grads.flat *= largest / norm
    return norm


def is_matrix(spec):
    """Muon's share: the matrices inside the blocks. Embeddings, gains and biases go to AdamW."""
    return len(spec.shape) == 2 and spec.name.startswith("h.")


def update(params, grads, state, config, run=None, ops=ops):
    """One optimizer step in place, with the schedule of `config` (a TrainConfig) at state.step. Returns AdamW's learning rate.

    run(function, items): how to map over tensors (a worker pool's map; default: one after another). ops: the backend's.
    """
    factor = schedule(state.step, config)
    state.step += 1

    def one(spec):
        name = spec.name
        decay = config.weight_decay if spec.decay else 0.0
        if config.optimizer == "muon" and is_matrix(spec):
            ops.muon_update(params[name], grads[name], state.mean[name], factor * config.muon_lr, decay)
        else:
            flat = (buffer[name].reshape(-1) for buffer in (params, grads, state.mean, state.variance))  # views
            ops.adamw_update(*flat, factor * config.lr, config.beta1, config.beta2, config.eps, decay, state.step)

    largest_first = sorted(params.specs, key=lambda spec: -math.prod(spec.shape))  # so that no thread ends with the longest
    groups = [largest_first[i::8] for i in range(8)]  # a thread's task costs as much as a small tensor's whole update
    (run or (lambda f, items: [f(item) for item in items]))(lambda group: [one(spec) for spec in group], groups)
    return factor * config.lr
