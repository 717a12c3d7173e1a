"""The matrix product, from three loops to the speed of BLAS; the last three functions are what the model uses.

    naive      one sum after the other, b read down its columns          2 GFLOP/s
    reordered  a row of b at a time: vector instructions                60
    blocked    the same on pieces that stay in the cache                40: the processor fetches ahead anyway
    product    tiles held in registers, b copied into panels           250 (OpenBLAS: 250)

of one core with AVX-512 (`python -m minigpt bench` for yours). Every size is allowed; `product`'s edges are padded.
"""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.primitives import SQUARE, copy_row, transpose_square
from minigpt.nn.kernels.tile import COLUMNS, ROWS, aligned, tile, tile_transposed

DEPTH = 256  # terms of the sum done at once: a panel of DEPTH x COLUMNS numbers fits into the first-level cache
SLAB, TOGETHER = 65536, 8  # numbers of the left operand that stay in the second-level cache for that many panels
SHALLOW, BLOCK = 128, 32  # the same for a transposed product, and how many tiles' columns of its left operand lie beside them
GAP = 2  # unused rows between them: tiles that begin a power of two apart would share a few places of the first-level cache


@jit
def naive(a, b, out):
    """out = a @ b as it is defined. a (M, K), b (K, N), out (M, N)"""
    for i in range(len(a)):
        for j in range(b.shape[1]):
            total = a.dtype.type(0)
            for k in range(len(b)):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@jit
def reordered(a, b, out):
    """out = a @ b with the loop over j inside: neighbours in memory are used together."""
    for i in range(len(a)):
        row = out[i]
        row[:] = 0
        for k in range(len(b)):
            factor, other = a[i, k], b[k]
            for j in range(len(row)):
                row[j] += factor * other[j]


@jit
def blocked(a, b, out):
    """out = a @ b, reordered, on pieces of b that stay in the cache while all rows of a pass over them."""
    out[:] = 0
    for first in range(0, len(b), 64):
        for i in range(len(a)):
            row = out[i]
            for k in range(first, min(first + 64, len(b))):
                factor, other = a[i, k], b[k]
                for j in range(len(row)):
                    row[j] += factor * other[j]


@jit
def product(a, b, bias, out):
    """out = a @ b + bias. a (M, K), b (K, N), bias (1, N), out (M, N)"""
    _by_panels(a, b, bias, out, 0)


@jit
def product_with_transposed(a, b, out):
    """out = a @ b.T. a (M, K), b (N, K), out (M, N)"""
    _by_panels(a, b, np.zeros((1, len(b)), a.dtype), out, 1)


