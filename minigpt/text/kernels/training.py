"""Learning merges, with linked positions and a heap: the time goes with what changes, not with the size of the corpus."""
import numpy as np

from minigpt.jit import jit


@jit
def learn_merges(data, lengths, weights, n_merges):
    """bpe.learn_merges. data uint8 (N,) the different pieces end to end; lengths, weights int64 (U,): how long, how often.

    -> merges int32 (up to n_merges, 2). A pair links its occurrences through the positions themselves and waits in a heap
    ordered as the rule says; a count that fell meanwhile is corrected when the pair comes up.
    """
    n, size = len(data), 256 + n_merges
    tokens, weight, after, before = start_tokens(data, lengths, weights)
    spelling = np.zeros((size, 2), np.int64)  # where in data a token is written, and its length
    pairs, counts = np.empty((3 * n + 1, 4), np.int32), np.zeros(3 * n + 1, np.int64)  # left, right, first and last occurrence
    links, pair_at = np.empty((n, 2), np.int32), np.full(n, -1, np.int32)  # the previous and the next occurrence
    heap = np.empty((3 * n + 2, 2), np.int64)  # count, pair; heap[0, 0] is how many wait
    heap[0, 0], n_pairs = 0, 0
    number_of = np.full((256, 256), -1, np.int32)
    for i in range(n):
        spelling[data[i], 0], spelling[data[i], 1] = i, 1
        if after[i] < n:
            left, right = tokens[i], tokens[after[i]]
            if number_of[left, right] < 0:
                number_of[left, right] = n_pairs
                n_pairs = add_pair(pairs, n_pairs, left, right)
            gain(number_of[left, right], i, weight, pairs, counts, links, pair_at)
    for pair in range(n_pairs):
        push(pair, heap, counts, pairs, spelling, data)
    merges, made = np.empty((n_merges, 2), np.int32), 0
    before_new, behind_new = np.full(size, -1, np.int32), np.full(size, -1, np.int32)  # numbers of the pairs (x, new), (new, x)
    while made < n_merges:
        best = pop(heap, counts, pairs, spelling, data)
        if best < 0:
            break
        new, born = 256 + made, n_pairs
        merges[made, 0], merges[made, 1] = pairs[best, 0], pairs[best, 1]
        made += 1
        spelling[new, 0] = pairs[best, 2]
        spelling[new, 1] = spelling[pairs[best, 0], 1] + spelling[pairs[best, 1], 1]
        while pairs[best, 2] >= 0:
            i = np.int64(pairs[best, 2])
            j = after[i]
            h, k = before[i], after[j]  # h i j k become h i k
            lose(i, weight, pairs, counts, links, pair_at)
            if h >= 0:
                lose(h, weight, pairs, counts, links, pair_at)
            if k < n:
                lose(j, weight, pairs, counts, links, pair_at)
                before[k] = i
            tokens[i], after[i] = new, k
            if h >= 0:
                if before_new[tokens[h]] < 0:
                    before_new[tokens[h]] = n_pairs
                    n_pairs = add_pair(pairs, n_pairs, tokens[h], new)
                gain(before_new[tokens[h]], h, weight, pairs, counts, links, pair_at)
            if k < n:
                if behind_new[tokens[k]] < 0:
                    behind_new[tokens[k]] = n_pairs
                    n_pairs = add_pair(pairs, n_pairs, new, tokens[k])
                gain(behind_new[tokens[k]], i, weight, pairs, counts, links, pair_at)
        for pair in range(born, n_pairs):
            before_new[pairs[pair, 0]] = behind_new[pairs[pair, 1]] = -1
            push(pair, heap, counts, pairs, spelling, data)
    return merges[:made].copy()


