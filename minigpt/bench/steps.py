"""Whole training steps and decoding, at five shapes from a letter model to GPT-2."""
import time

import numpy as np

from minigpt.bench.measure import spread
from minigpt.config import GPTConfig, SampleConfig, TrainConfig
from minigpt.model import GPT
from minigpt.nn.threads import cores, worker_pool
from minigpt.sample.generate import generate
from minigpt.train import optim
from minigpt.train.batches import Batch
from minigpt.train.trainer import default_shards, gradients

# name: (layers, heads, width, vocabulary, T, B); nanoGPT's body with biases and a tied head
SHAPES = {"a": (4, 4, 128, 65, 64, 12), "b": (4, 4, 256, 1024, 128, 16), "c": (6, 6, 384, 65, 256, 8),
          "d": (12, 12, 768, 50257, 64, 4), "e": (4, 4, 128, 2048, 256, 4)}
STEPS = {"a": 60, "b": 10, "c": 5, "d": 3, "e": 40}  # per sample: about a second
DECODE = {"small": ("a", 16, 256), "gpt2": ("d", 16, 64)}  # (shape, prompt tokens, new tokens)


def config_of(shape, block_size=None):
    """GPTConfig of a shape's name"""
    L, H, C, V, T, _ = SHAPES[shape]
    return GPTConfig(vocab_size=V, block_size=block_size or T, n_layer=L, n_head=H, n_embd=C)


def training_steps(shape, samples=5, workers=0, matmul=None, backend="fast", optimizer="adamw"):
    """Seconds per training step (forward, backward, clip, update) -> list of samples. The first steps are not counted."""
    _, _, _, V, T, B = SHAPES[shape]
    model = GPT(config_of(shape), backend=backend, matmul=matmul)
    config, state = TrainConfig(optimizer=optimizer, tokens=10**9, batch_tokens=B * T), optim.new_state(model.params)
    ids = np.random.default_rng(0).integers(0, V, (B, T + 1)).astype(np.int32)
    batch = Batch(ids[:, :-1].copy(), ids[:, 1:].copy())
    shards = default_shards(model)
    buffers = [model.grads] + [model.params.zeros() for _ in range(shards - 1)]
    found = []
    with worker_pool(workers, shards) as run_all:
        for sample in range(samples + 1):
            count = STEPS[shape] if sample else 2
            start = time.perf_counter()
            for step in range(count):
                gradients(model, batch, buffers, run_all, [0, step])
                optim.clip(model.grads, config.clip)
                optim.update(model.params, model.grads, state, config, run_all, ops=model.ops)
            found.append((time.perf_counter() - start) / count)
    return found[1:]


def matmul_floor(shape, samples=5):
    """Seconds that NumPy alone needs for the matrix products of a step, on operands that are not in the cache -> list of samples.

    Every product of the forward, twice as many in the backward, by a worker per core on equal parts of the batch.
    """
    L, _, C, V, T, B = SHAPES[shape]
    rng, found = np.random.default_rng(0), []
    sizes = [(C, 3 * C), (C, C), (C, 4 * C), (4 * C, C)] * L + [(C, V)]
    count = cores()
    rows = B * T // count

    def part():
        return [(rng.random((rows, k), np.float32), rng.random((k, n), np.float32), rng.random((rows, n), np.float32)) for k, n in sizes]

    def products(operands):
        for x, w, dy in operands:
            np.matmul(x, w), np.matmul(dy, w.T), np.matmul(x.T, dy)

    with worker_pool(count, count) as run_all:
        work = [part() for _ in range(count)]
        for sample in range(samples + 1):
            start = time.perf_counter()
            for _ in range(STEPS[shape]):
                run_all(products, work)
            found.append((time.perf_counter() - start) / STEPS[shape])
    return found[1:]


def decoding(kind, samples=5, backend="fast", half=False):
    """Tokens per second of greedy decoding of one sequence with a cache, the prompt's reading included -> list of samples.

    half: the weights are rounded to float16, as those of a model from a float16 file are.
    """
    shape, prompt, new = DECODE[kind]
    model = GPT(config_of(shape, 1024 if kind == "gpt2" else 512), backend=backend)
    if half:
        model.params.flat[:] = model.params.flat.astype(np.float16)
    ids = [np.arange(1, prompt + 1) % model.config.vocab_size]
    found = []
    for _ in range(samples + 1):
        start = time.perf_counter()
        generate(model, ids, SampleConfig(max_new_tokens=new, temperature=0.0))
        found.append(new / (time.perf_counter() - start))
    return found[1:]


def milliseconds(samples):
    """Samples in seconds -> "median (first to third quartile)" in milliseconds"""
    low, middle, high = (1000 * value for value in spread(samples))
    return f"{middle:.4g} ({low:.4g}-{high:.4g})"
