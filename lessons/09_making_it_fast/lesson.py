# title: Making it fast
# question: The same sums, a thousand times faster. Where was the time?
# needs: lessons 05 and 07 (attention, the GPT and its operations); nothing about processors
# builds: a ladder of matrix products, a roofline of your machine, an exponential made of six numbers, attention without its table, and the bill of a training step before and after
# minutes: 90
# files: nn.kernels nn.kernels.matmul nn.kernels.tile nn.kernels.primitives nn.kernels.shapes nn.kernels.denormals nn.kernels.exponential nn.kernels.cross_entropy nn.kernels.block nn.kernels.decode nn.threads jit

# %% [markdown]
# ## 1. Three loops
#
# Nearly all the arithmetic of a GPT is one operation, the matrix product:
#
# ```math
# c_{ij} = \sum_{k} a_{ik} \, b_{kj}
# ```
#
# If `a` has `M` rows, `b` has `N` columns and the sum has `K` terms, that is `M N K` multiplications and as many additions: `2 M N K` operations.
# A speed is a number of operations per second. One **GFLOP/s** is a billion of them.
#
# Here is the definition as the package writes it down. A ladder begins with it:
#
# {{include minigpt.nn.kernels.matmul:naive}}
#
# The function as plain Python runs it, `naive.py_func`, is the first rung. The line `@jit` has it compiled, and `naive` itself is the second.
# To time something we repeat it. `quartiles` does that, and does not count the first calls. We take the first quartile:
# other programs on the machine can make a run slower, but never faster.

# %%
import math

import numpy as np

from minigpt.bench.measure import quartiles
from minigpt.nn.kernels import matmul

def seconds(work):
    return quartiles(work, repeats=5, least=0.01)[0]  # the first quartile

rng = np.random.default_rng(9)
a, b, c = rng.random((2, 3)), rng.random((3, 2)), np.zeros((2, 2))
matmul.naive(a, b, c)
assert np.allclose(c, a @ b)
print("two rows, three terms, two columns:", 2 * 2 * 3 * 2, "operations")

# %% volatile
a, b, c = (rng.random((40, 40), np.float32) for _ in range(3))
python = 2 * 40 ** 3 / seconds(lambda: matmul.naive.py_func(a, b, c)) / 1e9
compiled = 2 * 40 ** 3 / seconds(lambda: matmul.naive(a, b, c)) / 1e9
print(f"three loops in Python:   {python:7.4f} GFLOP/s")
print(f"the same lines compiled: {compiled:7.4f} GFLOP/s, {compiled / python:,.0f} times as fast")

# %% [markdown]
# Python spends its time on asking what `a[i, k]` is, at every single step. The compiler asks once.
# It would be easy to stop here, with such a factor in hand. But the ladder has three more rungs.
#
# ## 2. Memory is a row of boxes
#
# A processor does not fetch one number from memory. It fetches a **cache line**: 64 bytes, which are 16 neighbouring numbers of 4 bytes.
# If you use only one of the 16, you have paid for 16.
#
# The next function adds up all numbers of a large array. Each is used exactly once.
# Only the order differs: `step = 1` takes neighbours one after the other, `step = 1024` jumps.

# %%
import numba

from minigpt.jit import OPTIONS

compiled_now = numba.njit(**OPTIONS)  # like the package's @jit, without its cache on the disk
print("options:", *sorted(OPTIONS))

# %%
@compiled_now
def add_up(x, step):
    total = 0.0
    for first in range(step):
        for i in range(first, len(x), step):
            total += x[i]
    return total

assert add_up(np.ones(4096, np.float32), 1) == add_up(np.ones(4096, np.float32), 1024) == 4096
print("the same sum in either order")

# %% volatile
x = np.ones(2 ** 22, np.float32)
for step in (1, 16, 256, 1024):
    nanoseconds = 1e9 * seconds(lambda: add_up(x, step)) / len(x)
    print(f"step {step:4d}: {nanoseconds:5.2f} nanoseconds for each number")

# %% [markdown]
# A matrix lies in memory row after row. `naive` walks down a **column** of `b`: from `b[k, j]` to `b[k + 1, j]` it jumps over a whole row.
# That is the slow way through memory.
#
# The cure costs nothing. Exchange two loops, so that the innermost one walks along a row of `b` and a row of `out`:
#
# {{include minigpt.nn.kernels.matmul:reordered}}
#
# There is a second gain. All numbers of a row are treated alike, and next to each other. So the compiler can use **vector instructions**:
# one instruction multiplies and adds 4, 8 or 16 numbers at once.

# %% volatile
from minigpt.nn.kernels.primitives import vectors

bits, registers = vectors()
print(f"this machine: {registers} vector registers of {bits} bits, {bits // 32} numbers in each")

# %% [markdown]
# ## 3. The cache
#
# Between memory and processor lie **caches**, small fast memories that keep what was used last. How fast is which?
# We add two arrays, `z = x + y`, again and again, and make them larger. Each number of `z` costs 12 bytes: two numbers read, one written.
# (Outside of the caches it is 16: before a line is written, the processor fetches it. So what only reads can be a third faster than we measure here.)

# %%
@compiled_now
def add(times, x, y, z):
    for _ in range(times):
        for i in range(len(z)):
            z[i] = x[i] + y[i]

