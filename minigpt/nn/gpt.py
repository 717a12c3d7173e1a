"""The transformer: text ids in, logits out, and the gradient of everything on the way back."""
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from minigpt.nn import layers
from minigpt.nn.backend import get_ops
from minigpt.nn.layers import MLPS, NORMS, POSITIONS, Context
from minigpt.nn.params import LARGE, Params, Spec
from minigpt.nn.threads import processor

OWN_PARTS = {**NORMS, **MLPS}  # which kernels may stand for, as long as nobody puts another in the place of one
OWN_PRODUCTS = 8_000_000  # parameters: with more, NumPy's products win a tenth on Intel's processors and lose a twentieth on AMD's
RETRY_AFTER = 32  # tokens that one thread reads after two took half as long again


@dataclass
class KVCache:
    """Keys and values of the tokens already read, one array for all layers.

    keys, values (L, B, Tmax, K, D), filled up to `length`; pad (B,): left-padding of each row (ragged prompts).
    plan: the model's parameters, and where the fused kernel finds them, once it has been asked for; as they may be copies, a cache is
    of no use after the weights have changed. alone: how many tokens it reads with one thread before it tries two; seconds: what the
    last of them took.
    """

    keys: np.ndarray
    values: np.ndarray
    pad: np.ndarray
    length: int = 0
    plan: tuple | None = None
    alone: int = 1
    seconds: float = 0.0


def transformer_specs(config):
    """Every parameter of the model in order, with GPT-2's names."""
    specs = [Spec("wte.weight", (config.vocab_size, config.n_embd), std=0.02, decay=True)]
    position = POSITIONS[config.position]
    specs += position.spec(config) if position.spec else []
    for i in range(config.n_layer):
        specs += layers.block_spec(f"h.{i}", config)
    specs += NORMS[config.norm].spec("ln_f", config)
    if not config.tie:
        specs.append(Spec("lm_head.weight", (config.vocab_size, config.n_embd), std=0.02, decay=True))
    return specs


def default_matmul(parameters):
    """Whose matrix products a model of so many parameters takes on this processor: "numba" (ours) or "blas" (NumPy's)."""
    return "blas" if parameters > OWN_PRODUCTS and "AMD" not in processor() else "numba"


