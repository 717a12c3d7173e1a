"""Encoding, in a few passes over flat arrays.

The class of every byte -> the runs of one class -> the ends of the pieces -> which pieces are the same -> the ids of each
different piece -> the ids of the text. A pass is one function with its loop written out, because a call per piece would
cost more than the work. Products stay below 2^63, so that nothing overflows with NUMBA_DISABLE_JIT=1 either.
"""
import heapq

import numpy as np

from minigpt.jit import jit

NUMBER, SPACE, HAN = 2, 3, 4  # as in splitting.py, whose edits the cache of compiled kernels would not notice
END = 5  # the class of what is between and behind the texts
NONE = 2**62  # no such merge: greater than every rank
SHORT = 64  # tokens up to which looking through all pairs beats a heap


@jit
def byte_classes(data, starts, classes):
    """data, starts from `kernels.pack`, classes (0x110000,) -> the class of the character that each byte belongs to, uint8 (N + 8,)"""
    kinds = np.full(len(data), END, np.uint8)
    for text in range(len(starts) - 1):
        i, stop = starts[text], starts[text + 1] - 1
        while i < stop:
            code = np.int64(data[i])
            if code < 0x80:
                kinds[i] = classes[code]
                i += 1
            else:
                width = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
                code &= 0x7F >> width
                for k in range(i + 1, i + width):
                    code = code << 6 | data[k] & 0x3F
                for k in range(i, i + width):
                    kinds[k] = classes[code]
                i += width
    return kinds


@jit
def run_ends(kinds):
    """The ends of the runs of equal classes, int32 (number of runs,)."""
    ends, n = np.empty(len(kinds) + 1, np.int32), 0
    for i in range(1, len(kinds)):
        ends[n] = i
        n += kinds[i] != kinds[i - 1]  # no branch: what comes next cannot be foretold
    ends[n] = len(kinds)
    return ends[:n + 1]


@jit
def piece_ends(data, starts, classes):
    """The ends of all pieces: what splitting.pattern finds. data, starts, classes as in `byte_classes`.

    -> ends int32 (P,), offsets int64 (number of texts + 1,): text k has the pieces offsets[k] to offsets[k + 1]. The first
    begins at starts[k], every other one where the one before it ends.
    """
    kinds = byte_classes(data, starts, classes)
    runs = run_ends(kinds)
    ends, offsets = np.empty(len(data), np.int32), np.zeros(len(starts), np.int64)
    n, run = 0, 0  # run: the one that `start` is in
    for text in range(len(starts) - 1):
        start, stop = starts[text], starts[text + 1] - 1
        while start < stop:
            while runs[run] <= start:
                run += 1
            end = np.int64(runs[run])
            if kinds[start] == SPACE:
                if kinds[end] <= NUMBER:  # letters, numbers or others follow
                    last = end - 1
                    while data[last] & 0xC0 == 0x80:
                        last -= 1
                    if last > start:
                        end = last  # white space gives its last character back
                    elif data[start] == 32:
                        end = np.int64(runs[run + 1])  # one space goes with what follows
            elif kinds[start] == HAN:
                end = start + (2 if data[start] < 0xE0 else 3 if data[start] < 0xF0 else 4)
            elif data[start] == 39:  # an apostrophe
                a, b = data[start + 1], data[start + 2]
                if a == 115 or a == 116 or a == 109 or a == 100:  # s t m d
                    end = start + 2
                elif (a == 114 or a == 118) and b == 101 or a == 108 and b == 108:  # re ve ll
                    end = start + 3
            ends[n] = end
            n += 1
            start = end
        offsets[text + 1] = n
    return ends[:n], offsets