@jit
def start_tokens(data, lengths, weights):
    """Every byte a token: tokens int32, weight int64, after and before int64, (N,) each; N and -1: no neighbour in this piece."""
    n = len(data)
    tokens, weight = np.empty(n, np.int32), np.empty(n, np.int64)
    after, before = np.arange(1, n + 1), np.arange(-1, n - 1)
    start = 0
    for piece in range(len(lengths)):
        end = start + lengths[piece]
        before[start], after[end - 1] = -1, n
        for i in range(start, end):
            tokens[i], weight[i] = data[i], weights[piece]
        start = end
    return tokens, weight, after, before


@jit
def add_pair(pairs, n_pairs, left, right):
    """A new pair without occurrences -> how many there are now."""
    pairs[n_pairs, 0], pairs[n_pairs, 1], pairs[n_pairs, 2], pairs[n_pairs, 3] = left, right, -1, -1
    return n_pairs + 1


@jit
def gain(pair, i, weight, pairs, counts, links, pair_at):
    """The pair occurs at position i from now on. Positions come in increasing order, so `aaa` will merge from the left."""
    last = pairs[pair, 3]
    if last < 0:
        pairs[pair, 2] = i
    else:
        links[last, 1] = i
    links[i, 0], links[i, 1] = last, -1
    pairs[pair, 3] = i
    pair_at[i] = pair
    counts[pair] += weight[i]


@jit
def lose(i, weight, pairs, counts, links, pair_at):
    """The pair at position i occurs there no longer."""
    pair, previous, following = pair_at[i], links[i, 0], links[i, 1]
    if previous < 0:
        pairs[pair, 2] = following
    else:
        links[previous, 1] = following
    if following < 0:
        pairs[pair, 3] = previous
    else:
        links[following, 0] = previous
    counts[pair] -= weight[i]


@jit
def push(pair, heap, counts, pairs, spelling, data):
    """Let a pair wait with the count that it has now, unless that is 0."""
    if counts[pair] > 0:
        heap[0, 0] += 1
        hole = heap[0, 0]
        while hole > 1 and wins(counts[pair], pair, heap[hole // 2, 0], heap[hole // 2, 1], pairs, spelling, data):
            heap[hole, 0], heap[hole, 1] = heap[hole // 2, 0], heap[hole // 2, 1]
            hole //= 2
        heap[hole, 0], heap[hole, 1] = counts[pair], pair


@jit
def pop(heap, counts, pairs, spelling, data):
    """The most frequent pair, taken out; -1 if none waits. The heap's root is row 1, the children of k are 2k and 2k + 1."""
    while heap[0, 0]:
        count, pair = heap[1, 0], heap[1, 1]
        now = counts[pair]
        best = pair if now == count else -1
        if best >= 0 or now == 0:  # take the last one's place
            last = heap[0, 0]
            heap[0, 0] = last - 1
            now, pair = heap[last, 0], heap[last, 1]
        hole, waiting = 1, heap[0, 0]
        while 2 * hole <= waiting:
            child = 2 * hole
            if child < waiting and wins(heap[child + 1, 0], heap[child + 1, 1], heap[child, 0], heap[child, 1], pairs, spelling, data):
                child += 1
            if not wins(heap[child, 0], heap[child, 1], now, pair, pairs, spelling, data):
                break
            heap[hole, 0], heap[hole, 1] = heap[child, 0], heap[child, 1]
            hole = child
        heap[hole, 0], heap[hole, 1] = now, pair
        if best >= 0:
            return best
    return -1


@jit
def wins(count, pair, other_count, other, pairs, spelling, data):
    """Is a pair more frequent than another, or of equal frequency and the greater pair of byte strings?"""
    if count != other_count:
        return count > other_count
    for side in range(2):
        a, b = spelling[pairs[pair, side]], spelling[pairs[other, side]]
        for k in range(min(a[1], b[1])):
            if data[a[0] + k] != data[b[0] + k]:
                return data[a[0] + k] > data[b[0] + k]
        if a[1] != b[1]:
            return a[1] > b[1]
    return False
