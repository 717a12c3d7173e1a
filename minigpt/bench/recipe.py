"""A recipe for a letter model on a laptop processor, nanoGPT's: four layers, 128 wide, 2000 steps of 12 windows of 64 characters."""
import dataclasses
import time

import numpy as np

from minigpt.config import GPTConfig, TrainConfig
from minigpt.model import GPT
from minigpt.train.batches import Batch, rows_from_stream
from minigpt.train.pretrain import read_text
from minigpt.train.trainer import Run, evaluate_loss, train

STEPS, T, B = 2000, 64, 12
CONFIG = TrainConfig(tokens=STEPS * T * B, batch_tokens=T * B, optimizer="adamw", lr=1e-3, schedule="cosine", warmup=0.05,
                     flat=0.0, final_lr=0.1, beta1=0.9, beta2=0.99, weight_decay=0.1, clip=1.0)
CHARACTERS = (CONFIG, 4, 4, 128, T, B)  # training, layers, heads, width, context, batch
# what we change where only the time is given: found by trying, see lessons/LOG.md
OWN = {"optimizer": "muon", "position": "rope", "lr": 4e-3, "muon_lr": 0.02, "schedule": "linear", "warmup": 0.02, "flat": 0.2,
       "final_lr": 0.02, "beta2": 0.95}


def characters(path):
    """A text file as character ids, its first 90 % and the rest, and the number of different characters -> train, validation, V"""
    text = np.frombuffer(read_text(path).encode("utf-32-le"), np.uint32)
    alphabet, ids = np.unique(text, return_inverse=True)
    cut = len(ids) * 9 // 10
    ids = ids.astype(np.int32)
    return ids[:cut], ids[cut:], len(alphabet)


def run(path, seed=0, **changes):
    """Train by the recipe -> {"seconds": of training, "loss": mean nats per character on all of the validation text}.

    changes: fields of TrainConfig to replace; "position" of GPTConfig.
    """
    train_ids, validation, V = characters(path)
    rows, _ = rows_from_stream(validation, T), rows_from_stream(train_ids, T)  # too short a text is refused now, not after the training
    _, L, H, C, _, _ = CHARACTERS
    position = changes.pop("position", "learned")
    config = dataclasses.replace(CONFIG, seed=seed, **changes)
    model = GPT(GPTConfig(vocab_size=V, block_size=T, n_layer=L, n_head=H, n_embd=C, position=position), seed)

    def batch(step):
        starts = np.random.default_rng([seed, step]).integers(0, len(train_ids) - T - 1, config.batch_tokens // T)
        rows = train_ids[starts[:, None] + np.arange(T + 1)]
        return Batch(rows[:, :-1], rows[:, 1:])

    train(model.copy(), dataclasses.replace(config, tokens=2 * config.batch_tokens), Run("compiling", batch))  # not timed
    start = time.perf_counter()
    train(model, config, Run("training", batch))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "loss": evaluate_loss(model, rows, len(rows), 64)}
