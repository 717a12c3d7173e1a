"""Optimizers: how a gradient becomes a change of the weights. AdamW, Muon, schedule, clipping."""
import math
from dataclasses import dataclass

import numpy as np

from minigpt.nn import ops
from minigpt.nn.params import Params

MUON_MOMENTUM = 0.95
# a x + b x^3 + c x^5, one after the other: each is the best such polynomial (smallest largest error against 1) on what the one
# before leaves of [0.01, 1] (the method of Amsel et al. 2025). Three of them end in [0.73, 1.27]; Jordan's five in [0.68, 1.2].
POLYNOMIALS = ((8.0914, -23.6112, 17.4378), (3.6367, -2.7227, 0.5368), (2.6616, -1.9777, 0.4528))


@dataclass
class OptimizerState:
    """First and second moments, laid out like the parameters, and the number of updates made. Muon's momentum is in `mean`."""

    mean: Params
    variance: Params
    step: int = 0


def new_state(params):
    return OptimizerState(params.zeros(), params.zeros())


def schedule(step, config):
    """Learning rate at `step` (from 0) as a fraction of the peak: a rise, a plateau, a decay to config.final_lr."""
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
    """Euclidean norm of the whole gradient. Summed in float64 blocks, so that a large model loses no digits."""
    return math.sqrt(sum(float(np.dot(part, part)) for part in np.array_split(grads.flat, max(1, grads.flat.size >> 16))))


def clip(grads, largest):
    """Scale the whole gradient down to norm `largest` (Pascanu et al. 2013); 0: never. Returns the norm before."""
    norm = global_norm(grads)
    if largest and norm > largest:
        grads.flat *= largest / norm
    return norm


def orthogonalise(matrix):
    """The matrix with its singular values moved to about 1 and its singular vectors kept (Jordan et al. 2024).

    (n, m) -> (n, m). Singular values above 1 % of the matrix's Euclidean norm land in [0.73, 1.27], smaller ones below.
    """
    x = matrix / (math.sqrt(float((matrix * matrix).sum())) + 1e-7)  # largest singular value at most 1
    tall = x.shape[0] > x.shape[1]
    x = np.ascontiguousarray(x.T) if tall else x
    for a, b, c in POLYNOMIALS:
        gram = x @ x.T  # (n, n), n the shorter side
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


def muon_update(p, g, m, lr, decay):
    """One Muon update of a matrix in place: momentum (Nesterov), then orthogonalised. p g m (n_in, n_out)."""
    m += (1.0 - MUON_MOMENTUM) * (g - m)
    update = orthogonalise((1.0 - MUON_MOMENTUM) * g + MUON_MOMENTUM * m)
    p *= 1.0 - lr * decay
    p -= lr * math.sqrt(max(1.0, p.shape[1] / p.shape[0])) * update  # the same change of every output channel


def is_matrix(spec):
    """Muon's share: the matrices inside the blocks. Embeddings, gains and biases go to AdamW."""
    return len(spec.shape) == 2 and spec.name.startswith("h.")


def update(params, grads, state, config, run=None, adamw=ops.adamw_update):
    """One optimizer step in place, with the schedule of `config` (a TrainConfig) at state.step.

    run(function, items): how to map over tensors (a worker pool's map; default: one after another). adamw: the backend's.
    """
    factor = schedule(state.step, config)
    state.step += 1

    def one(spec):
        name = spec.name
        decay = config.weight_decay if spec.decay else 0.0
        if config.optimizer == "muon" and is_matrix(spec):
            muon_update(params[name], grads[name], state.mean[name], factor * config.muon_lr, decay)
        else:
            flat = (buffer[name].reshape(-1) for buffer in (params, grads, state.mean, state.variance))  # views
            adamw(*flat, factor * config.lr, config.beta1, config.beta2, config.eps, decay, state.step)

    largest_first = sorted(params.specs, key=lambda spec: -math.prod(spec.shape))  # so that no thread ends with the longest
    groups = [largest_first[i::8] for i in range(8)]  # a thread's task costs as much as a small tensor's whole update
    (run or (lambda f, items: [f(item) for item in items]))(lambda group: [one(spec) for spec in group], groups)
    return factor * config.lr