def bandwidth(size):
    n = size // 12
    x, y, z = (np.ones(n, np.float32) for _ in range(3))
    times = max(1, 2 ** 21 // n)  # small arrays several times: the call itself must not count
    return 12 * n * times / seconds(lambda: add(times, x, y, z)) / 1e9

numbers = np.zeros(3, np.float32)
add(1, np.arange(3, dtype=np.float32), np.ones(3, np.float32), numbers)
print("0 1 2 and 1 1 1 are", numbers)

# %% volatile
sizes = 2 ** np.arange(13, 29)
speeds = np.array([bandwidth(size) for size in sizes])
for size, speed in zip(sizes[1::4], speeds[1::4]):
    print(f"{size // 1024:7d} KB: {speed:5.0f} GB/s")
from_memory, from_cache = speeds[-1], speeds.max()

# %% volatile
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure(height=3.0)
axes.plot(sizes, speeds, "o-")
axes.set(xlabel="size of the three arrays together (bytes)", ylabel="bandwidth (GB/s)")
axes.set_xscale("log", base=2)
axes.set_xticks([2.0 ** 13, 2.0 ** 18, 2.0 ** 23, 2.0 ** 28], ["8 KB", "256 KB", "8 MB", "256 MB"])
axes.set_ylim(0)
save_svg(figure, FIGURES / "bandwidth.svg", "Bandwidth against the size of the arrays. It falls "
         "in steps, from hundreds of gigabytes per second for small arrays to a fraction of it.")

# %% [markdown] volatile
# The steps of this stair are the caches.
# What fits into the smallest one moves at {{from_cache:.0f}} GB/s. What must come from memory moves at {{from_memory:.0f}} GB/s: {{from_cache / from_memory:.0f}} times more slowly.

# %% [markdown]
# So the next rung takes 64 rows of `b` at a time. They stay in a cache while all rows of `a` pass over them:
#
# {{include minigpt.nn.kernels.matmul:blocked}}
#
# Is it faster than `reordered`? Make a guess before you read section 5.
#
# ## 4. The ceiling
#
# How fast can it possibly be? Let the processor do nothing but `sum = sum * f + f`, without any memory.
# The sums live in **registers**, the few places inside the processor that hold one vector each. Multiplying and adding is one instruction, a **multiply-add**.
#
# But each sum must wait for its own last result. How many sums must be under way so that nobody waits?

# %%
from minigpt.nn.kernels.primitives import SQUARE, copy_row, stack_array

W = 2 * SQUARE  # numbers in two vectors
print("a row of sums:", W // SQUARE, "vectors")

# %%
def chains_of(rows):
    @compiled_now
    def chains(steps, start, f, out):
        sums = stack_array(start, rows, W)  # a small array that the compiler keeps in registers
        for r in range(rows):
            copy_row(sums, r, 0, start, r, 0, W)
        for step in range(steps):
            for c in range(W):
                for r in range(rows):
                    sums[r, c] = sums[r, c] * f + f
        for r in range(rows):
            copy_row(out, r, 0, sums, r, 0, W)
    return chains

print("a step of a chain cannot begin before the one before it is done")

# %%
zeros, out = np.zeros((8, W), np.float32), np.zeros((8, W), np.float32)
chains_of(2)(2, zeros, np.float32(0.5), out)
print("two steps, 0 -> 0.5 -> 0.75, give", out[0, 0])

# %% volatile
ceiling = {}
for rows in (2, 4, 6, 8):
    chains = chains_of(rows)
    took = seconds(lambda: chains(100_000, zeros, np.float32(0.5), out))
    ceiling[rows] = 2 * rows * W * 100_000 / took / 1e9
    print(f"{2 * rows:2d} vectors of sums under way: {ceiling[rows]:4.0f} GFLOP/s")
peak = max(ceiling.values())

# %% [markdown]
# With too few sums the processor idles: a multiply-add takes several ticks of its clock, and the next one of the same sum cannot start before.
# With enough of them we see the **peak** of one core. Nothing that multiplies and adds can be faster.
#
# This tells us what a good matrix product looks like. Keep many sums in registers, and read little from memory for each multiply-add.
# `reordered` and `blocked` do the contrary. For every multiply-add they load a piece of `row`, and store it again.
#
# ## 5. The tile
#
# A **tile** is a small rectangle of the result, so small that all its sums fit into the registers.
# Each step of the sum over `k` loads one row of `COLUMNS` numbers of `b` and `ROWS` single numbers of `a`, and does `ROWS * COLUMNS` multiply-adds with them:
#
# {{include minigpt.nn.kernels.tile:tile}}
#
# For 8 rows of 32 columns that is 256 multiply-adds for 40 numbers read. In `reordered` it was one multiply-add for two numbers read and one written.
#
# The rest is book-keeping. `product` copies 256 rows and `COLUMNS` columns of `b` into a *panel*, whose rows lie side by side in memory, and lets tiles run over it.
# A block of rows of `a` that fits into the second-level cache meets eight panels before the next block is read:
#
# {{include minigpt.nn.kernels.matmul:_by_panels}}

# %%
a, b = rng.random((70, 300), np.float32), rng.random((300, 45), np.float32)  # no round sizes
exact, bias = a.astype(float) @ b, np.zeros((1, 45), np.float32)
for rung in (matmul.naive, matmul.reordered, matmul.blocked, matmul.product):
    out = np.zeros((70, 45), np.float32)
    rung(a, b, bias, out) if rung is matmul.product else rung(a, b, out)
    assert np.allclose(out, exact, rtol=1e-5)
    print(f"{rung.__name__:9s} equals NumPy's product")

# %%
from minigpt.nn.threads import blas_threads

M, K, N = 512, 512, 512
a, b, out = (rng.random((512, 512), np.float32) for _ in range(3))
bias = np.zeros((1, N), np.float32)
rungs = {"naive": lambda: matmul.naive(a, b, out),
         "reordered": lambda: matmul.reordered(a, b, out),
         "blocked": lambda: matmul.blocked(a, b, out),
         "product": lambda: matmul.product(a, b, bias, out),
         "np.matmul": lambda: np.matmul(a, b, out=out)}
print("the ladder:", *rungs)

# %% volatile
ladder = {"naive, in Python": python}
with blas_threads(1):
    ladder |= {name: 2 * M * K * N / seconds(work) / 1e9 for name, work in rungs.items()}
for name, speed in ladder.items():
    print(f"{name:17s} {speed:9.4f} GFLOP/s, {100 * speed / peak:6.2f} % of the peak")

# %% volatile
figure, axes = new_figure(height=2.8)
bars = axes.barh(list(ladder), list(ladder.values()))
axes.bar_label(bars, [f"{speed:.3g}" for speed in ladder.values()], padding=8,
               bbox=dict(facecolor="white", edgecolor="none", pad=1))
axes.axvline(peak, color="black", linestyle="--")
axes.set(xlabel="GFLOP/s on one core; dashed: the peak", xscale="log", xlim=(0.001, 1500))
axes.invert_yaxis()
axes.grid(False, axis="y")
save_svg(figure, FIGURES / "ladder.svg", "Speed of six matrix products as bars on a logarithmic "
         "scale, from a thousandth of a GFLOP/s in Python to nearly the peak for tiles.")

# %% [markdown] volatile
# From the lowest rung to `product` it is a factor of {{ladder["product"] / python:,.0f}}.
# `product` reaches {{100 * ladder["product"] / peak:.0f}} % of the peak. NumPy's product comes from OpenBLAS, a library written in assembly by specialists. It reaches {{100 * ladder["np.matmul"] / peak:.0f}} %.
#
# And `blocked` has {{ladder["blocked"] / ladder["reordered"]:.2f}} times the speed of `reordered`.
# An idea that sounds right need not win. Each pass over 64 rows brings the whole result into the smallest cache once more, and writes it back.
# On a processor whose larger cache holds `b` anyway, that can cost as much as it saves.
# A rung must be measured, not believed.

# %% [markdown]
# What does the compiler make of it? We have `reordered` and `tile` compiled once more, look at the machine's instructions, and count those that touch a vector in memory.

# %% volatile
import re

from minigpt.nn.kernels.tile import tile

matrix, n = numba.float32[:, ::1], numba.int64
for function, kinds in ((matmul.reordered, (matrix,) * 3),
                        (tile, (matrix, n, n, matrix, n, n, matrix, n, n, n, matrix, n, n))):
    fresh = compiled_now(function.py_func)
    fresh.compile(kinds)
    lines = fresh.inspect_asm(fresh.signatures[0]).split("\n")
    adds = [line.strip() for line in lines if re.search(r"\bv?fm(add|la)\S*(ps|\.4s)", line)]
    with_memory = sum("(" in line for line in adds)
    print(f"{function.__name__}: {len(adds)} vector multiply-adds, {with_memory} with memory")
    print("\n".join("    " + line.expandtabs(1) for line in adds[:3]))

# %% [markdown]
# An operand such as `-64(%r13,%r8,4)` is an address in memory. One such as `%zmm1` or `%ymm1` is a register.
# In the tile's loop, multiply-adds meet registers only.
#
# ## 6. The roofline
#
# Two numbers bound every program: how fast the processor can compute, and how fast memory can deliver. Which of the two counts depends on one property of the program,
# its **intensity**: how many operations it does for each byte that it moves.
#
# ```math
# \text{speed} \le \min \left( \text{peak}, \; \text{intensity} \cdot \text{bandwidth} \right)
# ```
#
# Draw that limit against the intensity, and it looks like a roof. A slope at the left: waiting for memory. A flat part at the right: waiting for arithmetic.
#
# Let `M` vectors meet one large matrix of `K` times `N` numbers, which lies in memory. The matrix dominates the traffic:
#
# ```math
# \text{intensity} = \frac{2 M K N}{4 (K N + M K + M N)} \approx \frac{M}{2} \quad \text{operations per byte, if } M \text{ is small}
# ```
#
# `M = 1` is a model that writes one token. `M = 512` is a model that reads a text of 512.

# %% volatile
n = 4096
weights = rng.random((n, n), np.float32)  # 64 MB
intensity, speed = [1 / 12], [from_memory / 12]  # adding two arrays: 1 operation, 12 bytes
for M in (1, 2, 4, 8, 16, 32, 128, 512):
    x, y = rng.random((M, n), np.float32), np.zeros((M, n), np.float32)
    with blas_threads(1):
        took = seconds(lambda: np.matmul(x, weights, out=y))
    intensity.append(2 * M * n * n / (4 * (n * n + 2 * M * n)))
    speed.append(2 * M * n * n / took / 1e9)
    print(f"M = {M:3d}: {intensity[-1]:6.1f} operations per byte, {speed[-1]:5.0f} GFLOP/s, "
          f"{1000 * took:6.2f} ms")

# %% volatile
figure, axes = new_figure(height=4.4)
line = np.geomspace(0.05, 500, 200)
axes.plot(line, np.minimum(peak, line * from_memory), "k", label="roof: memory, then peak")
axes.plot(line, np.minimum(peak, line * from_cache), "k:", label="roof for data in the cache")
axes.plot(intensity, speed, "o", label="add; 1, 2, 4, ... 512 rows times a matrix")
for name, marker in (("naive", "v"), ("reordered", "s"), ("blocked", "D"), ("product", "^")):
    axes.plot(2 * 512 ** 3 / (12 * 512 ** 2), ladder[name], marker, markersize=8, label=name)
axes.set(xlabel="intensity (operations per byte)", ylabel="GFLOP/s on one core")
axes.set(xscale="log", yscale="log", ylim=(0.5, 2 * peak))
axes.legend(fontsize=9, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
save_svg(figure, FIGURES / "roofline.svg", "Roofline on logarithmic axes. One row lies near "
         "the slope of the memory roof, few rows below it, many rows and the tiled product near "
         "the flat peak. The three other rungs lie far below the roof.")

# %% [markdown] volatile
# Read the picture from left to right.
#
# * One row takes {{n * n * 2 / speed[1] / 1e6:.1f}} ms, 2 rows take {{2 * n * n * 2 / speed[2] / 1e6:.1f}}, 16 rows {{16 * n * n * 2 / speed[5] / 1e6:.1f}}. One row just reads the matrix once. It may even lie above the roof, which was measured with an addition that also writes. From 2 rows on BLAS first copies it into panels, as `product` does. That pays only when many rows share the copy, but then further rows are almost a gift.
# * The roof bends at {{peak / from_memory:.0f}} operations per byte. Right of it, memory no longer matters.
# * `naive`, `reordered` and `blocked` have the same intensity as `product`, if each number came from memory once. They lie far below the roof because they do not use what they have fetched.

# %% [markdown]
# ## 7. An exponential made of six numbers
#
# Softmax and GELU need an exponential for every number. The C library's `exp` costs more than all the rest of a softmax together, and a loop that calls a function is no vector code.
# So we make our own from multiply-adds. It takes three ideas.
#
# **One.** `e^x` is a power of 2, and a power of 2 has an easy part. Split the exponent into a whole number `n` and a rest `f` between -1/2 and 1/2:
#
# ```math
# e^x = 2^{x \log_2 e} = 2^n \cdot 2^f
# ```
#
# **Two.** A `float32` stores its exponent in bits 23 to 30, with 127 added. So we can *write down* `2^n`: shift `n + 127` to the left by 23 bits, and call the result a float.

# %%
for power in (-3, 0, 1, 10):
    written = np.int32((power + 127) << 23).view(np.float32)
    print(f"2^{power:<2d} = {written:<8g} bits {np.float32(written).view(np.int32):032b}")

# %% [markdown]
# **Three.** On a range as short as `[-1/2, 1/2]` a polynomial is as good as the function. Which one?
# The series that you know from school is exact in the middle and bad at the ends. Better is a polynomial whose error is spread evenly over the range.
# NumPy can make one that passes through the function at well chosen points (Chebyshev's):

# %%
f = np.linspace(-0.5, 0.5, 1001)

def taylor(degree):
    return sum((f * math.log(2)) ** k / math.factorial(k) for k in range(degree + 1))

def even(degree):
    return np.polynomial.Chebyshev.interpolate(np.exp2, degree, domain=[-0.5, 0.5])(f)

for degree in (1, 2, 3, 4, 5):
    errors = [np.abs(made(degree) / np.exp2(f) - 1).max() for made in (taylor, even)]
    print(f"degree {degree}: error of the series {errors[0]:.1e}, spread evenly {errors[1]:.1e}")

# %%
figure, axes = new_figure(height=3.0)
axes.plot(f, 1e4 * (taylor(3) / np.exp2(f) - 1), label="series")
axes.plot(f, 1e4 * (even(3) / np.exp2(f) - 1), "--", label="spread evenly")
axes.set(xlabel="f", ylabel="relative error (1/10,000)")
axes.legend()
save_svg(figure, FIGURES / "polynomials.svg", "Relative error of two polynomials of degree 3. The "
         "series is exact in the middle and far off at both ends, the other one swings evenly.")

# %% [markdown]
# A `float32` has 24 bits, so it cannot show an error below `6e-8` anyway. Degree 5 comes within two or three times of that, rounding included, and more is not worth a multiply-add: six numbers.
#
# {{include minigpt.nn.kernels.exponential:_exp2_polynomial}}
#
# The first two lines keep the exponent's bits from overflowing: below `2^-126.5` the result is 0, from `2^127.5` on infinity.

# %%
from minigpt.nn.kernels import exponential

def our_exp(x):
    x = x * np.float32(exponential.LOG2_E)
    n = np.rint(x)
    f, power = x - n, np.float32(0)
    for number in (exponential.C5, exponential.C4, exponential.C3, exponential.C2, exponential.C1,
                   exponential.C0):
        power = power * f + number  # Horner: five multiply-adds
    return power * ((n.astype(np.int32) + 127) << 23).view(np.float32)

x = np.linspace(-20, 20, 4096, dtype=np.float32)
error = np.abs(our_exp(x) / np.exp(x.astype(float)) - 1).max()
print(f"largest relative error between -20 and 20: {error:.0e}")

# %%
@compiled_now
def library_exp(x, y):
    for i in range(len(x)):
        y[i] = math.exp(x[i])

@compiled_now
def package_exp(x, y):
    for i in range(len(x)):
        y[i] = exponential.exp(x[i])

theirs = np.empty_like(x)
package_exp(x, theirs)
assert np.allclose(our_exp(x), theirs, rtol=3e-7)  # the last bit may differ: fused multiply-adds
print("ours equals the package's")

# %% volatile
for function in (library_exp, package_exp):
    nanoseconds = 1e9 * seconds(lambda: function(x, theirs)) / len(x)
    print(f"{function.__name__:11s} {nanoseconds:5.2f} nanoseconds for each number")

# %% [markdown]
# The error grows with `x`, to one part in a million here, because `x log2(e)` is itself rounded. For a softmax that is far more than enough.
# In `float64`, where gradients are checked, the package uses the exact function.
#
# ## 8. Attention without its table
#
# Lesson 05 made a table of `T` times `T` weights for each head. Twice the text, four times the table.
# Soon it fits into no cache, and then every weight travels to memory and back. But nobody wants the table. We want its product with `V`.
#
# Go through the keys in pieces. For one query, the softmax needs the sum of all exponentials, and we have seen only some of the scores.
# Let `m` be the largest score so far. Keep two sums, both measured against `m`:
#
# ```math
# z = \sum_{j} e^{s_j - m} \qquad o = \sum_{j} e^{s_j - m} \, v_j
# ```
#
# Now comes a piece with new scores, and with them a larger maximum `m'`. What was collected must be measured against `m'` from now on. One factor does that for every term:
#
# ```math
# e^{s_j - m'} = e^{s_j - m} \cdot e^{m - m'}
# ```
#
# ```math
# z \leftarrow z \, e^{m - m'} + \sum_{\text{new}} e^{s_j - m'} \qquad o \leftarrow o \, e^{m - m'} + \sum_{\text{new}} e^{s_j - m'} v_j
# ```
#
# At the end the output is `o / z`. This is called a **running softmax** (you may have written it, as exercise 05.4).
# One more number is worth keeping, the **log-sum-exp** of the scores. It is the logarithm of what every exponential is divided by:
#
# ```math
# L = \ln \sum_j e^{s_j} = m + \ln z \qquad p_j = e^{s_j - L}
# ```
#
# So from `L` alone every weight can be computed again. The backward will do that.

# %%
def tiled_attention(q, k, v, size=16):
    (T, D), out, L, place = q.shape, np.empty_like(v), np.empty((len(q), 1)), np.arange(len(q))
    for t in range(0, T, size):
        m, z, o = -np.inf, 0.0, 0.0
        for j in range(0, t + size, size):  # pieces beyond the diagonal are never touched
            keys = slice(j, j + size)
            s = q[t:t + size] @ k[keys].T / math.sqrt(D)  # (size, size)
            s[place[keys] > place[t:t + size, None]] = -np.inf
            old, m = m, np.maximum(m, s.max(axis=1, keepdims=True))
            shrink, p = np.exp(old - m), np.exp(s - m)
            z, o = z * shrink + p.sum(axis=1, keepdims=True), o * shrink + p @ v[keys]
        out[t:t + size], L[t:t + size] = o / z, m + np.log(z)
    return out, L

print("a text of one token is its own value:", *tiled_attention(*np.full((3, 1, 1), 7.0))[0])

# %%
from minigpt.nn import ops
from minigpt.nn.kernels import attention

q, k, v = rng.normal(size=(3, 75, 8))  # T = 75 is no multiple of 16
plain, (*_, weights) = ops.attention_forward(*(x[None, :, None] for x in (q, k, v)))
fast, _ = attention.attention_forward(*(x[None, :, None] for x in (q, k, v)))
out, L = tiled_attention(q, k, v)
assert np.allclose(out, plain[0, :, 0], rtol=1e-12) and np.allclose(out, fast[0, :, 0], rtol=1e-12)
again = np.tril(np.exp(q @ k.T / math.sqrt(8) - L))  # all weights, from L
assert np.allclose(again, weights[0, 0, 0], rtol=1e-12)
print("tiled, plain and the package's kernel agree; the weights come back from L")

# %% [markdown]
# The package's kernel takes `COLUMNS` queries at a time. Their scores against *all* keys are a strip that still fits into the cache.
# So it can take the largest score of the whole strip first, and has nothing to correct. A graphics processor with its small memories needs the running version.
# Either way it is one or two numbers for each query instead of a row of `T`.

# %%
def kept_by(module, T):
    q, k, v = np.zeros((3, 1, T, 4, 32), np.float32)  # four heads
    _, cache = module.attention_forward(q, k, v)
    sums = cache[-1]  # the table, or largest scores and sums
    return sums.nbytes

for T in (64, 256, 1024):
    print(f"T {T:4d}: {kept_by(ops, T):10,d} bytes kept by the definition, "
          f"{kept_by(attention, T):6,d} by the kernel")
assert kept_by(attention, 1024) * 1024 == kept_by(ops, 1024) * 2

# %% [markdown]
# And the speed? Only the operations below the diagonal are counted, for both. The kernel does not touch the upper half, the definition computes it and throws it away.

# %% volatile
def attention_speeds(T, D=32, H=4):
    q, k, v = rng.standard_normal((3, 1, T, H, D), np.float32)
    forward = 2 * 2 * D * H * T * (T + 1) / 2  # two products of a triangle each
    for name, module in (("definition", ops), ("kernel", attention)):
        out, cache = module.attention_forward(q, k, v)
        speeds = (forward / seconds(lambda: module.attention_forward(q, k, v)) / 1e9,
                  2.5 * forward / seconds(lambda: module.attention_backward(out, cache)) / 1e9)
        print(f"T {T:4d}, {name:10s}: forward {speeds[0]:4.0f}, backward {speeds[1]:4.0f} GFLOP/s")

with blas_threads(1):
    for T in (64, 256, 1024):
        attention_speeds(T)

# %% [markdown]
# The backward is counted with five products for both, though the definition keeps its probabilities and needs only four. The kernel's computes the scores a second time,
# and is still faster than the definition's: arithmetic is cheap, memory is not.
#
# ## 9. Threads that fight
#
# A processor has several cores. The obvious thing is to use them everywhere: let BLAS cut each product into pieces, one for each core.
# And let several Python threads run, too. That is as if every cook of a kitchen hired a second team of cooks.
#
# The work here is a product and a GELU, in one shard for each core. BLAS has its own team of threads, which *spin* while they wait: they ask "is there work?" millions of times a second, and keep the core busy with it.
# We take the median this time. Accidents are what we want to see.

# %%
from concurrent.futures import ThreadPoolExecutor

from minigpt.nn.kernels.activations import gelu_forward
from minigpt.nn.threads import cores, worker_pool

w = rng.standard_normal((128, 512), np.float32)
parts = [rng.standard_normal((256, 128), np.float32) for _ in range(max(2, cores()))]

def shard(x):
    for _ in range(5):
        gelu_forward(x @ w)

print("for each shard, 5 times a product of", parts[0].shape, "and", w.shape, "and a GELU")

# %% volatile
def usually(work):
    return quartiles(work, repeats=9, least=0.01)[1]

results = {}
with blas_threads(1):
    results["one core"] = usually(lambda: [shard(x) for x in parts])
with blas_threads(cores()), ThreadPoolExecutor(len(parts)) as pool:
    results["one thread, BLAS on all cores"] = usually(lambda: [shard(x) for x in parts])
    results["a thread per shard, BLAS on all cores"] = usually(lambda: list(pool.map(shard, parts)))
with worker_pool(shards=len(parts)) as run_all:
    results["a thread per shard, BLAS on one"] = usually(lambda: run_all(shard, parts))
for name, took in results.items():
    print(f"{name:38s} {1000 * took:6.2f} ms, {results['one core'] / took:4.2f} times one core")

# %% [markdown]
# How bad the fight is depends on what else the machine is doing. If another program needs one of the cores, the second and third line can take a hundred times as long as the first:
# a thread that spins occupies the very core for which the one it waits for is queueing.
#
# The last line is what the package's trainer does. The batch is cut into shards, two to four, each has one Python thread on a core of its own, and BLAS is told to stay on one. Nobody spins, so nobody is in the way.
# On a quiet machine the last line comes near the number of cores. If it stays near 1, as it does when other programs hold the cores, then there was no second core to use.
# Python threads can work at the same time here because kernels and BLAS let go of Python's lock while they compute (`nogil`).
#
# Between two kernels a thread needs that lock, for a few millionths of a second. If another thread holds it just then, the system puts the waiting one to sleep,
# and waking up takes longer than a small kernel does. In a step of four layers with a kernel for every operation two threads fell asleep some thirty times, which we counted in `/proc/self/task`.
# So GPT-2's block, with which most models here are trained, has only two kernels of its own each way, one before attention and one behind it:
#
# {{include minigpt.nn.kernels.block:_behind}}
#
# What it calls are the same functions as before, in the same order. The threads fell asleep some twenty times, and a step was one to four percent shorter, a small model's the most.
#
# ## 10. How the cost grows
#
# Lesson 07 counted the operations of a training step, for each token:
#
# ```math
# 6 \, (12 L C^2 + V C) + 12 L C T
# ```
#
# Is the clock of the same opinion? We double the context `T` and the width `C`, and quadruple the vocabulary `V`, one at a time, and time forward and backward of one text on one core.

# %%
from minigpt.config import GPTConfig
from minigpt.nn.gpt import Transformer
from minigpt.nn.losses import cross_entropy

def time_of_a_text(T=256, C=128, V=512):
    model = Transformer(GPTConfig(vocab_size=V, block_size=T, n_layer=2, n_head=4, n_embd=C))
    ids = rng.integers(0, V, (1, T))
    def step():
        logits, cache = model.forward(ids)
        _, dlogits, _ = cross_entropy(logits, ids, ops=model.ops)
        model.backward(dlogits, cache)
    with blas_threads(1):
        return seconds(step), T * model.flops_per_token()

print("called with the lengths, widths and vocabularies of the next cell")

# %% volatile
SWEEPS = {"T": ("context T", (64, 128, 256, 512, 1024, 2048)),
          "C": ("width C", (32, 64, 128, 256, 512)),
          "V": ("vocabulary V", (256, 1024, 4096, 16384))}
grown = {}
for name, (label, values) in SWEEPS.items():
    took, count = np.array([time_of_a_text(**{name: value}) for value in values]).T
    grown[name] = took, count
    print(f"{label} {values[0]} -> {values[-1]}: operations x {count[-1] / count[0]:5.1f}, "
          f"time x {took[-1] / took[0]:5.1f}")

# %% volatile
figure, axes = new_figure(columns=3, width=8.0, height=3.4, sharey=True)
for ax, (name, (label, values)) in zip(axes, SWEEPS.items()):
    took, count = grown[name]
    ax.plot(values, 1000 * took, "o-", label="measured")
    ax.plot(values, count / peak / 1e6, "--", label="operations / peak")
    ax.set(xlabel=label, xscale="log", yscale="log")
    ax.set_xticks(values[::2], values[::2])
    ax.minorticks_off()
axes[0].set_ylabel("time for one text (ms)")
axes[0].legend(fontsize=9)
save_svg(figure, FIGURES / "growth.svg", "Three log-log panels: time against context, width and "
         "vocabulary, beside the operation count divided by the peak. Measured times run above "
         "the counts and nearly parallel to them.")

# %% [markdown]
# The two lines are nearly parallel. Where the measured one bends away at small sizes, fixed costs speak: calls, and everything that is not a product.
# At long contexts it comes nearer to the count, or falls below it: the formula counts the whole table of scores, as everybody does, and the kernel computes half.
# With large vocabularies the clock may grow faster than the count: the exponentials of the loss are not in it, nor is the way of `T` times `V` scores to the memory and back.
#
# On doubly logarithmic axes a power is a straight line, and its slope is the exponent. `T` has slope 1 at first: each token costs the same. It bends towards 2 when the table of scores takes over.
# `C` goes towards 2, for the matrices are squares of it. `V` starts flat and goes towards 1.
#
# ## 11. Where a step's time goes, before and after
#
# The package has two backends with the same functions: `numpy`, the definitions, and `fast`, the kernels. We wrap each function in a stop-watch and take some training steps with both.

# %%
import time
from types import SimpleNamespace

def watched(name, function, spent):
    kind = name.rpartition("_")[0]  # "gelu_forward" -> "gelu"
    def timed(*args):
        start = time.perf_counter()
        result = function(*args)
        spent[kind] = spent.get(kind, 0.0) + time.perf_counter() - start
        return result
    return timed

spent = {}
watched("gelu_forward", gelu_forward, spent)(parts[0])
print("watched:", *spent)

# %%
from minigpt.config import TrainConfig
from minigpt.nn.layers import BLOCK
from minigpt.train import optim

recipe = TrainConfig(optimizer="adamw")

def take_steps(model, ids, state, steps):
    start = time.perf_counter()
    for _ in range(steps):
        logits, cache = model.forward(ids)
        model.backward(cross_entropy(logits, ids, ops=model.ops)[1], cache)
        optim.update(model.params, model.grads, state, recipe, ops=model.ops)
    return time.perf_counter() - start

print("a step: forward, loss, backward, AdamW")

# %%
def bill_of_a_step(backend, steps=12):
    model, spent = Transformer(GPTConfig(), backend=backend), {}  # our default size
    model.block = BLOCK  # operation by operation, or there would be nothing to watch
    model.ops = SimpleNamespace(**{name: watched(name, function, spent)
                                   for name, function in vars(model.ops).items()})
    state, ids = optim.new_state(model.params), rng.integers(0, 2048, (1, 256))
    take_steps(model, ids, state, 1)  # compiles
    spent.clear()
    total = take_steps(model, ids, state, steps)
    bill = {kind: 1000 * t / steps for kind, t in spent.items()}
    bill["matrix products"] = bill.pop("linear") + bill.pop("unembedding")
    return bill | {"the rest": 1000 * total / steps - sum(bill.values())}

print(f"one shard of a step: 256 tokens, {Transformer(GPTConfig()).num_parameters():,d} parameters")

# %% volatile
with blas_threads(1):
    bills = {backend: bill_of_a_step(backend) for backend in ("numpy", "fast")}
for kind in sorted(bills["numpy"], key=bills["numpy"].get, reverse=True):
    before, after = bills["numpy"][kind], bills["fast"][kind]
    print(f"{kind:16s} {before:7.2f} ms -> {after:6.2f} ms")
before, after = (sum(bill.values()) for bill in bills.values())
print(f"{'together':16s} {before:7.2f} ms -> {after:6.2f} ms")

# %% volatile
figure, axes = new_figure(height=2.8)
left = np.zeros(2)
shown = sorted(bills["numpy"], key=bills["numpy"].get, reverse=True)[:6]
for number, kind in enumerate([*shown, "others"]):
    kinds = [kind] if kind in shown else bills["numpy"].keys() - set(shown)
    widths = np.array([sum(bill[kind] for kind in kinds) for bill in bills.values()])
    axes.barh(["numpy", "fast"], widths, left=left, label=kind, edgecolor="white",
              hatch=("", "//", "", "..", "", "xx", "")[number])
    left += widths
axes.set(xlabel="time of one training step of 256 tokens on one core (ms)")
axes.invert_yaxis()
axes.grid(False, axis="y")
axes.legend(fontsize=9, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
save_svg(figure, FIGURES / "bill.svg", "Two stacked bars. With NumPy's definitions much of the "
         "step is attention and other operations. With kernels products are most of what is left.")

# %% [markdown] volatile
# Look at the bar of the definitions.
# The matrix products of the layers and of the unembedding, which do four fifths of the arithmetic, take {{100 * bills["numpy"]["matrix products"] / before:.0f}} % of the time.
# The rest goes into attention, which does the last fifth, and into operations with little arithmetic.
# Each `*`, `+` and `exp` of NumPy is a pass through memory of its own. Attention, GELU and the norms are chains of ten such passes, the kernels do all of it in one.
# Afterwards the products take {{100 * bills["fast"]["matrix products"] / after:.0f}} %, and the whole step is {{before / after:.1f}} times as fast.
# With products that cost nothing, and all else as it was, it would be {{before / (before - bills["numpy"]["matrix products"]):.1f}} times.

# %% [markdown]
# This is why one measures before one makes anything faster. The operation with four fifths of the arithmetic had less than half of the time.
#
# ## 12. Writing: one token at a time
#
# All this was about reading many tokens at once. When a model writes, each step has one token. Then every product is a vector times a matrix:
# each weight is fetched, used for one multiplication and one addition, and dropped. That is half an operation for each byte: the far left of the roofline.
#
# So the bill of writing is simple: *bytes of all weights, divided by the bandwidth*. Arithmetic is free.
#
# Around the arithmetic stands Python, with dozens of calls for each token. For a small model they cost more than everything else. The package therefore has one kernel that does the whole step:
#
# {{include minigpt.nn.kernels.decode:_step}}
#
# Its products go through the weights four rows at a time, from front to back, as `reordered` does:
#
# {{include minigpt.nn.kernels.decode:_add_rows}}

# %%
shapes = {"small": GPTConfig(),
          "large": GPTConfig(vocab_size=8192, n_layer=4, n_head=12, n_embd=768)}
models = {(size, backend): Transformer(shape, backend=backend)
          for size, shape in shapes.items() for backend in ("numpy", "fast")}
for size in shapes:
    print(f"{size}: {models[size, 'fast'].params.flat.nbytes / 1e6:.1f} MB of weights")

# %%
first, second = (models["small", backend] for backend in ("numpy", "fast"))
logits = []
for model in (first, second):
    kv = model.new_cache(1, 64)
    model.step(np.arange(32)[None], kv)
    logits.append(model.step(np.array([[32]]), kv))  # `fast` calls decode_step here
assert np.allclose(*logits, atol=1e-5)
print("33rd token: both backends give the same", logits[0].size, "scores")

# %% [markdown]
# The kernel shares the weights of a large model between two threads, as long as that is faster. We keep it to one core here, so that its speed can be compared with the bandwidth and the peak of sections 3 and 4.

# %% volatile
def time_of_a_token(model, B=1, read=32):
    kv, ids = model.new_cache(B, 64), np.ones((B, 1), int)
    model.step(np.ones((B, read), int), kv)
    def step():
        kv.length = read  # again and again the 33rd token
        model.step(ids, kv)
    return seconds(step)

numba.set_num_threads(1)
with blas_threads(1):
    token_times = {key: time_of_a_token(model) for key, model in models.items()}
for (size, backend), took in token_times.items():
    print(f"{size}, {backend:5s}: {1000 * took:6.2f} ms, {1 / took:7.0f} tokens per second")

# %% volatile
for size in shapes:
    model = models[size, "fast"]
    rate = speeds[min(np.searchsorted(sizes, model.params.flat.nbytes), len(speeds) - 1)]
    reading, computing = model.params.flat.nbytes / rate, model.flops_per_token(32) / 3 / peak
    print(f"{size}: to read the weights at {rate:.0f} GB/s takes {reading / 1e6:.3f} ms, "
          f"to compute at the peak {computing / 1e6:.3f} ms")

# %% [markdown]
# For the large model the kernel takes about as long as reading the weights. (It may even need less: our bandwidth was measured with writing in it, and here there is only reading.)
# The arithmetic would take a small fraction of that. For the small model the weights come out of a cache, and what NumPy's version loses are the calls.
#
# If the bytes of the weights are the bill, shorter weights make a smaller one. A float16 has two bytes instead of four.
# Rounding would change what a model says. But a model from a float16 file, such as the shipped ones, has no number that float16 could not hold.
# The kernel notices that, reads a copy in float16, and makes each number a float32 again on its way into a register:
#
# {{include minigpt.nn.kernels.decode:half_copy}}

# %%
rounded = {size: models[size, "fast"].copy() for size in shapes}
for model in rounded.values():
    model.params.flat[:] = model.params.flat.astype(np.float16)
reader = models["small", "numpy"].copy()
reader.params.flat[:] = rounded["small"].params.flat
scores = []
for model in (reader, rounded["small"]):
    kv = model.new_cache(1, 64)
    model.step(np.arange(32)[None], kv)
    scores.append(model.step(np.array([[32]]), kv))
assert np.allclose(*scores, atol=1e-5)
print("33rd token of rounded weights: both backends give the same", scores[0].size, "scores")

# %% volatile
with blas_threads(1):
    for size, model in rounded.items():
        times = [(time_of_a_token(models[size, "fast"]), time_of_a_token(model)) for _ in range(5)]
        before, after = np.median(times, axis=0)
        print(f"{size}: {1000 * before:6.3f} ms from float32, {1000 * after:6.3f} ms from float16")

# %% [markdown]
# If the kernel did nothing but wait for memory, half of the bytes would take half of the time. Usually the gain is smaller, as not all of the time is spent on waiting.
# It can be larger where the shorter copy fits into a cache and the longer one does not. If you see no gain at all, check whether another program is using the memory.
#
# There is a way to use the idle arithmetic: write several texts at once. All of them share each weight that was fetched.

# %% volatile
batches = (1, 2, 4, 8, 16, 32, 64)
with blas_threads(1):
    rates = [B / time_of_a_token(models["large", "fast"], B) for B in batches]
for B, rate in zip(batches[::2], rates[::2]):
    print(f"{B:2d} at once: {rate:6.0f} tokens per second, {rate / B:5.0f} for each text")

# %% volatile
figure, axes = new_figure(height=3.0)
axes.plot(batches, rates, "o-", label="measured")
axes.plot(batches, rates[0] * np.array(batches), "k--", label="if each further text cost nothing")
axes.set(xlabel="texts written at once", ylabel="tokens per second", xscale="log", yscale="log")
axes.set_xticks(batches, [str(B) for B in batches])
axes.minorticks_off()
axes.legend()
save_svg(figure, FIGURES / "batches.svg", "Tokens per second against the number of texts written "
         "at once, both logarithmic. From two texts on it grows with every doubling.")

# %% [markdown]
# From one text to two the speed may even fall: the fused kernel is made for one text, and a product with few rows copies the matrix first (section 6). From there on further texts are cheap.
# Still, no single text is written faster in this way, only all of them together. This is how services with many users work.
#
# For one user there are two other ways, and both follow from the same bill. Fewer bytes: weights of 8 or 4 bits instead of 32. Or fewer weights.
#
# ## 13. The rungs that lost
#
# What you have read is the story of the ideas that won. For each of them one lost. The package's log of experiments keeps them, so that nobody has to lose again:

# %% volatile
import textwrap

from minigpt.course.cells import lessons_folder

log = (lessons_folder() / "LOG.md").read_text(encoding="utf-8")
for lost in re.findall(r"(?:\*\* |: |^\* \S+ )([^*]+?)\*\*Lost", log, re.MULTILINE):
    if not re.search("facts|prompts|tuning", lost):  # that lost in answers, not in speed
        print(textwrap.fill(lost.strip(), 96, subsequent_indent="    "))

# %% [markdown]
# Most of these ideas are good ideas. Some are in textbooks. They lost on the machine where they were tried, with these sizes:
# a packed left operand lost there, and won later on another processor. The [log](../LOG.md) says how each was measured.
#
# ## 14. Break it
#
# The tile is fragile. Four rules keep it fast; they stand at the top of [tile.py](../../minigpt/nn/kernels/tile.py). Break one, and nothing complains.
# The results stay right. Only the speed is gone.
#
# First break: the panel is cut out of a wider array. Not a line of code changes. But Numba now compiles for an array whose columns may lie anywhere,
# so a row cannot be read as vectors.

# %%
from minigpt.nn.kernels.tile import COLUMNS, ROWS

@compiled_now
def many_tiles(times, a, panel, bias, out):
    for _ in range(times):
        tile(a, 0, 0, panel, 0, len(panel), bias, 0, 0, 0, out, 0, 0)

a, bias = rng.random((ROWS, 256), np.float32), np.zeros((1, COLUMNS), np.float32)
wide, out = rng.random((256, 2 * COLUMNS), np.float32), np.zeros((ROWS, COLUMNS), np.float32)
cut = wide[:, :COLUMNS]
panels = {"a panel of its own": cut.copy(), "cut out of a wider array": cut}
for name, panel in panels.items():
    many_tiles(1, a, panel, bias, out)
    assert np.allclose(out, a @ panel, rtol=1e-5)
    print(f"{name}: the result is right")

# %% [markdown]
# Second break: we exchange the two inner loops of the tile, and write it out where it is used, as one might do to tidy up.

# %%
@compiled_now
def many_tidy_tiles(times, a, panel, bias, out):
    for _ in range(times):
        sums = stack_array(a, ROWS, COLUMNS)
        for r in range(ROWS):
            copy_row(sums, r, 0, bias, 0, 0, COLUMNS)
        for k in range(len(panel)):
            for r in range(ROWS):
                for c in range(COLUMNS):
                    sums[r, c] += a[r, k] * panel[k, c]
        for r in range(ROWS):
            copy_row(out, r, 0, sums, r, 0, COLUMNS)

print("r outside, c inside: each number of the tile is added up as before")

# %%
many_tidy_tiles(1, a, panels["a panel of its own"], bias, out)
assert np.allclose(out, a @ panel, rtol=1e-5)
print("the result is right, too")

# %% volatile
own, cut = panels.values()
for name, many, panel in (("as it should be", many_tiles, own),
                          ("cut out of a wider array", many_tiles, cut),
                          ("loops exchanged", many_tidy_tiles, own)):
    took = seconds(lambda: many(500, a, panel, bias, out)) / 500
    print(f"{name:24s} {2 * 256 * ROWS * COLUMNS / took / 1e9:4.0f} GFLOP/s")

# %% [markdown]
# No test of results can find this. So `tests/test_kernels_assembly.py` looks at the instructions, as we did in section 5, and fails when a hot loop stops being vector code.
#
# Other edits to try, each with the result to expect:
#
# * Section 5: multiply matrices of 1024 instead of 512. `naive` becomes slower still: a column of `b` now hits the same few places of the cache again and again.
# * Section 7: leave out `np.rint`, and use `np.floor`. Then `f` runs from 0 to 1, outside of the range for which the six numbers were made. The error grows about fiftyfold, and the comparison with the package's `exp` stops the lesson.
# * Section 8: leave out `* shrink` for `o`. The assertion fails for every query with more than one piece, unless the largest score came first.
# * Section 9: replace `blas_threads(cores())` by `blas_threads(1)`. The fight is over: the third line becomes the fourth.
#
# ## 15. Exercises