@jit
def _by_panels(a, b, bias, out, turned):
    """out = a @ b + bias, with turned = 1 a @ b.T + bias"""
    (M, K), N = a.shape, out.shape[1]
    if K == 0:  # a sum without terms; `out[:] = bias` would compile the message of an error for three seconds
        for i in range(M):
            for j in range(N):
                out[i, j] = bias[0, j]
    copies, edge = aligned(TOGETHER, DEPTH, COLUMNS, a), _last_rows(a)
    for left in range(0, N, TOGETHER * COLUMNS):
        for first in range(0, K, DEPTH):
            depth = min(DEPTH, K - first)
            height = SLAB // depth // ROWS * ROWS
            for low in range(0, M, height):
                rows, to = a[low : low + height], out[low : low + height]
                for j in range(left, min(left + TOGETHER * COLUMNS, N), COLUMNS):
                    panel = copies[(j - left) // COLUMNS if height < M else 0, :depth]
                    if low == 0:
                        _pack_transposed(b, first, depth, j, panel) if turned else _pack(b, first, depth, j, panel)
                    _rows(rows, edge, first, panel, bias, to, j)


@jit
def product_with_itself(a, out):
    """out = a @ a.T, of which the half above the diagonal is copied from the half below. a (M, K), out (M, M)"""
    panel, edge, zero = aligned(1, DEPTH, COLUMNS, a)[0], _last_rows(a), np.zeros((1, len(a)), a.dtype)
    if a.shape[1] == 0:
        out[:] = 0
    for first in range(0, a.shape[1], DEPTH):
        depth = min(DEPTH, a.shape[1] - first)
        for j in range(0, len(a), COLUMNS):
            _pack_transposed(a, first, depth, j, panel)
            _rows(a, edge, first, panel[:depth], zero, out, j, j // ROWS * ROWS)
    whole = len(a) // SQUARE * SQUARE
    for i in range(0, whole, SQUARE):
        for j in range(0, i, SQUARE):
            transpose_square(out, i, j, out, j, i)
    for i in range(whole, len(a)):
        for j in range(i):
            out[j, i] = out[i, j]


@jit
def product_of_transposed(a, b, out, added):
    """out = a.T @ b, or with added = 1 out += a.T @ b. a (K, M), b (K, N), out (M, N)

    A tile needs ROWS neighbours of every row of a, so it would read from as many pages of memory as there are rows: blocks of a
    are copied, tile by tile, and used for all of b's columns.
    """
    M, N = a.shape[1], b.shape[1]
    if len(b) == 0 and not added:
        out[:] = 0
    panel, block = aligned(1, SHALLOW, COLUMNS, a)[0], np.empty((BLOCK * (SHALLOW + GAP), ROWS), a.dtype)
    square, zero = _square(a), np.zeros((1, COLUMNS), a.dtype)
    for low in range(0, M, BLOCK * ROWS):
        high = min(low + BLOCK * ROWS, M)
        for first in range(0, len(b), SHALLOW):
            depth = min(SHALLOW, len(b) - first)
            _pack_columns(a, first, depth, low, high, block)
            for j in range(0, N, COLUMNS):
                _pack(b, first, depth, j, panel)
                for i in range(low, high, ROWS):
                    at = (i - low) // ROWS * (SHALLOW + GAP)
                    if i + ROWS > M or j + COLUMNS > N:
                        tile_transposed(block, at, 0, panel, 0, depth, zero, 0, 0, 0, square, 0, 0)
                        _store_edge(square, first + added, out, i, j)
                    elif first + added == 0:
                        tile_transposed(block, at, 0, panel, 0, depth, zero, 0, 0, 0, out, i, j)
                    else:
                        tile_transposed(block, at, 0, panel, 0, depth, out, i, j, 1, out, i, j)


@jit
def _rows(a, edge, first, panel, bias, out, j, low=0):
    """One panel's columns of `out`, from row `low` on; sums that began in an earlier slab (first > 0) go on."""
    whole, depth = len(a) // ROWS * ROWS, len(panel)
    if j + COLUMNS <= out.shape[1]:
        for i in range(low, whole, ROWS):
            if first == 0:
                tile(a, i, 0, panel, 0, depth, bias, 0, j, 0, out, i, j)
            else:
                tile(a, i, first, panel, 0, depth, out, i, j, 1, out, i, j)
    else:
        _edge_rows(a[low:], first, panel, bias, out, low, whole, j)
    if whole < len(a):
        _edge_rows(edge, first, panel, bias, out, whole, len(a), j)


@jit
def _edge_rows(a, first, panel, bias, out, low, high, j):
    """Rows low .. high of `out` through a square of their own: tiles that would reach over an edge of `out`"""
    square, start = _square(a), np.zeros((1, COLUMNS), a.dtype)
    for c in range(min(COLUMNS, out.shape[1] - j)):
        start[0, c] = bias[0, j + c] if first == 0 else 0
    for i in range(low, high, ROWS):
        tile(a, i - low, first, panel, 0, len(panel), start, 0, 0, 0, square, 0, 0)
        _store_edge(square, first, out, i, j)


@jit
def _store_edge(square, first, out, i, j):
    """The part of `square` that lies in `out`; that of a later slab (first > 0) is added"""
    for r in range(min(ROWS, len(out) - i)):
        row = out[i + r, j : j + COLUMNS]
        for c in range(len(row)):
            row[c] = square[r, c] if first == 0 else row[c] + square[r, c]


@jit
def _square(like):
    return np.empty((ROWS, COLUMNS), like.dtype)


@jit
def _last_rows(a):
    """The rows of a that do not fill a tile, with zeros below them. (ROWS, K)"""
    edge = np.zeros((ROWS, a.shape[1]), a.dtype)
    whole = len(a) // ROWS * ROWS
    for i in range(whole, len(a)):
        for k in range(a.shape[1]):
            edge[i - whole, k] = a[i, k]
    return edge


@jit
def _pack(b, first, depth, j, panel):
    """panel[k, c] = b[first+k, j+c], zeros beyond b's last column"""
    if j + COLUMNS <= b.shape[1]:
        for k in range(depth):
            copy_row(panel, k, 0, b, first + k, j, COLUMNS)
    else:
        count = b.shape[1] - j
        for k in range(depth):
            for c in range(COLUMNS):
                panel[k, c] = b[first + k, j + c] if c < count else 0


@jit
def _pack_columns(a, first, depth, low, high, block):
    """block[p * (SHALLOW+GAP) + k, r] = a[first+k, low + p*ROWS + r], zeros beyond a's last column"""
    whole = (high - low) // ROWS
    for k in range(depth):
        for p in range(whole):
            copy_row(block, p * (SHALLOW + GAP) + k, 0, a, first + k, low + p * ROWS, ROWS)
    if low + whole * ROWS < high:
        for k in range(depth):
            for r in range(ROWS):
                column = low + whole * ROWS + r
                block[whole * (SHALLOW + GAP) + k, r] = a[first + k, column] if column < high else 0


@jit
def _pack_transposed(b, first, depth, j, panel):
    """panel[k, c] = b[j+c, first+k], zeros beyond b's last row"""
    squares = depth // SQUARE * SQUARE if j + COLUMNS <= len(b) else 0
    for c in range(0, COLUMNS, SQUARE):
        for k in range(0, squares, SQUARE):
            transpose_square(b, j + c, first + k, panel, k, c)
    count = min(COLUMNS, len(b) - j)
    for k in range(squares, depth):
        for c in range(COLUMNS):
            panel[k, c] = b[j + c, first + k] if c < count else 0
