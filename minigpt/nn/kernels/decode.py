"""One token through the whole model in one call: decoding one sequence, where every product is matrix times vector.

A step reads each weight once and multiplies once with it, so memory decides and calls cost: 40 us of Python around
10 us of arithmetic per layer. Here everything between the token and the logits is one kernel (0.8 M parameters: 207 ->
49 us), weights that float16 holds exactly are read as such, and of a large model two threads read half the weights each.
Like the block's kernels it has no twin in ops.py: tests compare it with the layers' own step.
"""
import contextlib
import math
import threading
from typing import NamedTuple

import numpy as np
from numba import prange

from minigpt.jit import jit
from minigpt.nn.kernels.exponential import LOG2_E, erf, exp2, sigmoid
from minigpt.nn.kernels.primitives import SQUARE, converts_halves, copy_row, maximum, number, stack_array, transpose_square
from minigpt.nn.ops import GELU_CUBE, GELU_SCALE
from minigpt.nn.params import LARGE

NORMS, MLPS = ("layernorm", "rmsnorm"), ("gelu", "gelu_erf", "swiglu")
TENSORS = ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
           "ln_2.weight", "ln_2.bias", "mlp.c_gate.weight", "mlp.c_gate.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
           "mlp.c_proj.weight", "mlp.c_proj.bias")


def supports(config):
    """Whether the kernel has this norm and MLP: a model with one that was added outside goes on layer by layer."""
    return config.norm in NORMS and config.mlp in MLPS


class Plan(NamedTuple):
    """Where everything lies: what does not change from token to token.

    flat: all parameters, or the bits of float16 numbers that equal them (uint16). offsets (L + 1, 14): of each layer's TENSORS in flat, -1 where there is none; the last row holds
    ln_f. sizes: H, K, D, F, the indices of norm and mlp, 1 if large. added: rows to add per position, or (0, 1).
    """

    flat: np.ndarray
    offsets: np.ndarray
    sizes: np.ndarray
    eps: float
    wte: np.ndarray
    head: np.ndarray
    added: np.ndarray
    cos: np.ndarray
    sin: np.ndarray
    slopes: np.ndarray


def half_copy(params, before=None):
    """-> the bits (uint16) of float16 numbers equal to all parameters; None if some are not, or the processor is slow at these.

    Memory decides, and such a copy is half as long: a model from a float16 file, as the shipped ones are, needs no more. before:
    an earlier copy, which is returned if it still holds.
    """
    flat = params.flat
    if flat.dtype != np.float32 or not converts_halves():
        return None
    if before is not None and _equal(before, flat):
        return before
    with np.errstate(over="ignore"):
        for some in (flat[:1000], flat):  # of a model that was trained in float32, the first ones show it
            half = some.astype(np.float16).view(np.uint16)
            if not _equal(half, some):
                return None
    return half


@jit
def _equal(half, flat):
    for first in range(0, len(flat), 4096):
        some, others, different = half[first : first + 4096], flat[first : first + 4096], 0
        for i in range(len(some)):
            different += number(some[i]) != others[i]
        if different:
            return False
    return True


def decode_plan(config, params, tables, half=None):
    """-> Plan. tables: as made by nn/gpt.py: added, cos, sin, slopes, each None where not used. half: see half_copy."""
    def offsets(names):
        return [params.offsets.get(name, -1) for name in names]

    rows = [offsets(f"h.{i}.{name}" for name in TENSORS) for i in range(config.n_layer)]
    rows.append(offsets(["ln_f.weight", "ln_f.bias"]) + [-1] * (len(TENSORS) - 2))
    sizes = [config.n_head, config.kv_heads, config.head_size, config.inner, NORMS.index(config.norm), MLPS.index(config.mlp), params.flat.size > LARGE]
    none = np.zeros((0, 1), params.dtype)
    added = params["wpe.weight"] if "wpe.weight" in params else none if tables.added is None else tables.added
    cos, sin = (none, none) if tables.cos is None else (tables.cos, tables.sin)
    slopes = np.zeros(config.n_head, params.dtype) if tables.slopes is None else tables.slopes
    flat, name = params.flat if half is None else half, "wte.weight" if config.tie else "lm_head.weight"
    head = flat[params.offsets[name] :][: params[name].size].reshape(params[name].shape)
    return Plan(flat, np.array(rows), np.array(sizes, np.int64), params.dtype.type(config.norm_eps), params["wte.weight"], head,
                added, cos, sin, slopes)


_turns = threading.Lock()  # Numba's simplest thread pool ends the process when two threads use it at once