@jit
def same_pieces(words, starts, ends, offsets):
    """Which pieces are the same. words, starts from `kernels.pack`; ends, offsets from `piece_ends`.

    -> which int32 (P,): the number of each piece among the U different ones, in order of appearance; firsts, lengths
    int32 (U,): where each different one first is.
    """
    which, firsts, lengths = np.empty(len(ends), np.int32), np.empty(len(ends), np.int32), np.empty(len(ends), np.int32)
    table, used = np.zeros((1024, 2), np.int64), 0  # key; length << 32 | number + 1, which is 0 in an empty row
    for text in range(len(starts) - 1):
        start = starts[text]
        for piece in range(offsets[text], offsets[text + 1]):
            end = np.int64(ends[piece])
            length = end - start
            key = words[start]
            if length < 8:
                key &= (1 << 8 * length) - 1  # up to 8 bytes the key is the piece itself
            for i in range(start + 8, end, 8):
                key = (key & 0xFFFFFFFF) * 0x5E3779B1 ^ key >> 31 ^ words[min(i, end - 8)]
            row = first_row(table, key)
            while table[row, 1]:
                if table[row, 0] == key and table[row, 1] >> 32 == length:
                    same, i = np.int64(firsts[(table[row, 1] & 0xFFFFFFFF) - 1]), 0 if length > 8 else length
                    while i < length and words[same + min(i, length - 8)] == words[start + min(i, length - 8)]:
                        i += 8
                    if i >= length:
                        break
                row = row + 1 & len(table) - 1
            number = (table[row, 1] & 0xFFFFFFFF) - 1
            if number < 0:
                number = used
                firsts[used], lengths[used] = start, length
                used += 1
                table[row, 0], table[row, 1] = key, length << 32 | used
                if 2 * used > len(table):
                    table = grow(table)
            which[piece] = number
            start = end
    return which, firsts[:used].copy(), lengths[:used].copy()


@jit
def first_row(table, key):
    """Where the search for a key begins in a hash table of 2^k rows."""
    return ((key & 0xFFFFFFFF) * 0x5E3779B1 ^ (key >> 32) * 0x45EBCA6B) >> 20 & len(table) - 1


@jit
def grow(table):
    """A table of twice the rows with the same entries."""
    larger = np.zeros((2 * len(table), 2), np.int64)
    for k in range(len(table)):
        if table[k, 1]:
            row = first_row(larger, table[k, 0])
            while larger[row, 1]:
                row = row + 1 & len(larger) - 1
            larger[row, 0], larger[row, 1] = table[k, 0], table[k, 1]
    return larger


@jit
def merge_table(merges, merged):
    """merges int32 (M, 2) ids, merged int32 (M,) ids -> hash table int64 (2^k, 2): left << 32 | right; rank << 32 | id, NONE if empty."""
    size = 16
    while size < 3 * len(merges):
        size *= 2
    table = np.full((size, 2), NONE)
    for rank in range(len(merges)):
        key = np.int64(merges[rank, 0]) << 32 | merges[rank, 1]
        row = first_row(table, key)
        while table[row, 1] != NONE and table[row, 0] != key:
            row = row + 1 & size - 1
        table[row, 0], table[row, 1] = key, np.int64(rank) << 32 | merged[rank]  # of equal pairs the last counts
    return table


@jit
def look_up(table, left, right):
    """rank << 32 | id of the merge of two ids; NONE if they do not merge."""
    key = np.int64(left) << 32 | right
    row = first_row(table, key)
    while table[row, 1] != NONE and table[row, 0] != key:
        row = row + 1 & len(table) - 1
    return table[row, 1]


@jit
def merge_short(ids, table, ranks):
    """bpe.merge on ids int32 (n,), in place, looking through all pairs each time -> how many ids are left. ranks (n,) is scratch."""
    n = len(ids)
    for k in range(n - 1):
        ranks[k] = look_up(table, ids[k], ids[k + 1])
    while n > 1:
        best = np.argmin(ranks[:n - 1])  # the leftmost of equals
        if ranks[best] == NONE:
            break
        ids[best] = ranks[best] & 0xFFFFFFFF
        n -= 1
        for k in range(best + 1, n):
            ids[k], ranks[k - 1] = ids[k + 1], ranks[k]
        if best + 1 < n:
            ranks[best] = look_up(table, ids[best], ids[best + 1])
        if best > 0:
            ranks[best - 1] = look_up(table, ids[best - 1], ids[best])
    return n


