"""Layers: what an operation needs to become part of a model - parameters with names, and where their gradients go.

A layer is a parameter list and two functions, `spec(name, config)`, `forward(p, name, x, ctx) -> y, cache` and
`backward(p, g, name, dy, cache, ctx) -> dx` (a linear layer, of which all others are made, takes its sizes and no p there).
p holds parameters, g gradients; a backward ADDS into g, which is what makes shared weights right. Attention also has
`attention_step` for decoding with a cache.
To add a norm, an MLP or a position scheme, write its functions and one line in NORMS, MLPS or POSITIONS.
"""
import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Callable, NamedTuple

import numpy as np

from minigpt.nn import ops
from minigpt.nn.params import Spec


@dataclass
class Context:
    """What every layer of one pass shares.

    ops: the functions of the backend. positions (T,) or (B, T). starts (B, T) first visible position, or None.
    tables: cos and sin (as `positions`, D/2) and slopes (H,), each None where not used. rng: for dropout, None to evaluate.
    """

    config: object
    ops: SimpleNamespace
    positions: np.ndarray
    starts: np.ndarray | None = None
    rng: np.random.Generator | None = None
    tables: SimpleNamespace | None = None


class Layer(NamedTuple):
    """A kind of layer: which parameters it has, its forward and its backward."""
    spec: Callable
    forward: Callable
    backward: Callable


# Linear


def linear_spec(name, n_in, n_out, config, std=0.02):
    """GPT-2's initial weights: normal with standard deviation 0.02, biases 0 (Radford et al. 2019)."""
    weight = Spec(f"{name}.weight", (n_in, n_out), std=std, decay=True)
    return [weight, Spec(f"{name}.bias", (n_out,))] if config.bias else [weight]


def linear_forward(p, name, x, ctx):
    """x (..., C) -> y (..., O)"""
    return ctx.ops.linear_forward(x, p[f"{name}.weight"], p.get(f"{name}.bias"))


def linear_backward(g, name, dy, cache, ctx):
    """dy (..., O) -> dx (..., C)"""
    dx, dweight, dbias = ctx.ops.linear_backward(dy, cache)
    g[f"{name}.weight"] += dweight
    if dbias is not None:
        g[f"{name}.bias"] += dbias
    return dx


# Normalisation: x (..., C) -> y (..., C)


def layernorm_spec(name, config):
    """Gains of 1, and biases of 0 where the model has biases."""
    gain = Spec(f"{name}.weight", (config.n_embd,), mean=1.0)
    return [gain, Spec(f"{name}.bias", (config.n_embd,))] if config.bias else [gain]


def layernorm_forward(p, name, x, ctx):
    """x (..., C) -> y (..., C) (Ba et al. 2016, eq. 4)"""
    return ctx.ops.layernorm_forward(x, p[f"{name}.weight"], p.get(f"{name}.bias"), ctx.config.norm_eps)


def layernorm_backward(p, g, name, dy, cache, ctx):
    """dy (..., C) -> dx (..., C)"""
    dx, dgain, dbias = ctx.ops.layernorm_backward(dy, cache)
    g[f"{name}.weight"] += dgain
    if dbias is not None:
        g[f"{name}.bias"] += dbias
    return dx


def rmsnorm_spec(name, config):
    """Gains of 1."""
    return [Spec(f"{name}.weight", (config.n_embd,), mean=1.0)]


def rmsnorm_forward(p, name, x, ctx):
    """x (..., C) -> y (..., C) (Zhang and Sennrich 2019, eq. 4)"""
    return ctx.ops.rmsnorm_forward(x, p[f"{name}.weight"], ctx.config.norm_eps)


def rmsnorm_backward(p, g, name, dy, cache, ctx):
    """dy (..., C) -> dx (..., C)"""
    dx, dgain = ctx.ops.rmsnorm_backward(dy, cache)
    g[f"{name}.weight"] += dgain
    return dx


NORMS = {
    "layernorm": Layer(layernorm_spec, layernorm_forward, layernorm_backward),
    "rmsnorm": Layer(rmsnorm_spec, rmsnorm_forward, rmsnorm_backward),
}


