"""Kernels compiled by another process while this one still draws text: a compiler lets no thread work beside it."""
import atexit
import dataclasses
import json
import math
import os
import subprocess
import sys

import numpy as np

from minigpt.config import PRETRAIN, SFT, GPTConfig, SampleConfig
from minigpt.jit import cache_folder
from minigpt.model import GPT
from minigpt.nn.gpt import default_matmul, transformer_specs
from minigpt.nn.threads import cores
from minigpt.sample.generate import generate
from minigpt.train.batches import Rows
from minigpt.train.pretrain import pretrain
from minigpt.train.sft import tune


def compile_ahead(shape):
    """Begin to compile what training and answering need for models like `shape` (GPTConfig) -> function that waits for the end.

    Nothing depends on it: a kernel that is not in the cache when it is called is compiled then.
    """
    if cores() == 1 or cache_folder() is None or os.environ.get("NUMBA_DISABLE_JIT") == "1":  # nothing to gain
        return lambda: None
    command = [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(shape))]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(_end, child)  # a run that is refused or interrupted does not wait for it

    def wait():
        if child.poll() is None:
            print("waiting for the kernels, which are compiled at the first run", flush=True)
        return child.wait()

    return wait


def _end(child):
    child.kill()
    child.wait()


def call_all(shape):
    """Call every kernel that a run needs, on a model of one layer: a step of pretraining, of tuning, an evaluation, answers."""
    T, V = 8, 64  # kernels are compiled for types, not for sizes
    products = default_matmul(sum(math.prod(spec.shape) for spec in transformer_specs(shape)))  # not those of so small a model
    model = GPT(dataclasses.replace(shape, n_layer=1, block_size=T, vocab_size=V), matmul=products)
    tokens = np.arange(4 * (T + 1), dtype=np.int32).reshape(4, T + 1)  # (R, T+1)
    text = Rows(tokens, np.zeros_like(tokens))
    pretrain(model, text, text, dataclasses.replace(PRETRAIN, tokens=4 * T, batch_tokens=4 * T, eval_every=1))
    tune(model, Rows(tokens, text.starts, np.ones(tokens.shape, np.float32)), text, dataclasses.replace(SFT, tokens=4 * T, batch_tokens=4 * T))
    for prompts in ([[1, 2]], [[1, 2], [3]]):
        generate(model, prompts, SampleConfig(max_new_tokens=2, temperature=0.0))


if __name__ == "__main__":
    call_all(GPTConfig(**json.loads(sys.argv[1])))
