"""A small matrix product held entirely in vector registers: the inner loop of every matrix product and of attention.

A tile is ROWS x COLUMNS results. Each step of the sum over k loads one row of COLUMNS numbers from the panel and
ROWS single numbers, and does ROWS * COLUMNS multiply-adds with them: arithmetic waits for nothing. Plain loops that
keep the sums in memory reach 10 to 50 % of the processor's peak, these 95 to 100 %.
Four rules; breaking any one costs 3 to 60 times the speed without any error, so tests/test_kernels_assembly.py
looks at the generated instructions: the tile is a function of its own, j runs outside r, the panel is C-contiguous,
and what is added to a loop's index in the innermost loop must not be able to be negative (slice first).
"""
from minigpt.jit import jit
from minigpt.nn.kernels.primitives import copy_row, stack_array, vectors

# The sums, one vector of the panel's row and one number per row of the tile must fit into the registers: measured, each 95 % of the peak.
ROWS, COLUMNS = {(512, 32): (8, 32), (256, 32): (4, 32), (256, 16): (3, 32)}.get(vectors(), (4, max(8, vectors()[0] // 32)))


@jit
def tile(a, first, panel, start, si, sj, step, out, i, j):
    """out[i+r, j+c] = start[si + r*step, sj+c] + sum_k a[r, first+k] panel[k, c]

    a (>= ROWS, K), panel (K, COLUMNS); start: a bias row (step 0) or, with step 1, what is to be added to
    """
    sums = stack_array(a, ROWS, COLUMNS)
    for r in range(ROWS):
        copy_row(sums, r, 0, start, si + r * step, sj, COLUMNS)
    for k in range(len(panel)):
        row = panel[k]
        for c in range(COLUMNS):
            for r in range(ROWS):
                sums[r, c] += a[r, first + k] * row[c]
    for r in range(ROWS):
        copy_row(out, i + r, j, sums, r, 0, COLUMNS)


@jit
def tile_transposed(a, first, panel, start, si, sj, step, out, i, j):
    """out[i+r, j+c] = start[si + r*step, sj+c] + sum_k a[k, first+r] panel[k, c]; a (K, >= first + ROWS)"""
    sums = stack_array(a, ROWS, COLUMNS)
    for r in range(ROWS):
        copy_row(sums, r, 0, start, si + r * step, sj, COLUMNS)
    for k in range(len(panel)):
        row = panel[k]
        column = a[k, first : first + ROWS]
        for c in range(COLUMNS):
            for r in range(ROWS):
                sums[r, c] += column[r] * row[c]
    for r in range(ROWS):
        copy_row(out, i + r, j, sums, r, 0, COLUMNS)