# The feed-forward layer: x (..., C) -> y (..., C) through F = config.inner channels


def residual_std(config):
    """Each block adds twice to the residual path; GPT-2 keeps its variance from growing with depth."""
    return 0.02 / math.sqrt(2 * config.n_layer)


def gelu_mlp_spec(name, config):
    """Two linear layers: from C channels to F, and back."""
    C, F = config.n_embd, config.inner
    return linear_spec(f"{name}.c_fc", C, F, config) + linear_spec(f"{name}.c_proj", F, C, config, residual_std(config))


def gelu_mlp_forward(p, name, x, ctx):
    """x (..., C) -> y (..., C)"""
    h, fc = linear_forward(p, f"{name}.c_fc", x, ctx)  # (..., F)
    h, act = getattr(ctx.ops, f"{ctx.config.mlp}_forward")(h)
    y, proj = linear_forward(p, f"{name}.c_proj", h, ctx)  # (..., C)
    return y, (fc, act, proj)


def gelu_mlp_backward(p, g, name, dy, cache, ctx):
    """dy (..., C) -> dx (..., C)"""
    fc, act, proj = cache
    dh = linear_backward(g, f"{name}.c_proj", dy, proj, ctx)  # (..., F)
    dh = getattr(ctx.ops, f"{ctx.config.mlp}_backward")(dh, act)
    return linear_backward(g, f"{name}.c_fc", dh, fc, ctx)  # (..., C)


def swiglu_mlp_spec(name, config):
    """Three linear layers: a gate and a value of F channels each, and back to C."""
    C, F = config.n_embd, config.inner
    gate, up = linear_spec(f"{name}.c_gate", C, F, config), linear_spec(f"{name}.c_fc", C, F, config)
    return gate + up + linear_spec(f"{name}.c_proj", F, C, config, residual_std(config))


def swiglu_mlp_forward(p, name, x, ctx):
    """x (..., C) -> y (..., C) (Shazeer 2020, eq. 6)"""
    gate, gate_cache = linear_forward(p, f"{name}.c_gate", x, ctx)  # (..., F)
    up, up_cache = linear_forward(p, f"{name}.c_fc", x, ctx)  # (..., F)
    h, act = ctx.ops.swiglu_forward(gate, up)
    y, proj = linear_forward(p, f"{name}.c_proj", h, ctx)  # (..., C)
    return y, (gate_cache, up_cache, act, proj)


def swiglu_mlp_backward(p, g, name, dy, cache, ctx):
    """dy (..., C) -> dx (..., C)"""
    gate_cache, up_cache, act, proj = cache
    dh = linear_backward(g, f"{name}.c_proj", dy, proj, ctx)  # (..., F)
    dgate, dup = ctx.ops.swiglu_backward(dh, act)
    dx = linear_backward(g, f"{name}.c_fc", dup, up_cache, ctx)  # (..., C)
    dx += linear_backward(g, f"{name}.c_gate", dgate, gate_cache, ctx)
    return dx


MLPS = {
    "gelu": Layer(gelu_mlp_spec, gelu_mlp_forward, gelu_mlp_backward),
    "gelu_erf": Layer(gelu_mlp_spec, gelu_mlp_forward, gelu_mlp_backward),
    "swiglu": Layer(swiglu_mlp_spec, swiglu_mlp_forward, swiglu_mlp_backward),
}


# Positions


class Position(NamedTuple):
    """A position scheme acts in up to three places; None where it does not.

    spec(config) -> parameters. table(config) -> (block_size, C) constants added to the embedding.
    angles(config) -> (block_size, D/2) by which queries and keys turn. slopes(config) -> (H,) penalties per step.
    """

    spec: Callable | None = None
    table: Callable | None = None
    angles: Callable | None = None
    slopes: Callable | None = None


def learned_spec(config):
    """A row of C numbers for each of block_size positions."""
    return [Spec("wpe.weight", (config.block_size, config.n_embd), std=0.02, decay=True)]


