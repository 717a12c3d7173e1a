"""A small matrix product held entirely in vector registers: the inner loop of every matrix product and of attention.

A tile is ROWS x COLUMNS results. Each step of the sum over k loads one row of COLUMNS numbers from the panel and
ROWS single numbers, and does ROWS * COLUMNS multiply-adds with them: arithmetic waits for nothing. Plain loops that
keep the sums in memory reach 10 to 50 % of the processor's peak, these 95 to 100 %.
Four rules; breaking any one costs 3 to 60 times the speed without any error, so tests/test_kernels_assembly.py
looks at the generated instructions: the tile is a function of its own, j runs outside r, the panel is C-contiguous,
and what is added to a loop's index in the innermost loop must not be able to be negative (slice first, or count unsigned).
Two more are worth some percent each: a panel begins where a line of the cache does, and a tile is given places, not slices.
"""
import numpy as np

from minigpt.jit import jit
from minigpt.nn.kernels.primitives import copy_row, stack_array, vectors

# The sums, one vector of the panel's row and one number per row of the tile must fit into the registers: measured, each 95 % of the peak.
ROWS, COLUMNS = {(512, 32): (8, 32), (256, 32): (4, 32), (256, 16): (3, 32)}.get(vectors(), (4, max(8, vectors()[0] // 32)))
LINE = 64  # bytes of a cache line


@jit
def aligned(count, rows, columns, like):
    """Uninitialised (count, rows, columns), from the beginning of a cache line on: a vector across two lines is loaded twice."""
    flat = np.empty(count * rows * columns + LINE // like.itemsize, like.dtype)
    skip = (LINE - flat.ctypes.data % LINE) // like.itemsize
    return flat[skip : skip + count * rows * columns].reshape(count, rows, columns)


@jit
def tile(a, ai, ak, panel, low, count, start, si, sj, step, out, i, j):
    """out[i+r, j+c] = start[si + r*step, sj+c] + sum_k a[ai+r, ak+k] panel[low+k, c] for k < count

    a (>= ai + ROWS, K), panel (K', COLUMNS); start: a bias row (step 0) or, with step 1, what is to be added to. Every slice that
    is handed over would be counted in and out by an instruction for which all others wait: hence the places.
    """
    sums = stack_array(a, ROWS, COLUMNS)
    for r in range(ROWS):
        copy_row(sums, r, 0, start, si + r * step, sj, COLUMNS)
    for k in range(count):
        row = panel[np.uint64(low + k)]  # unsigned: never counted from the end
        for c in range(COLUMNS):
            for r in range(ROWS):
                sums[r, c] += a[ai + r, np.uint64(ak + k)] * row[c]
    for r in range(ROWS):
        copy_row(out, i + r, j, sums, r, 0, COLUMNS)


@jit
def tile_transposed(a, ak, ai, panel, low, count, start, si, sj, step, out, i, j):
    """out[i+r, j+c] = start[si + r*step, sj+c] + sum_k a[ak+k, ai+r] panel[low+k, c] for k < count; see `tile`"""
    sums = stack_array(a, ROWS, COLUMNS)
    for r in range(ROWS):
        copy_row(sums, r, 0, start, si + r * step, sj, COLUMNS)
    for k in range(count):
        row, column = panel[np.uint64(low + k)], a[np.uint64(ak + k)]
        for c in range(COLUMNS):
            for r in range(ROWS):
                sums[r, c] += column[np.uint64(ai + r)] * row[c]
    for r in range(ROWS):
        copy_row(out, i + r, j, sums, r, 0, COLUMNS)
