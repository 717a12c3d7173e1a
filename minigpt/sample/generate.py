"""Generation: read the prompts once into a key/value cache, then one token per row and step."""
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from minigpt.files import short
from minigpt.sample import sampling


@dataclass
class Generation:
    """What came out for one prompt: ids that follow it; stopped: [the stop token], or []; complete: `ends` said so.

    logprobs: log P(token | everything before it), in nats, of each id and of the stop token if there was one. They are the
    model's own, before temperature and filters.
    """

    prompt: list
    ids: list = field(default_factory=list)
    stopped: list = field(default_factory=list)
    logprobs: list = field(default_factory=list)
    complete: bool = False

    @property
    def finish(self):
        """Why it ended: "stop" or "length" (its own limit, or the context is full)."""
        return "stop" if self.stopped or self.complete else "length"


def generate(model, prompts, config, stop=(), allowed=None, on_token=None, ends=None, vocab_size=None):
    """Continue every prompt. prompts: sequences of ids, of any lengths; stop: ids that end a row -> list of Generation.

    config: SampleConfig. allowed(ids) -> ids that may come next, or None, called with each row's new ids. on_token(row, id) is
    called as tokens appear (the stop token is not shown). ends(ids): whether a row with these new ids is complete. A row also
    ends when the context is full; a prompt that fills it is given one token. What a row becomes depends on its prompt, its place in
    the list and the seed, not on the other rows.
    vocab_size: only ids below it are drawn, for a model with more of them than its tokenizer has tokens; None: all.
    """
    stop = stop_ids(stop)
    if vocab_size is not None and not 1 <= vocab_size <= model.config.vocab_size:
        raise ValueError(f"vocab_size is {vocab_size}; it must be at least 1 and at most the model's {model.config.vocab_size}")
    prompts = [np.asarray(p).reshape(-1) for p in prompts]
    limit = model.config.block_size
    for p in prompts:
        if not 0 < len(p) <= limit:
            cure = "shorten it, or crop it" if len(p) else "begin it with a token, such as <|endoftext|>"
            raise ValueError(f"a prompt has {len(p)} tokens; it needs at least 1 and at most the context's {limit}: {cure}")
        if p.dtype.kind not in "iu":
            raise ValueError(f"a prompt holds numbers of type {p.dtype}; ids are whole numbers")
    prompts = [p.astype(np.int64) for p in prompts]
    results = [Generation(p.tolist()) for p in prompts]
    if not prompts or config.max_new_tokens == 0:
        return results
    longest = max(map(len, prompts))
    steps = min(config.max_new_tokens, limit - min(map(len, prompts)) + 1)
    rows = list(range(len(prompts)))  # rows still being written, in the order of the cache
    pad = np.array([longest - len(p) for p in prompts])
    ids = np.stack([np.concatenate([np.zeros(n, np.int64), p]) for n, p in zip(pad, prompts)])  # (B, longest), left-padded
    streams = [np.random.default_rng(None if config.seed is None else [config.seed, row]) for row in rows]
    kv = model.new_cache(len(prompts), min(limit, longest + steps), pad)
    logits = model.step(ids, kv)  # (B, V)
    for _ in range(steps):
        chosen = _choose(logits[:, :vocab_size], rows, prompts, results, config, allowed, streams)  # (B,)
        nll, _ = model.ops.cross_entropy_forward(logits, chosen)  # (B,), - log P of the chosen tokens
        going = []
        for place, (row, token, loss) in enumerate(zip(rows, chosen.tolist(), nll.tolist())):
            if not math.isfinite(loss):
                raise ValueError(sampling.DAMAGED)
            result = results[row]
            result.logprobs.append(-loss)
            if token in stop:
                result.stopped = [token]
                continue
            result.ids.append(token)
            if on_token:
                on_token(row, token)
            result.complete = ends is not None and ends(result.ids)
            if not result.complete and len(result.ids) < config.max_new_tokens and len(prompts[row]) + len(result.ids) < limit:
                going.append(place)
        if not going:
            break
        if len(going) < len(rows):
            order = _keep(kv, going)
            rows, chosen = [rows[place] for place in order], chosen[order]
        _make_room(kv, model.config.block_size)
        logits = model.step(chosen[:, None], kv)  # (B, V)
    return results


def stop_ids(stop):
    """Ids at which a text ends -> frozenset of int; ValueError for a text, which no token need be."""
    ids = sampling.whole_numbers(tuple(stop) if isinstance(stop, Iterator) else stop)
    if ids is None:
        raise ValueError(f"stop is {short(stop)}; it is a list of ids, and InstructGPT's stop_texts are for texts")
    return frozenset(ids)


def _keep(kv, going):
    """Leave only the rows `going` (ascending) in the cache: the last ones move into the gaps. -> which rows now lie there, in order"""
    count = len(going)
    order, last = list(range(count)), [place for place in going if place >= count]
    for gap in sorted(set(order) - set(going)):
        order[gap] = source = last.pop()
        for cached in (kv.keys, kv.values):
            cached[:, gap, : kv.length] = cached[:, source, : kv.length]
    kv.keys, kv.values, kv.pad = kv.keys[:, :count], kv.values[:, :count], kv.pad[order]
    if count == 1:  # the fused step reads one row as a whole
        kv.keys, kv.values = np.ascontiguousarray(kv.keys), np.ascontiguousarray(kv.values)
    return order


def _make_room(kv, limit):
    """Drop columns of the cache that are padding in every row, once it is full: rows of other lengths still have room."""
    least = int(kv.pad.min()) if kv.length + 1 > limit else 0
    if least:
        kv.keys, kv.values = (np.roll(a, -least, axis=2) for a in (kv.keys, kv.values))
        kv.pad, kv.length = kv.pad - least, kv.length - least


def _choose(logits, rows, prompts, results, config, allowed, streams):
    """The next id of each row. logits (B, V) -> (B,)"""
    seen = [np.concatenate([prompts[r], results[r].ids]) for r in rows] if config.repetition_penalty != 1.0 else None
    if config.temperature == 0.0 and seen is None and allowed is None:
        return logits.argmax(axis=1)  # the likeliest token needs no distribution
    if allowed is None:
        p = sampling.distribution(logits, config, seen)  # (B, V)
    else:
        each = [(logits[i : i + 1], None if seen is None else seen[i : i + 1], allowed(results[r].ids)) for i, r in enumerate(rows)]
        p = np.concatenate([sampling.distribution(z, config, s, may) for z, s, may in each])  # (B, V)
    if config.temperature == 0.0:
        return p.argmax(axis=1)
    return sampling.draw(p, np.array([streams[r].random() for r in rows]))