def sinusoidal_table(config):
    """Sine in the even channels, cosine in the odd ones, wavelengths from 2 pi to 20000 pi (Vaswani et al. 2017, 3.5).

    Scaled by 0.02, the size of the token embeddings at initialisation, so that it does not drown them.
    """
    even = np.arange(0, config.n_embd, 2)
    angles = np.arange(config.block_size)[:, None] / 10000.0 ** (even / config.n_embd)  # (T, C/2)
    return 0.02 * np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(config.block_size, config.n_embd)


def rope_angles(config):
    """Position times theta^(-2i/D) for channel pair i (Su et al. 2021)."""
    D = config.head_size
    return np.arange(config.block_size)[:, None] * config.rope_theta ** (-np.arange(0, D, 2) / D)  # (T, D/2)


def alibi_slopes(config):
    """2^(-8 h / H) for h = 1..H (Press et al. 2022)."""
    return 2.0 ** (-8.0 * np.arange(1, config.n_head + 1) / config.n_head)


POSITIONS = {
    "learned": Position(spec=learned_spec),
    "sinusoidal": Position(table=sinusoidal_table),
    "rope": Position(angles=rope_angles),
    "alibi": Position(slopes=alibi_slopes),
}


# Attention


def attention_spec(name, config):
    """Queries, keys and values in one matrix: columns [q (H D) | k (K D) | v (K D)]."""
    C, D = config.n_embd, config.head_size
    qkv = linear_spec(f"{name}.c_attn", C, C + 2 * config.kv_heads * D, config)
    return qkv + linear_spec(f"{name}.c_proj", C, C, config, residual_std(config))


def _qkv_forward(p, name, x, ctx):
    """x (B, T, C) -> q (B, T, H, D), k and v (B, T, K, D), q and k turned to their positions"""
    H, K = ctx.config.n_head, ctx.config.kv_heads
    qkv, fc = linear_forward(p, f"{name}.c_attn", x, ctx)  # (B, T, (H+2K) D)
    heads = qkv.reshape(*x.shape[:2], H + 2 * K, ctx.config.head_size)  # (B, T, H+2K, D)
    qk, v = heads[:, :, : H + K], heads[:, :, H + K :]
    rope = None
    if ctx.tables.cos is not None:
        qk, rope = ctx.ops.rope_forward(qk, ctx.tables.cos, ctx.tables.sin)
    return qk[:, :, :H], qk[:, :, H:], v, (fc, rope)


def attention_forward(p, name, x, ctx):
    """x (B, T, C) -> y (B, T, C)"""
    q, k, v, qkv_cache = _qkv_forward(p, name, x, ctx)
    out, core = ctx.ops.attention_forward(q, k, v, ctx.starts, ctx.tables.slopes)  # (B, T, H, D)
    y, proj = linear_forward(p, f"{name}.c_proj", out.reshape(x.shape), ctx)  # (B, T, C)
    return y, (qkv_cache, core, proj)


def attention_backward(p, g, name, dy, cache, ctx):
    """dy (B, T, C) -> dx (B, T, C)"""
    (fc, rope), core, proj = cache
    B, T, C = dy.shape
    dout = linear_backward(g, f"{name}.c_proj", dy, proj, ctx).reshape(B, T, ctx.config.n_head, -1)  # (B, T, H, D)
    dq, dk, dv = ctx.ops.attention_backward(dout, core)
    dheads = _together(dq, dk, dv)  # (B, T, H+2K, D)
    if rope is not None:
        turned = dheads[:, :, : dq.shape[2] + dk.shape[2]]  # (B, T, H+K, D)
        turned[...] = ctx.ops.rope_backward(turned, rope)
    return linear_backward(g, f"{name}.c_attn", dheads.reshape(B, T, -1), fc, ctx)  # (B, T, C)


def _together(dq, dk, dv):
    """dq (B, T, H, D), dk and dv (B, T, K, D) -> (B, T, H+2K, D): the array that they are views of, where the kernel made one"""
    base, heads = dq.base, dq.shape[2] + dk.shape[2] + dv.shape[2]
    if base is not None and base is dk.base and base is dv.base and base.shape == (*dq.shape[:2], heads, dq.shape[3]):
        return base
    return np.concatenate([dq, dk, dv], axis=2)