@jit
def merge_long(ids, table):
    """bpe.merge on ids int32 (n,), in place, as it stands there: with a heap, in n log n steps -> how many ids are left."""
    n = len(ids)
    after, before = np.arange(1, n + 1), np.arange(-1, n - 1)
    heap = [look_up(table, ids[k], ids[k + 1]) >> 32 << 32 | k for k in range(n - 1)]  # rank << 32 | position
    heapq.heapify(heap)
    while len(heap):
        best = heapq.heappop(heap)
        i = best & 0xFFFFFFFF
        j = after[i]
        if ids[i] < 0 or j >= n:
            continue
        found = look_up(table, ids[i], ids[j])
        if found == NONE or found >> 32 != best >> 32:
            continue  # an earlier merge took one of the two
        ids[i], ids[j] = found & 0xFFFFFFFF, -1
        after[i] = k = after[j]
        if k < n:
            before[k] = i
            heapq.heappush(heap, look_up(table, ids[i], ids[k]) >> 32 << 32 | i)
        if before[i] >= 0:
            heapq.heappush(heap, look_up(table, ids[before[i]], ids[i]) >> 32 << 32 | before[i])
    kept = 0
    for k in range(n):
        ids[kept] = ids[k]
        kept += ids[k] >= 0
    return kept


@jit
def merge_pieces(data, firsts, lengths, byte_ids, table):
    """The ids of U different pieces, each merged alone: pool int32 (M,), pool_starts int64 (U + 1,)."""
    pool, pool_starts = np.empty(lengths.sum(), np.int32), np.zeros(len(lengths) + 1, np.int64)
    ranks = np.empty(SHORT, np.int64)
    n = 0
    for piece in range(len(lengths)):
        ids = pool[n:n + lengths[piece]]
        for k in range(len(ids)):
            ids[k] = byte_ids[data[firsts[piece] + k]]
        n += merge_short(ids, table, ranks) if len(ids) <= SHORT else merge_long(ids, table)
        pool_starts[piece + 1] = n
    return pool[:n], pool_starts


@jit
def encode(data, words, starts, classes, byte_ids, table):
    """Texts -> their ids end to end. data, words, starts from `kernels.pack`; classes (0x110000,); byte_ids int32 (256,); table: merges.

    -> ids int32 (N,), id_offsets int64 (number of texts + 1,)
    """
    ends, offsets = piece_ends(data, starts, classes)
    which, firsts, lengths = same_pieces(words, starts, ends, offsets)
    pool, pool_starts = merge_pieces(data, firsts, lengths, byte_ids, table)
    id_offsets, n = np.zeros(len(starts), np.int64), 0
    for text in range(len(starts) - 1):
        for piece in range(offsets[text], offsets[text + 1]):
            n += pool_starts[which[piece] + 1] - pool_starts[which[piece]]
        id_offsets[text + 1] = n
    ids, n = np.empty(n, np.int32), 0
    for piece in which:
        for k in range(pool_starts[piece], pool_starts[piece + 1]):
            ids[n] = pool[k]
            n += 1
    return ids, id_offsets


@jit
def count_pieces(data, words, starts, classes):
    """Texts as in `encode` -> the different pieces in order of appearance: firsts, lengths int32, counts int64, (U,) each."""
    ends, offsets = piece_ends(data, starts, classes)
    which, firsts, lengths = same_pieces(words, starts, ends, offsets)
    counts = np.zeros(len(firsts), np.int64)
    for piece in which:
        counts[piece] += 1
    return firsts, lengths, counts
