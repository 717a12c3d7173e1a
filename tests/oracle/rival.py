"""PyTorch at the shapes of `python -m minigpt bench`, for its --against torch: nanoGPT's model, the fastest way PyTorch has.

    python tests/oracle/rival.py step SHAPE | decode KIND | transformers KIND | text FILE   prints {"samples": [...], ...} as JSON
"""
import json
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from minigpt.bench.recipe import CHARACTERS as RECIPE
from minigpt.bench.recipe import characters
from minigpt.bench.steps import DECODE, SHAPES, STEPS
from minigpt.nn.threads import cores
from minigpt.train.optim import schedule

torch.set_num_threads(cores())


class Block(nn.Module):
    """A pre-norm block with fused scaled_dot_product_attention."""

    def __init__(self, C, H):
        super().__init__()
        self.ln_1, self.ln_2, self.heads = nn.LayerNorm(C), nn.LayerNorm(C), H
        self.attn, self.proj, self.fc, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C), nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x, past=None):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, -1).transpose(1, 2) for part in self.attn(self.ln_1(x)).split(C, dim=2))
        if past is not None:
            k, v = (torch.cat([old, new], dim=2) for old, new in zip(past, (k, v))) if past else (k, v)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh")), (k, v)


class Model(nn.Module):
    """The transformer of nanoGPT with a tied head."""

    def __init__(self, L, H, C, V, T):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(T, C)
        self.blocks, self.ln_f = nn.ModuleList(Block(C, H) for _ in range(L)), nn.LayerNorm(C)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * L) if "proj" in name or "out" in name else 1.0))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids, past=None, first=0):
        x = self.wte(ids) + self.wpe(torch.arange(first, first + ids.shape[1]))
        kept = []
        for i, block in enumerate(self.blocks):
            x, kv = block(x, None if past is None else past[i] if past else ())
            kept.append(kv)
        return self.ln_f(x) @ self.wte.weight.T, kept


def optimizer_of(model, lr=1e-3, betas=(0.9, 0.99), fused=True):
    matrices, rest = ([p for p in model.parameters() if (p.dim() == 2) == wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=fused)


def train_step(model, optimizer, x, y):
    loss = F.cross_entropy(model(x)[0].flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


def step(shape, samples=3):
    """Seconds per step, with whichever of the fused and the plain AdamW was faster at its first sample."""
    L, H, C, V, T, B = SHAPES[shape]
    torch.manual_seed(0)
    model, ids = Model(L, H, C, V, T), torch.randint(0, V, (B, T + 1))

    def timed(optimizer, count):
        start = time.perf_counter()
        for _ in range(count):
            train_step(model, optimizer, ids[:, :-1], ids[:, 1:])
        return (time.perf_counter() - start) / count

    optimizers, found = [optimizer_of(model, fused=fused) for fused in (True, False)], {}
    for i, optimizer in enumerate(optimizers):
        timed(optimizer, 2)
        found[i] = [timed(optimizer, STEPS[shape])]
    best = min(found, key=lambda i: found[i][0])
    return {"samples": found[best] + [timed(optimizers[best], STEPS[shape]) for _ in range(samples - 1)]}


@torch.no_grad()
def decode(kind, samples=3):
    """Tokens per second of greedy decoding with a cache."""
    shape, prompt, new = DECODE[kind]
    L, H, C, V, _, _ = SHAPES[shape]
    torch.manual_seed(0)
    model, found = Model(L, H, C, V, 1024 if kind == "gpt2" else 512), []
    for _ in range(samples + 1):
        ids, past, first = torch.arange(1, prompt + 1)[None] % V, [], 0
        start = time.perf_counter()
        for _ in range(new):
            logits, past = model(ids, past, first)
            first += ids.shape[1]
            ids = logits[:, -1].argmax(-1, keepdim=True)
        found.append(new / (time.perf_counter() - start))
    return {"samples": found[1:]}


def transformers(kind, samples=3):
    """Tokens per second of transformers' own greedy `generate` with its cache, GPT-2 of the same shape."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape, prompt, new = DECODE[kind]
    L, H, C, V, _, _ = SHAPES[shape]
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=V, n_positions=1024 if kind == "gpt2" else 512, n_embd=C, n_layer=L, n_head=H, bos_token_id=0, eos_token_id=0)).eval()
    ids, found = torch.arange(1, prompt + 1)[None] % V, []
    for _ in range(samples + 1):
        start = time.perf_counter()
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=new, max_new_tokens=new, pad_token_id=0)
        found.append(new / (time.perf_counter() - start))
    return {"samples": found[1:]}


def text(path):
    """nanoGPT's recipe for a laptop on a character file -> seconds of training and validation loss."""
    config, L, H, C, T, B = RECIPE
    train, validation, V = characters(path)
    torch.manual_seed(0)
    rng, model = np.random.default_rng(0), Model(L, H, C, V, T)
    optimizer = optimizer_of(model, betas=(config.beta1, config.beta2))
    start = time.perf_counter()
    for number in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * schedule(number, config)
        rows = torch.from_numpy(train[rng.integers(0, len(train) - T - 1, B)[:, None] + np.arange(T + 1)].astype(np.int64))
        train_step(model, optimizer, rows[:, :-1], rows[:, 1:])
    seconds = time.perf_counter() - start
    with torch.no_grad():
        count = (len(validation) - 1) // T
        rows = torch.from_numpy(validation[np.arange(count)[:, None] * T + np.arange(T + 1)].astype(np.int64))
        losses = [F.cross_entropy(model(part[:, :-1])[0].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item() for part in rows.split(64)]
    return {"seconds": seconds, "loss": sum(losses) / (count * T)}


if __name__ == "__main__":
    print(json.dumps({"step": step, "decode": decode, "transformers": transformers, "text": text}[sys.argv[1]](sys.argv[2]) | {"torch": torch.__version__}))
