"""Byte-pair encoding on bytes (Sennrich et al. 2016; GPT-2, Radford et al. 2019): learning merges and applying them."""
import heapq
import itertools
from collections import Counter

import numpy as np

from minigpt.text.splitting import pattern


def count_pieces(texts, split):
    """How often each piece occurs in the texts: {its UTF-8: count}."""
    counts = Counter(piece for text in texts for piece in pattern(split).findall(text))
    return {piece.encode("utf-8"): count for piece, count in counts.items()}


def learn_merges(piece_counts, n_merges):
    """Learn up to n_merges merges from pieces of text, most frequent pair first; of equals the greater pair of byte strings.

    piece_counts {bytes: how often} -> [(left id, right id), ...] in order; ids 0-255 are the byte values, then the merges.
    Fewer come back when no pair is left. Counts change only where a merge touches them: a pair is born with all its
    occurrences when the newer of its two tokens is made, and only loses occurrences afterwards.
    """
    lengths = np.array([len(piece) for piece in piece_counts], np.int64)
    flat = np.frombuffer(b"".join(piece_counts), np.uint8)
    n = len(flat)  # also the index that stands for "no neighbour"
    ends = np.cumsum(lengths)
    tokens = np.append(flat, 0).astype(np.int32)
    weight = np.append(np.repeat(np.fromiter(piece_counts.values(), np.int64, len(lengths)), lengths), 0)
    after, before = np.arange(1, n + 2, dtype=np.int32), np.arange(-1, n, dtype=np.int32)
    after[ends - 1] = before[ends - lengths] = after[n] = before[n] = n
    pair_at = np.full(n + 1, -1, np.int32)  # number of the pair that starts at a position
    pairs, counts = [], np.zeros(0, np.int64)
    vocabulary, merges = [bytes([b]) for b in range(256)], []

    def add_pairs(starts, counts):
        """Number and count the pairs that start at these positions, all of them new."""
        codes, inverse = np.unique(tokens[starts].astype(np.int64) << 32 | tokens[after[starts]], return_inverse=True)
        pair_at[starts] = len(pairs) + inverse
        pairs.extend((code >> 32, code & 0xFFFFFFFF) for code in codes.tolist())
        born = np.zeros(len(codes), np.int64)
        np.add.at(born, inverse, weight[starts])
        return np.append(counts, born)

    counts = add_pairs(np.flatnonzero(after[:n] < n), counts)
    while len(merges) < n_merges and len(counts) and counts.max() > 0:
        ties = np.flatnonzero(counts == counts.max()).tolist()
        best = max(ties, key=lambda k: (vocabulary[pairs[k][0]], vocabulary[pairs[k][1]]))
        left, right = pairs[best]
        at = np.flatnonzero(pair_at == best)
        if left == right:
            at = every_other(at, after)
        gone = after[at]
        touched = np.unique(np.concatenate([before[at], at, gone]))
        touched = touched[pair_at[touched] >= 0]
        np.subtract.at(counts, pair_at[touched], weight[touched])
        pair_at[touched] = -1
        tokens[at] = 256 + len(merges)
        after[at] = after[gone]
        before[after[at]] = at
        before[n] = n
        changed = np.unique(np.concatenate([before[at], at]))
        counts = add_pairs(changed[after[changed] < n], counts)
        merges.append((left, right))
        vocabulary.append(vocabulary[left] + vocabulary[right])
    return merges


def every_other(starts, after):
    """Of overlapping pairs (as in `aaa`) keep the first, third, ... of each chain: leftmost first.

    starts (n,) increasing positions of a pair of two equal tokens -> the positions that merge.
    """
    index = np.arange(len(starts))
    chained = np.zeros(len(starts), bool)
    chained[1:] = after[starts[:-1]] == starts[1:]
    chain_start = np.maximum.accumulate(np.where(chained, 0, index))
    return starts[(index - chain_start) % 2 == 0]


def merge(tokens, ranks, merged, on_merge=None):
    """Apply merges to the tokens of one piece: lowest rank first, leftmost first, in n log n steps.

    tokens list of ids; ranks {(left id, right id): rank}; merged [id by rank] -> list of ids.
    on_merge(rank, tokens so far), if given, is called after each merge.
    """
    tokens = list(tokens)
    n = len(tokens)
    after, before = list(range(1, n + 1)), list(range(-1, n - 1))
    heap = [(ranks[pair], i) for i, pair in enumerate(zip(tokens, tokens[1:])) if pair in ranks]
    heapq.heapify(heap)
    while heap:
        rank, i = heapq.heappop(heap)
        j = after[i]
        if j >= n or ranks.get((tokens[i], tokens[j])) != rank:
            continue  # an earlier merge took one of the two
        tokens[i], tokens[j] = merged[rank], None
        after[i] = k = after[j]
        if k < n:
            before[k] = i
            push(heap, ranks.get((tokens[i], tokens[k])), i)
        if before[i] >= 0:
            push(heap, ranks.get((tokens[before[i]], tokens[i])), before[i])
        if on_merge:
            on_merge(rank, [t for t in tokens if t is not None])
    return [t for t in tokens if t is not None]


def push(heap, rank, position):
    """Queue the pair at a position if it has a rank at all."""
    if rank is not None:
        heapq.heappush(heap, (rank, position))


class PieceIds(dict):
    """{piece of text: its ids}, filled when a piece is first met; most pieces of a text are words met before."""

    def __init__(self, byte_ids, ranks, merged):
        self.byte_ids, self.ranks, self.merged = byte_ids, ranks, merged

    def __missing__(self, piece):
        ids = merge([self.byte_ids[byte] for byte in piece.encode("utf-8")], self.ranks, self.merged)
        if len(self) >= 2**16:  # so that memory stays flat whatever is encoded
            self.clear()
        if len(piece) < 64:
            self[piece] = ids
        return ids


def encoder(byte_ids, merges, merged, split):
    """The ids of the 256 bytes, merges [(left, right)], the ids that they make -> function: texts -> ids, offsets.

    ids int32 (N,) of all texts end to end; those of text i are ids[offsets[i]:offsets[i + 1]].
    """
    known, find = PieceIds(byte_ids, rank_table(merges), merged), pattern(split).findall

    def encode(texts):
        ids = [list(itertools.chain.from_iterable(map(known.__getitem__, find(text)))) for text in texts]
        offsets = np.cumsum([0] + [len(part) for part in ids], dtype=np.int64)
        return np.fromiter(itertools.chain.from_iterable(ids), np.int32, offsets[-1]), offsets

    return encode


def rank_table(merges):
    """[(left, right)] -> {(left, right): rank}; of equal pairs the last counts, as in tokenizers."""
    return {pair: rank for rank, pair in enumerate(merges)}