def decode_step(plan, token, keys, values, length, pad, together=False):
    """One token (an id) through the model -> logits (V,). keys and values (L, Tmax, K, D), filled up to `length`.

    They grow by one row. pad: the first `pad` rows are padding, which is not seen and not counted as positions. together: two
    threads read a large model's weights, with the same result.
    """
    logits = np.empty(len(plan.head), plan.wte.dtype)
    with _turns if together else contextlib.nullcontext():
        _step(*plan, int(token), keys, values, length, int(pad), together, logits)
    return logits


@jit
def _step(flat, offsets, sizes, eps, wte, head, added, cos, sin, slopes, token, keys, values, length, pad, together, logits):
    H, K, D, F, norm, mlp, large = sizes
    C, layers, position = wte.shape[1], len(offsets) - 1, length - pad
    x, h, y = np.empty(C, wte.dtype), np.empty(C, wte.dtype), np.empty(max(F, (H + 2 * K) * D), wte.dtype)
    gate, scores = np.empty(F, wte.dtype), np.empty((H, length + 1), wte.dtype)
    halves = np.empty((2, len(y)), wte.dtype) if large else np.empty((0, 0), wte.dtype)
    for c in range(C):
        x[c] = wte[token, c] + (added[position, c] if len(added) else 0)
    for layer in range(layers):
        at = offsets[layer]
        _norm(x, flat, at[0], at[1], norm, eps, h)
        qkv = y[: (H + 2 * K) * D]
        _linear(h, flat, at[2], at[3], qkv, halves, together)
        if len(cos):
            _turn(qkv, H + K, cos[position], sin[position])
        for i in range(K * D):
            keys[layer, length, i // D, i % D] = qkv[H * D + i]
            values[layer, length, i // D, i % D] = qkv[(H + K) * D + i]
        _attend(qkv, keys[layer], values[layer], pad, length + 1, slopes, scores, h)
        _linear_added(h, flat, at[4], at[5], x, halves, together)
        _norm(x, flat, at[6], at[7], norm, eps, h)
        _linear(h, flat, at[10], at[11], y[:F], halves, together)
        if mlp == 2:
            _linear(h, flat, at[8], at[9], gate, halves, together)
        _activate(y[:F], gate, mlp)
        _linear_added(y[:F], flat, at[12], at[13], x, halves, together)
    _norm(x, flat, offsets[layers, 0], offsets[layers, 1], norm, eps, h)
    if together:
        _unembed_by_two(h, head, logits)
    else:
        _unembed(h, head, 0, len(head), logits)


@jit
def _norm(x, flat, gain, bias, norm, eps, y):
    """LayerNorm, or RMSNorm (norm 1), of one row; gain and bias are offsets in flat"""
    share = x.dtype.type(1 / len(x))
    mean = square = x.dtype.type(0)
    if norm == 0:
        for c in range(len(x)):
            mean += x[c]
        mean *= share
    for c in range(len(x)):
        square += (x[c] - mean) * (x[c] - mean)
    rstd = x.dtype.type(1 / np.sqrt(np.float64(square * share + eps)))
    g = flat[gain : gain + len(x)]
    for c in range(len(x)):
        y[c] = (x[c] - mean) * rstd * number(g[c])
    _add_bias(flat, bias, y)


@jit
def _add_bias(flat, bias, y):
    if bias >= 0:
        b = flat[bias : bias + len(y)]
        for j in range(len(y)):
            y[j] += number(b[j])


@jit
def _linear(x, flat, weight, bias, y, halves, together):
    """y = x W + b; weight and bias are offsets in flat"""
    for j in range(len(y)):
        y[j] = 0
    _linear_added(x, flat, weight, bias, y, halves, together)


@jit
def _linear_added(x, flat, weight, bias, y, halves, together):
    """y += x W + b; halves: of a large model, room for the sums of either half of W's rows, made together or one after the other"""
    if len(halves) == 0:
        _add_rows(x, flat, weight, len(y), 0, len(x), y)
    else:
        if together:
            _both_halves(x, flat, weight, len(y), halves)
        else:
            for part in range(2):
                _half(part, x, flat, weight, len(y), halves)
        for j in range(len(y)):
            y[j] += halves[0, j] + halves[1, j]
    _add_bias(flat, bias, y)


@jit
def _add_rows(x, flat, at, stride, low, high, y):
    """y += sum_c x[c] W[c] over the rows low .. high of W, four at a time: each is read once, from front to back.

    W[c] lies in flat from at + c * stride on.
    """
    O = len(y)
    for c in range(low, high - 3, 4):
        x0, x1, x2, x3 = x[c], x[c + 1], x[c + 2], x[c + 3]
        rows = flat[at + c * stride : at + (c + 3) * stride + O]
        w0, w1, w2, w3 = rows[:O], rows[stride : stride + O], rows[2 * stride : 2 * stride + O], rows[3 * stride :]
        for j in range(O):
            y[j] += x0 * number(w0[j]) + x1 * number(w1[j]) + x2 * number(w2[j]) + x3 * number(w3[j])
    for c in range(high - (high - low) % 4, high):
        row = flat[at + c * stride : at + c * stride + O]
        for j in range(O):
            y[j] += x[c] * number(row[j])


@jit
def _half(part, x, flat, weight, O, halves):
    """halves[part] = sum_c x[c] W[c] over that half of W's rows"""
    half, total = len(x) // 2, halves[part, :O]
    for j in range(O):
        total[j] = 0
    _add_rows(x, flat, weight, O, part * half, half if part == 0 else len(x), total)


@jit(parallel=True)
def _both_halves(x, flat, weight, O, halves):
    for part in prange(2):
        _half(part, x, flat, weight, O, halves)


@jit
def _unembed(h, head, low, high, logits):
    for v in range(low, high):
        logits[v] = _dot(h, head[v])


@jit(parallel=True)
def _unembed_by_two(h, head, logits):
    half = len(head) // 2
    for part in prange(2):
        _unembed(h, head, part * half, half if part == 0 else len(head), logits)


@jit
def _turn(qkv, heads, cos, sin):
    """Rotary positions on the first `heads` heads, in place."""
    half = len(cos)
    for h in range(heads):
        first, second = qkv[2 * h * half : (2 * h + 1) * half], qkv[(2 * h + 1) * half : (2 * h + 2) * half]
        for i in range(half):
            a, b = first[i], second[i]
            first[i] = a * cos[i] - b * sin[i]
            second[i] = b * cos[i] + a * sin[i]


@jit
def _attend(qkv, keys, values, low, high, slopes, scores, out):
    """Every head's softmax(q k^T / sqrt(D)) v over keys low .. high; keys, values (Tmax, K, D), scores (H, >= high)"""
    H, (Tmax, K, D) = len(scores), keys.shape
    scale = out.dtype.type(LOG2_E / math.sqrt(D))
    for h in range(H):
        row, query, kv = scores[h], qkv[h * D : (h + 1) * D], h * K // H
        slope, largest, total = slopes[h] * out.dtype.type(LOG2_E), out.dtype.type(-np.inf), out.dtype.type(0)
        _scores(query, keys.reshape(Tmax, K * D), kv * D, low, high, scores, h)
        for t in range(low, high):
            row[t] = scale * row[t] - slope * out.dtype.type(high - 1 - t)
        for t in range(low, high):
            largest = maximum(largest, row[t])
        for t in range(low, high):
            row[t] = exp2(row[t] - largest)
        for t in range(low, high):
            total += row[t]
        target, share = out[h * D : (h + 1) * D], out.dtype.type(1 / total)
        for d in range(D):
            target[d] = 0
        _add_rows(row, values.reshape(-1), kv * D, K * D, low, high, target)
        for d in range(D):
            target[d] *= share


@jit
def _scores(query, keys, first, low, high, scores, h):
    """scores[h, t] = query . keys[t, first : first+D]; SQUARE keys at a time, side by side, as long as they last"""
    D, t = len(query), low
    block, sums = stack_array(scores, SQUARE, SQUARE), stack_array(scores, 1, SQUARE)
    while D % SQUARE == 0 and t + SQUARE <= high:
        for c in range(SQUARE):
            sums[0, c] = 0
        for d in range(0, D, SQUARE):
            transpose_square(keys, t, first + d, block, 0, 0)
            for c in range(SQUARE):
                for i in range(SQUARE):
                    sums[0, c] += query[d + i] * block[i, c]
        copy_row(scores, h, t, sums, 0, 0, SQUARE)
        t += SQUARE
    for rest in range(t, high):
        scores[h, rest] = _dot(query, keys[rest, first : first + D])


@jit
def _activate(y, gate, mlp):
    """GELU (mlp 0: tanh form, 1: exact) or silu(gate) y (2), in place"""
    one, half = y.dtype.type(1), y.dtype.type(0.5)
    if mlp == 0:
        twice, cube = y.dtype.type(2 * GELU_SCALE), y.dtype.type(GELU_CUBE)
        for i in range(len(y)):
            y[i] *= sigmoid(twice * y[i] * (one + cube * y[i] * y[i]))
    elif mlp == 1:
        root = y.dtype.type(math.sqrt(0.5))
        for i in range(len(y)):
            y[i] *= half * (one + erf(root * y[i]))
    else:
        for i in range(len(y)):
            y[i] *= gate[i] * sigmoid(gate[i])


@jit
def _dot(a, b):
    total = a.dtype.type(0)
    for i in range(len(a)):
        total += a[i] * number(b[i])
    return total