def attention_step(p, name, x, keys, values, length, ctx):
    """attention_forward for S new tokens whose predecessors' keys and values are in the cache.

    x (B, S, C); keys and values (B, Tmax, K, D), filled up to `length`, to which S entries are added -> y (B, S, C)
    ctx.starts (B, S): the first entry that each new token may see; None: 0.
    """
    q, k, v, _ = _qkv_forward(p, name, x, ctx)
    end = length + x.shape[1]
    keys[:, length:end], values[:, length:end] = k, v
    attend = ops.attention_forward if length else ctx.ops.attention_forward  # a whole prompt is what the kernel is for
    out, _ = attend(q, keys[:, :end], values[:, :end], ctx.starts, ctx.tables.slopes)  # (B, S, H, D)
    return linear_forward(p, f"{name}.c_proj", out.reshape(x.shape), ctx)[0]


# The block


def block_spec(name, config):
    """Two norms, an attention and a feed-forward layer."""
    norm, mlp = NORMS[config.norm], MLPS[config.mlp]
    return (norm.spec(f"{name}.ln_1", config) + attention_spec(f"{name}.attn", config)
            + norm.spec(f"{name}.ln_2", config) + mlp.spec(f"{name}.mlp", config))


def block_forward(p, name, x, ctx, kept=None):
    """x + attention(norm(x)), then x + mlp(norm(x)): the pre-norm block of GPT-2. x (B, T, C) -> y (B, T, C)

    kept (n,): of the last block, the flat positions that are wanted; behind attention no position needs another -> y (n, C)
    """
    norm, mlp, config = NORMS[ctx.config.norm], MLPS[ctx.config.mlp], ctx.config
    h, norm1 = norm.forward(p, f"{name}.ln_1", x, ctx)
    h, attn = attention_forward(p, f"{name}.attn", h, ctx)
    h, drop1 = ctx.ops.dropout_forward(h, config.dropout, ctx.rng)
    x, shape = x + h, x.shape
    x = x if kept is None else x.reshape(-1, shape[-1])[kept]  # (n, C)
    h, norm2 = norm.forward(p, f"{name}.ln_2", x, ctx)
    h, fc = mlp.forward(p, f"{name}.mlp", h, ctx)
    h, drop2 = ctx.ops.dropout_forward(h, config.dropout, ctx.rng)
    return x + h, (norm1, attn, drop1, (kept, shape), norm2, fc, drop2)


def block_backward(p, g, name, dy, cache, ctx):
    """dy (B, T, C) or (n, C) -> dx (B, T, C); a sum sends its gradient into both branches"""
    norm, mlp = NORMS[ctx.config.norm], MLPS[ctx.config.mlp]
    norm1, attn, drop1, (kept, shape), norm2, fc, drop2 = cache
    dh = ctx.ops.dropout_backward(dy, drop2)  # y = x + dropout(mlp(norm(x)))
    dh = mlp.backward(p, g, f"{name}.mlp", dh, fc, ctx)
    dx = dy + norm.backward(p, g, f"{name}.ln_2", dh, norm2, ctx)
    dx = dx if kept is None else ops.scatter(dx, kept, shape)  # (B, T, C)
    dh = ctx.ops.dropout_backward(dx, drop1)  # x = x + dropout(attention(norm(x)))
    dh = attention_backward(p, g, f"{name}.attn", dh, attn, ctx)
    return dx + norm.backward(p, g, f"{name}.ln_1", dh, norm1, ctx)


# Of GPT-2's block kernels/block.py computes the same in fewer calls: who changes this one changes that one, or narrows what it `supports`.
BLOCK = Layer(block_spec, block_forward, block_backward)


def block_step(p, name, x, keys, values, length, ctx):
    """block_forward for S new tokens with cached keys and values (see attention_step). x (B, S, C) -> y (B, S, C)"""
    norm, mlp = NORMS[ctx.config.norm], MLPS[ctx.config.mlp]
    h, _ = norm.forward(p, f"{name}.ln_1", x, ctx)
    x = x + attention_step(p, f"{name}.attn", h, keys, values, length, ctx)
    h, _ = norm.forward(p, f"{name}.ln_2", x, ctx)
    return x + mlp.forward(p, f"{name}.mlp", h, ctx)[0]
