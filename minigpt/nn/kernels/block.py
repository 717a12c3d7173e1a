"""GPT-2's block with one kernel before attention and one behind it, forward and backward.

They call the other kernels in the order of layers.py. What they save is the interpreter: of two workers that return from a
kernel at the same time one is put to sleep, which takes longer than a small kernel does, and with a kernel for every operation
that happens thirty times in a step. And the weights' gradients are added in their places, not made beside them first.
"""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.activations import _gelu
from minigpt.nn.kernels.attention import attention_backward, attention_forward
from minigpt.nn.kernels.linear import _linear_backward
from minigpt.nn.kernels.matmul import product
from minigpt.nn.kernels.norms import _layernorm_backward, _layernorm_forward
from minigpt.nn.kernels.rope import rope_backward, rope_forward
from minigpt.nn.ops import scatter

BEFORE = ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias")
BEHIND = ("attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias",
          "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")


def supports(config):
    """Whether this is such a block: LayerNorm, GELU and biases, no dropout; with any position scheme."""
    return (config.norm, config.mlp, config.bias, config.dropout) == ("layernorm", "gelu", True, 0.0)


def block_forward(p, name, x, ctx, kept=None):
    """layers.block_forward by kernels. x (B, T, C) -> y (B, T, C), or (n, C) for the flat positions kept (n,)"""
    H, K, eps = ctx.config.n_head, ctx.config.kv_heads, x.dtype.type(ctx.config.norm_eps)
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])  # (B T, C)
    qkv, before = _before(rows, *_named(p, name, BEFORE), eps)
    heads, rope = qkv.reshape(*x.shape[:2], H + 2 * K, -1), None  # (B, T, H+2K, D)
    qk, v = heads[:, :, : H + K], heads[:, :, H + K :]
    if ctx.tables.cos is not None:
        qk, rope = rope_forward(qk, ctx.tables.cos, ctx.tables.sin)
    out, core = attention_forward(qk[:, :, :H], qk[:, :, H:], v, ctx.starts, ctx.tables.slopes)  # (B, T, H, D)
    out = out.reshape(rows.shape)
    y, behind = _behind(*((rows, out) if kept is None else (rows[kept], out[kept])), *_named(p, name, BEHIND), eps)
    return y.reshape(x.shape) if kept is None else y, (rows, before, rope, core, behind, kept, x.shape)


def block_backward(p, g, name, dy, cache, ctx):
    """dy (B, T, C) or (n, C) -> dx (B, T, C); adds the parameters' gradients into g"""
    rows, before, rope, core, behind, kept, shape = cache
    dy = np.ascontiguousarray(dy, rows.dtype).reshape(-1, rows.shape[1])  # (n, C)
    dx, dout = _behind_backward(dy, *behind, *_named(p, name, BEHIND)[::2], *_named(g, name, BEHIND))  # (n, C)
    if kept is not None:
        dx, dout = scatter(dx, kept, rows.shape), scatter(dout, kept, rows.shape)  # (B T, C)
    dq, _, dv = attention_backward(dout.reshape(*shape[:2], ctx.config.n_head, -1), core)
    dheads = dq.base  # (B, T, H+2K, D): the array in which all three lie
    if rope is not None:
        turned = dheads[:, :, : -dv.shape[2]]  # (B, T, H+K, D)
        turned[...] = rope_backward(turned, rope)
    dx = _before_backward(dx, dheads.reshape(len(rows), -1), rows, *before, *_named(p, name, BEFORE)[::2], *_named(g, name, BEFORE))
    return dx.reshape(shape)


def _named(params, name, parts):
    return [params[f"{name}.{part}"] for part in parts]


@jit
def _before(x, gain, bias, weight, shift, eps):
    """x (N, C) -> queries, keys and values (N, O)"""
    h, stats = _norm(x, gain, bias, eps)
    return _linear(h, weight, shift), (h, stats)


@jit
def _before_backward(dx, dy, x, h, stats, gain, weight, dgain, dbias, dweight, dshift):
    """dx (N, C): what came along the residual path, dy (N, O) -> dx (N, C)"""
    dh = _linear_gradient(dy, h, weight, dweight, dshift)
    dx_norm = _norm_backward(dh, x, stats, gain, dgain, dbias)
    _add(dx, dx_norm)
    return dx_norm


@jit
def _behind(x, out, w_out, b_out, gain, bias, w_fc, b_fc, w_proj, b_proj, eps):
    """x (N, C), attention's out (N, C) -> y (N, C)"""
    middle = _linear(out, w_out, b_out)
    _add(x, middle)  # the residual path
    h, stats = _norm(middle, gain, bias, eps)
    fc = _linear(h, w_fc, b_fc)  # (N, F)
    act, slope = np.empty_like(fc), np.empty_like(fc)
    _gelu(fc.reshape(-1), act.reshape(-1), slope.reshape(-1))
    y = _linear(act, w_proj, b_proj)  # (N, C)
    _add(middle, y)
    return y, (out, middle, h, stats, act, slope)


@jit
def _behind_backward(dy, out, middle, h, stats, act, slope, w_out, gain, w_fc, w_proj,
                     dw_out, db_out, dgain, dbias, dw_fc, db_fc, dw_proj, db_proj):
    """dy (N, C) -> dx (N, C), dout (N, C)"""
    dact = _linear_gradient(dy, act, w_proj, dw_proj, db_proj)  # (N, F)
    for n in range(len(dact)):
        row, factor = dact[n], slope[n]
        for c in range(len(row)):
            row[c] *= factor[c]
    dh = _linear_gradient(dact, h, w_fc, dw_fc, db_fc)  # (N, C)
    dx = _norm_backward(dh, middle, stats, gain, dgain, dbias)
    _add(dy, dx)
    return dx, _linear_gradient(dx, out, w_out, dw_out, db_out)


@jit
def _norm(x, gain, bias, eps):
    y, stats = np.empty_like(x), np.empty((2, len(x)), x.dtype)
    _layernorm_forward(x, gain, bias, eps, y, stats[0], stats[1])
    return y, stats


@jit
def _norm_backward(dy, x, stats, gain, dgain, dbias):
    dx = np.empty_like(x)
    _layernorm_backward(dy, x, stats[0], stats[1], gain, dx, dgain, dbias)
    return dx


@jit
def _linear(x, weight, bias):
    y = np.empty((len(x), weight.shape[1]), x.dtype)
    product(x, weight, bias.reshape(1, -1), y)
    return y


@jit
def _linear_gradient(dy, x, weight, dweight, dbias):
    dx = np.empty((len(dy), len(weight)), dy.dtype)
    _linear_backward(dy, x, weight, dx, dweight, dbias, 1)
    return dx


@jit
def _add(x, y):
    """y += x, both (N, C)"""
    for n in range(len(x)):
        row, to = x[n], y[n]
        for c in range(len(row)):
            to[c] += row[c]