class Transformer:
    """A decoder-only transformer (GPT-2's body, Radford et al. 2019) with its backward written out.

    params and grads are named views into flat buffers. dtype "float32" to train, "float64" to check gradients.
    backend "numpy" (readable) | "fast" (Numba). matmul: the matrix products of "fast", "numba" (ours) | "blas" (NumPy's);
    None: ours, but, except on AMD's processors, NumPy's from eight million parameters on (`bench --only products` measures both).
    """

    def __init__(self, config, seed=0, dtype="float32", backend="fast", matmul=None):
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f"dtype is {dtype}; a model computes in float32 or float64")
        self.params = Params(transformer_specs(config), dtype).initialise(np.random.default_rng(seed))
        self.config, self.backend, self.matmul = config, backend, matmul or default_matmul(self.params.flat.size)
        self.ops, self.block = get_ops(backend, self.matmul), _block_of(config, backend, self.matmul)
        self._grads = self._half = None
        self.tables = _position_tables(config, self.params.dtype)

    @property
    def large(self):
        """Whether the weights are too many for the processor's caches."""
        return self.params.flat.size > LARGE

    @property
    def dtype(self):
        """Type of the parameters: float32, or float64 for gradient checks."""
        return self.params.dtype

    @property
    def grads(self):
        """Gradient buffer of the model, made when first asked for: a model that only answers needs none."""
        if self._grads is None:
            self._grads = self.params.zeros()
        return self._grads

    def copy(self):
        """The same model with parameters of its own."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.params, other._grads = self.params.copy(), None
        return other

    def num_parameters(self):
        """How many numbers are trained; a tied output layer is counted once."""
        return self.params.count()

    def flops_per_token(self, T=None):
        """Floating-point operations of forward and backward per token at context T (PaLM, Chowdhery et al. 2022, app. B)."""
        c = self.config
        matrices = sum(v.size for n, v in self.params.items() if v.ndim == 2 and not n.startswith(("wpe", "wte")))
        matrices += c.vocab_size * c.n_embd if c.tie else 0
        return 6 * matrices + 12 * c.n_layer * c.n_embd * (T or c.block_size)

    # Forward and backward

    def forward(self, ids, starts=None, rng=None):
        """ids (B, T) -> logits (B, T, V), cache. starts (B, T): first visible position of each token (packed documents)."""
        hidden, cache = self.forward_hidden(ids, starts, rng)
        logits, head = self.forward_head(hidden)  # (B, T, V)
        return logits, (cache, head)

    def backward(self, dlogits, cache, grads=None):
        """dlogits (B, T, V): adds every parameter's gradient into grads (default: the model's own)."""
        cache, head = cache
        dhidden = self.backward_head(dlogits, head, grads)  # (B, T, C)
        self.backward_hidden(dhidden, cache, grads)

    def forward_hidden(self, ids, starts=None, rng=None, kept=None):
        """ids (B, T) -> hidden (B, T, C), cache: the backbone without its output layer, for other heads.

        kept (n,): flat positions, where others are not wanted: the last block's MLP is spared them -> hidden (n, C), cache
        """
        ids = self._check_ids(ids)
        ctx = self._context(ids.shape, starts, rng)
        x, embedded = self._embed_forward(ids, ctx)  # (B, T, C)
        x, dropped = ctx.ops.dropout_forward(x, self.config.dropout, rng)
        blocks = []
        for i in range(self.config.n_layer):
            x, cache = self.block.forward(self.params, f"h.{i}", x, ctx, kept if i == self.config.n_layer - 1 else None)
            blocks.append(cache)
        x, norm = NORMS[self.config.norm].forward(self.params, "ln_f", x, ctx)
        return x, (ctx, embedded, dropped, blocks, norm)

    def backward_hidden(self, dhidden, cache, grads=None):
        """dhidden (B, T, C), or (n, C) as forward_hidden gave it: adds the backbone's gradients into grads."""
        grads = self.grads if grads is None else grads
        ctx, embedded, dropped, blocks, norm = cache
        dx = NORMS[self.config.norm].backward(self.params, grads, "ln_f", dhidden, norm, ctx)
        for i in reversed(range(self.config.n_layer)):
            dx = self.block.backward(self.params, grads, f"h.{i}", dx, blocks[i], ctx)
        dx = ctx.ops.dropout_backward(dx, dropped)
        self._embed_backward(dx, embedded, grads)

    def forward_head(self, hidden):
        """hidden (..., C) -> logits (..., V), cache"""
        return self.ops.unembedding_forward(hidden, self.params[self._head_name()])

    def backward_head(self, dlogits, cache, grads=None):
        """dlogits (..., V) -> dhidden (..., C)"""
        dhidden, dweight = self.ops.unembedding_backward(dlogits, cache)
        (self.grads if grads is None else grads)[self._head_name()] += dweight
        return dhidden

    def _head_name(self):
        return "wte.weight" if self.config.tie else "lm_head.weight"

    def _embed_forward(self, ids, ctx):
        x, tokens = self.ops.embedding_forward(ids, self.params["wte.weight"])  # (B, T, C)
        places = None
        if "wpe.weight" in self.params:
            where = np.broadcast_to(ctx.positions, ids.shape)  # (B, T)
            learned, places = self.ops.embedding_forward(where, self.params["wpe.weight"])
            x = x + learned
        elif self.tables.added is not None:
            x = x + self.tables.added[ctx.positions]
        return x, (tokens, places)

    def _embed_backward(self, dx, cache, grads):
        tokens, places = cache
        grads["wte.weight"] += self.ops.embedding_backward(dx, tokens)  # beside the tied head's gradient
        if places is not None:
            grads["wpe.weight"] += self.ops.embedding_backward(dx, places)

    # Decoding with a cache

    def new_cache(self, batch, length=None, pad=None):
        """An empty KVCache for `batch` rows of up to `length` tokens; pad (B,): left-padding of each row."""
        c = self.config
        shape = (c.n_layer, batch, length or c.block_size, c.kv_heads, c.head_size)
        pad = np.zeros(batch, np.int64) if pad is None else np.asarray(pad, np.int64)
        if pad.shape != (batch,) or (pad < 0).any():
            raise ValueError(f"pad has shape {pad.shape} and begins at {pad.min(initial=0)}; it must hold a number of 0 or more for each of {batch} rows")
        return KVCache(np.zeros(shape, self.dtype), np.zeros(shape, self.dtype), pad)

    def step(self, ids, kv):
        """Read S more tokens per row and predict the next one: the last position of `forward`, at the cost of S tokens.

        ids (B, S), kv: the KVCache, which grows by S -> logits (B, V). Padding tokens may have any id.
        """
        ids, room = self._check_ids(ids, before=kv.length), kv.keys.shape[2]
        planned = kv.plan is not None and kv.plan[0] is self.params
        wanted = None if planned else (self.config.n_layer, self.config.kv_heads, self.config.head_size)
        if wanted and wanted != (made_for := (kv.keys.shape[0], *kv.keys.shape[3:])):
            raise ValueError(f"the cache is for layers, heads and head size {made_for}, this model has {wanted}; make one with its new_cache")
        if len(ids) != len(kv.pad):
            raise ValueError(f"ids have {len(ids)} rows, the cache {len(kv.pad)}; make one for as many with new_cache")
        if kv.length + ids.shape[1] > room:
            raise ValueError(f"the cache holds {room} tokens, {kv.length} are in it and {ids.shape[1]} come; make a longer one with new_cache")
        if ids.shape == (1, 1) and self.backend == "fast":
            from minigpt.nn.kernels import decode  # imports Numba, which the readable backend does without

            if kv.length >= kv.pad[0] and (planned or _has_own_parts(self.config) and decode.supports(self.config)):  # padding sees nothing, which the kernel cannot
                return self._fused_step(decode, ids[0, 0], kv, planned)[None]
        end = kv.length + ids.shape[1]
        index = np.arange(kv.length, end)  # (S,)
        starts = np.minimum(kv.pad[:, None], index) if kv.pad.any() else None  # (B, S); padding sees itself, not nothing
        ctx = self._context((len(ids), end), starts, None, kv.length)
        x, _ = self._embed_forward(ids, ctx)  # (B, S, C)
        for i in range(self.config.n_layer):
            x = layers.block_step(self.params, f"h.{i}", x, kv.keys[i], kv.values[i], kv.length, ctx)
        kv.length = end
        x, _ = NORMS[self.config.norm].forward(self.params, "ln_f", x[:, -1], ctx)  # (B, C)
        return self.forward_head(x)[0]  # (B, V)

    def _fused_step(self, decode, token, kv, planned):
        """`step` for one token of one sequence, by a single kernel. planned: whether the cache has this model's plan. -> logits (V,)

        Two threads read a large model twice as fast, or thirty times as slowly if another program is busy: dozens of times they wait
        for each other, and one of them for its next slice of time.
        """
        if not planned:
            self._half = decode.half_copy(self.params, self._half)
            kv.plan = self.params, decode.decode_plan(self.config, self.params, self.tables, self._half)
        together, start = self.large and not kv.alone, time.perf_counter()
        logits = decode.decode_step(kv.plan[1], token, kv.keys[:, 0], kv.values[:, 0], kv.length, kv.pad[0], together)
        took = time.perf_counter() - start
        if not together:
            kv.alone, kv.seconds = max(0, kv.alone - 1), took
        elif took > 1.5 * kv.seconds:
            kv.alone = RETRY_AFTER
        kv.length += 1
        return logits

    # What every pass needs

    def _check_ids(self, ids, before=0):
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.size == 0 or ids.dtype.kind not in "iu":
            raise ValueError(f"ids have shape {ids.shape} and type {ids.dtype}; they must be (B, T) integers, at least one token")
        T, limit, V = before + ids.shape[1], self.config.block_size, self.config.vocab_size
        if T > limit:
            raise ValueError(f"{T} tokens do not fit the context of {limit}; shorten the text or crop it to its last {limit} tokens")
        low, high = (ids.item(),) * 2 if ids.size == 1 else (int(ids.min()), int(ids.max()))  # decoding: one id, and no time to lose
        if low < 0 or high >= V:
            raise ValueError(f"id {low if low < 0 else high} is outside the vocabulary of {V}; was the text encoded by another tokenizer?")
        return np.ascontiguousarray(ids, np.int32)

    def _context(self, shape, starts, rng, first=0):
        """positions count from each row's start: (T,) without starts, (B, T) with them"""
        positions = np.arange(first, shape[1])  # (T,)
        if starts is not None:
            starts = np.asarray(starts)
            if starts.shape != (shape[0], len(positions)) or starts.dtype.kind not in "iu" or (starts < 0).any() or (starts > positions).any():
                raise ValueError(f"starts {starts.shape} of type {starts.dtype} must be integers in the shape of the ids, between 0 and each token's own place")
            starts = np.ascontiguousarray(starts, np.int32)  # (B, T)
            positions = positions - starts  # (B, T)
        t = self.tables
        turned = (t.cos[positions], t.sin[positions]) if t.cos is not None else (None, None)  # (..., T, D/2)
        tables = SimpleNamespace(cos=turned[0], sin=turned[1], slopes=t.slopes)
        return Context(self.config, self.ops, positions, starts, rng, tables)


def _block_of(config, backend, matmul):
    """The functions of a block: the layers' own, or where there are kernels that do the same in fewer calls, these."""
    if backend == "fast" and matmul == "numba":
        from minigpt.nn.kernels import block  # imports Numba, as above

        if _has_own_parts(config) and block.supports(config):
            return layers.BLOCK._replace(forward=block.block_forward, backward=block.block_backward)
    return layers.BLOCK


def _has_own_parts(config):
    return NORMS[config.norm] is OWN_PARTS.get(config.norm) and MLPS[config.mlp] is OWN_PARTS.get(config.mlp)


def _position_tables(config, dtype):
    """The constants of the position scheme: added (Tmax, C), cos and sin (Tmax, D/2), slopes (H,), None where not used."""
    scheme = POSITIONS[config.position]
    angles = scheme.angles(config) if scheme.angles else None  # float64: a rounded angle would be wrong far from 0
    return SimpleNamespace(
        added=scheme.table(config).astype(dtype) if scheme.table else None,
        cos=np.cos(angles).astype(dtype) if angles is not None else None,
        sin=np.sin(angles).astype(dtype) if angles is not None else None,
        slopes=scheme.slopes(config).astype(dtype) if scheme.slopes else None,
    )
