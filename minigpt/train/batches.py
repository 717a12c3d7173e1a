"""Batches: what the model reads at step s. Every batch is a pure function of (data, seed, step): resuming needs no more."""
import dataclasses
import functools
from dataclasses import dataclass

import numpy as np


@dataclass
class Batch:
    """ids, targets (B, T) int32; mask (B, T) float32 or None: which targets count; starts (B, T) int32 or None."""

    ids: np.ndarray
    targets: np.ndarray
    mask: np.ndarray | None = None
    starts: np.ndarray | None = None

    def tokens(self):
        """Number of targets that count."""
        return float(self.targets.size if self.mask is None else self.mask.sum(dtype=np.float64))

    def shards(self, count):
        """The batch in `count` pieces of almost equal size along B; fewer when there are fewer rows."""
        arrays, count = (self.ids, self.targets, self.mask, self.starts), min(count, len(self.ids))
        return [Batch(*parts) for parts in zip(*([None] * count if a is None else np.array_split(a, count) for a in arrays))]


@dataclass
class Rows:
    """A data set in rows of T+1 tokens: tokens (R, T+1) int32; starts (R, T+1) int32 or None; mask (R, T+1) float32 or None."""

    tokens: np.ndarray
    starts: np.ndarray | None = None
    mask: np.ndarray | None = None

    def __len__(self):
        return len(self.tokens)

    def batch(self, rows):
        """The given rows as a Batch: position t predicts token t+1, and counts if the mask keeps token t+1."""
        tokens = self.tokens[rows]
        mask = None if self.mask is None else self.mask[rows, 1:]
        starts = None if self.starts is None else self.starts[rows, :-1]
        if starts is not None:  # never predict the first token of a document from the end of another
            inside = (self.starts[rows, 1:] == starts).astype(np.float32)
            mask = inside if mask is None else mask * inside
        return Batch(tokens[:, :-1], tokens[:, 1:], mask, starts)


def document_stream(documents, tok, tokens, watch=None):
    """Encode documents, each followed by <|endoftext|>, until there are `tokens` tokens -> ids (N,) int32, first (N,) bool.

    watch(count), if given, is told the number of tokens after every document.
    """
    end = tok.special_tokens.get("<|endoftext|>")
    if end is None:
        raise ValueError("this tokenizer has no <|endoftext|>, which ends every document: `python -m minigpt import FOLDER --chat` adds it to a model folder")
    ids, first, count = [], [], 0
    for document in documents:
        piece = np.array(tok.encode_ordinary(document) + [end], np.int32)
        opening = np.zeros(len(piece), bool)
        opening[0] = True
        ids.append(piece)
        first.append(opening)
        count += len(piece)
        if watch:
            watch(count)
        if count >= tokens:
            break
    if not ids:
        raise ValueError("there is no document to train on; is the text empty?")
    return np.concatenate(ids), np.concatenate(first)


def rows_from_stream(ids, T, first=None):
    """Cut one long stream into rows of T+1 tokens that overlap by one: each is predicted once. What fills no row is left out.

    ids (N,), first (N,) bool: a document begins here; None: all is one document -> Rows
    """
    count = (len(ids) - 1) // T
    if count < 1:
        raise ValueError(f"{len(ids)} tokens are too few, for a row has {T + 1}: give more text or a smaller block_size")
    index = np.arange(count)[:, None] * T + np.arange(T + 1)  # (R, T+1)
    opening = np.maximum.accumulate(np.where(False if first is None else first, np.arange(len(ids)), 0))  # (N,), where each token's document began
    starts = np.maximum(opening[index] - index[:, :1], 0).astype(np.int32)  # (R, T+1), counted from the row's first token
    return Rows(ids[index], starts)


def pack(examples, T, pad):
    """Whole examples side by side in rows of T+1 tokens; what does not fit an open row opens a new one (first fit).

    examples: (ids, mask) one after the other -> Rows. They are kept until all have their place: give arrays, for lists of numbers
    take eight times the room. An example is never cut: one longer than T+1 is an error.
    """
    rows, room, open_rows = [], [], []
    for number, (ids, mask) in enumerate(examples, 1):
        if len(ids) > T + 1:
            raise ValueError(f"example {number} has {len(ids)} tokens, a row holds {T + 1}; shorten it or raise block_size")
        place = next((r for r in open_rows if room[r] >= len(ids)), None)
        if place is None:
            place = len(rows)
            rows.append([])
            room.append(T + 1)
            open_rows.append(place)
        rows[place].append((ids, mask))
        room[place] -= len(ids)
        open_rows = [r for r in open_rows if room[r] >= 16][-64:]  # a short list of candidates keeps this linear
    tokens = np.full((len(rows), T + 1), pad, np.int32)
    starts, keep = np.zeros(tokens.shape, np.int32), np.zeros(tokens.shape, np.float32)
    for r, parts in enumerate(rows):
        at = 0
        for ids, mask in parts:
            tokens[r, at : at + len(ids)], keep[r, at : at + len(ids)] = ids, mask
            starts[r, at : at + len(ids)] = at
            at += len(ids)
        starts[r, at:] = at  # the padding is a document of its own, never counted
    return Rows(tokens, starts, keep)


def whole_rows(config, T):
    """A TrainConfig whose batch_tokens are what a step really reads: whole rows of T tokens, at least one, no more than asked for -> TrainConfig"""
    return dataclasses.replace(config, batch_tokens=max(1, min(config.batch_tokens, config.tokens) // T) * T)


def batch_at(step, rows, count, seed):
    """`count` rows for step `step`: every epoch reads all rows once in an order drawn from (seed, epoch)."""
    if len(rows) == 0:
        raise ValueError("there are no rows to train on; give more text or more conversations")
    wanted = np.arange(step * count, (step + 1) * count)  # row numbers if the data were endless
    picked = np.empty(count, np.int64)
    for epoch in range(wanted[0] // len(rows), wanted[-1] // len(rows) + 1):
        here = wanted // len(rows) == epoch
        picked[here] = _order(seed, epoch, len(rows))[wanted[here] % len(rows)]
    return rows.batch(picked)


@functools.lru_cache(maxsize=4)
def _order(seed, epoch, count):
    """The rows of one epoch in their order. Kept: for 300,000 rows, drawing it takes a tenth of a small model's step."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def join(first, second):
    """Two batches of the same T, with masks and starts, as one: the rows of `second` evenly among those of `first`.

    At the end they would all be in the last shard, and the other shards' workers would wait for it where they cost more.
    """
    rows, added = len(first.ids) + len(second.ids), len(second.ids)
    late = np.isin(np.arange(rows), (np.arange(added) + 1) * rows // max(added, 1) - 1)  # (rows,), which are of `second`
    order = np.empty(rows, np.int64)
    order[~late], order[late] = np.arange(len(first.ids)), len(first.ids) + np.arange(added)
    return Batch(*(np.concatenate(pair)[order] for pair in zip(vars(first).values(), vars(second).values())))
