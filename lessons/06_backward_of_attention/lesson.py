# title: Attention, norms and activations, backwards
# question: How does blame flow through a softmax?
# needs: lesson 03 (gradients by hand) and lesson 05 (self-attention); the chain rule and the slope of `e^x`
# builds: the backward of softmax, attention, LayerNorm, RMSNorm, GELU and SwiGLU, and a test of every gradient in a two-layer GPT
# minutes: 90
# files: nn.kernels.norms nn.kernels.activations

# %% [markdown]
# ## 1. The model looked at the wrong word
#
# In lesson 05 a model had to decide whether *the keys to the cabinet* is singular or plural.
# It gave each word a weight and took the weighted average of their values. Suppose it is still badly trained:
# it looks at *cabinet* and hardly at *keys*.

# %%
import math

import numpy as np

words = "the keys to the cabinet".split()
plural = np.array([0.0, 1.0, 0.0, 0.0, 0.0])  # the value of each word: is it plural?
scores = np.array([0.0, 1.0, 0.0, -1.0, 3.0])

def softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()

for word, score, weight in zip(words, scores, softmax(scores)):
    print(f"{word:8s} score {score:4.1f}   weight {weight:.3f}")
print(f"plural, weighted: {softmax(scores) @ plural:.3f}, should be 1")

# %% [markdown]
# The answer is wrong, so there is a loss. Let it be half the square of the error.
#
# We want to know who is to blame. The **blame** of a number is the slope of the loss:
# how much the loss grows when that number grows a little. We write `dx` for the blame of `x`.
# Positive blame means: this number should become smaller. Negative blame: larger.
# (Lesson 03 called it the slope, and many slopes together the gradient. It is the same thing.)
#
# A backward walks through the steps of the forward in reverse order. The first two steps of our walk are easy:
#
# * loss = (out - 1)² / 2, so the blame of the output is `out - 1`.
# * out = sum of weight times value, so the blame of each weight is the blame of the output times that word's value.

# %%
p = softmax(scores)
out = p @ plural
dout = out - 1.0  # loss = (out - 1)^2 / 2
dp = dout * plural + 0.0  # out = p @ plural (+ 0.0 turns -0.0 into 0.0)
for word, weight, blame in zip(words, p, dp):
    print(f"{word:8s} weight {weight:.3f}   blame of the weight {blame:6.3f}")

# %% [markdown]
# *keys* should get more weight: its blame is negative. All other weights have no blame at all, because their value is 0.
# Even *cabinet*, which took nearly all the weight, is blamed for nothing. Is that fair?
#
# The next step back is the softmax, and it will put this right. The question of this lesson is how.
#
# ## 2. The smallest wrong version: each weight on its own
#
# The slope of a weight with respect to its own score is `p (1 - p)`, as we saw in lesson 05.
# So here is a first idea: the blame of a score is the blame of its weight, times this slope.

# %%
def each_on_its_own(dp, p):
    return dp * p * (1.0 - p)

print("blame of the scores, first idea:", each_on_its_own(dp, p).round(3) + 0.0)

# %% [markdown]
# This says that the score of *cabinet* does not matter. We can test that without any theory.
# Move one score by a tiny bit, up and down, and watch the loss:

# %%
def loss_of(s):
    return (softmax(s) @ plural - 1.0) ** 2 / 2.0

def slopes_of(function, x, step=1e-5):
    slopes = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        nudge = np.zeros(x.shape)
        nudge[place] = step
        slopes[place] = (function(x + nudge) - function(x - nudge)) / (2 * step)
    return slopes

measured = slopes_of(loss_of, scores)
for word, idea, truth in zip(words, each_on_its_own(dp, p), measured):
    print(f"{word:8s} first idea {idea + 0.0:6.3f}   measured {truth:6.3f}")

# %% [markdown]
# The score of *cabinet* does matter: {{measured[4]:.3f}}, nearly as much as the score of *keys*.
# The reason is that weights add up to 1. What *cabinet* gains, the others lose, and *keys* is one of them.
#
# The first idea is wrong because it forgets that **every weight depends on every score**.
#
# ## 3. The slope of one weight (scalar form)
#
# Write `Z` for the sum of the exponentials. The weight of word `j` is
#
# ```math
# p_j = \frac{e^{s_j}}{Z} \qquad Z = \sum_k e^{s_k}
# ```
#
# Move the score `s_i`. One exponential changes, with slope `e^{s_i}`, and `Z` changes just as much. There are two cases.
#
# **Its own score** (`i = j`): numerator and denominator both change. The rule for quotients gives
#
# ```math
# \frac{\partial p_j}{\partial s_j} = \frac{e^{s_j} Z - e^{s_j} e^{s_j}}{Z^2} = p_j - p_j p_j
# ```
#
# **Another score** (`i` is not `j`): only the denominator changes.
#
# ```math
# \frac{\partial p_j}{\partial s_i} = \frac{0 - e^{s_j} e^{s_i}}{Z^2} = - p_j p_i
# ```
#
# The second case is never positive: a rival's score can only hurt. Is it true? Measure and compare:

# %%
for j, i in ((1, 1), (1, 4), (4, 4), (4, 1)):
    formula = p[j] - p[j] * p[j] if i == j else -p[j] * p[i]
    measured_slope = slopes_of(lambda s: softmax(s)[j], scores)[i]
    print(f"weight of {words[j]:8s} against score of {words[i]:8s}: "
          f"formula {formula:7.4f}, measured {measured_slope:7.4f}")

# %% [markdown]
# ## 4. Blame minus the average blame (index form)
#
# A score reaches the loss through all weights. So its blame is a sum over all of them:
#
# ```math
# ds_i = \sum_j dp_j \frac{\partial p_j}{\partial s_i}
# ```
#
# Put in the two cases. The term `p_i` comes once, from `j = i`. The term `- p_j p_i` comes for every `j`, the own one included:
#
# ```math
# ds_i = dp_i \, p_i - \sum_j dp_j \, p_j \, p_i = p_i \left( dp_i - \sum_j p_j \, dp_j \right)
# ```
#
# Read the bracket slowly. The sum is the **average blame**, each word counted by its weight. So:
#
# > The blame of a score is its weight, times how much worse than average its word did.
#
# This is how blame flows through a softmax. Think of players who share one ball.
# Nobody is blamed for the game as such, only for having the ball while others would have done better.
# And who hardly ever has the ball (weight near 0) is hardly blamed at all.

# %%
average = sum(p[j] * dp[j] for j in range(5))
ds = [p[i] * (dp[i] - average) for i in range(5)]
print(f"average blame: {average:.3f}")
for word, weight, before, after in zip(words, p, dp, ds):
    print(f"{word:8s} weight {weight:.3f}   its blame {before:6.3f}   score's blame {after:6.3f}")
assert np.allclose(ds, measured, atol=1e-9)
print("sum of the scores' blame:", round(sum(ds), 12) + 0.0)

# %% [markdown]
# *cabinet* is found out. Its weight did nothing wrong in itself, but it did worse than the average, and it had the ball.
#
# The blames of the scores add up to 0. That has to be so: raising all scores by the same amount
# changes no weight, so the loss cannot change either.
#
# What happens if we follow the blame, step by step? Each step moves every score a little against its blame.

# %%
s, history = scores.copy(), []
for step in range(60):
    p_now = softmax(s)
    history.append(p_now)
    dp_now = (p_now @ plural - 1.0) * plural
    s -= 2.0 * p_now * (dp_now - p_now @ dp_now)
    if step % 20 == 0 or step == 59:
        loss = (p_now @ plural - 1.0) ** 2 / 2
        print(f"step {step:2d}: weights {p_now.round(2)}, loss {loss:.3f}")

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure()
for j, style in ((4, "-"), (1, "--"), (0, ":")):
    axes.plot(np.array(history)[:, j], style, linewidth=2, label=words[j])
axes.set(xlabel="step", ylabel="weight", ylim=(0, 1))
axes.legend(title="word")
save_svg(figure, FIGURES / "softmax_learns.svg", "Weights against steps. The weight of cabinet "
         "falls from 0.8 to almost 0, the weight of keys rises from 0.1 to almost 1.")

# %% [markdown]
# The weight moves from *cabinet* to *keys*. It begins slowly: *keys* has little weight, so little blame reaches its score.
# A word that a model hardly looks at is a word that it learns about slowly.
#
# ## 5. The whole table at once (matrix form)
#
# All slopes of all weights together are a square table, called the **Jacobian**:
#
# ```math
# J = \text{diag}(p) - p \, p^\top \qquad ds = J \, dp
# ```
#
# `diag(p)` has the weights on its diagonal and zeros elsewhere. `p p^T` holds all the products `p_j p_i`.

# %%
J = np.diag(p) - np.outer(p, p)
print(J.round(3) + 0.0)
print("J @ dp:", (J @ dp).round(3))

# %% [markdown]
# For five words that is fine. For 1000 words the table has a million entries, for every place that asks.
# The index form needs 1000. So code never writes the table down:

# %%
from minigpt.nn import ops

def softmax_backward(dp, p):
    average = (dp * p).sum(axis=-1, keepdims=True)
    return p * (dp - average)

assert np.allclose(softmax_backward(dp, p), J @ dp, rtol=1e-12)
assert np.allclose(softmax_backward(dp, p), ops.softmax_backward(dp, p), rtol=1e-12)
print("two lines give the same as the table:", softmax_backward(dp, p).round(3))

# %% [markdown]
# The package's version works along the last axis of an array of any shape:
#
# {{include minigpt.nn.ops:softmax_backward}}
#
# ## 6. Attention backwards, in loops
#
# Now the whole of attention. Its forward had three steps. Place `t` asks, place `j` answers, `d` counts the numbers of a vector:
#
# ```math
# s_{tj} = \frac{1}{\sqrt{D}} \sum_d q_{td} k_{jd} \qquad p_{tj} = \text{softmax of row } t \qquad o_{td} = \sum_{j \le t} p_{tj} v_{jd}
# ```
#
# The backward undoes them in reverse order. Each line asks: *where was this number used?* Blame comes back from each use, and is added up.
#
# A value `v_j` was used by every place `t` that looked at it, with weight `p_tj`. A weight `p_tj` was used once for each `d`:
#
# ```math
# dv_{jd} = \sum_{t \ge j} p_{tj} \, do_{td} \qquad dp_{tj} = \sum_d do_{td} \, v_{jd}
# ```
#
# The softmax we know, one row at a time:
#
# ```math
# ds_{tj} = p_{tj} \left( dp_{tj} - \sum_i p_{ti} \, dp_{ti} \right)
# ```
#
# And a score is a product, so each factor is blamed in proportion to the other one:
#
# ```math
# dq_{td} = \frac{1}{\sqrt{D}} \sum_{j \le t} ds_{tj} \, k_{jd} \qquad dk_{jd} = \frac{1}{\sqrt{D}} \sum_{t \ge j} ds_{tj} \, q_{td}
# ```
#
# Look at who hears from whom. A query hears from all the places it looked **back** at.
# A key and a value hear from all the places that came **later** and looked at them: `t >= j`.
# In the forward, news travels from left to right. In the backward, blame travels from right to left.

# %%
def backward_in_loops(do, q, k, v):
    T, D = q.shape
    dq, dk, dv = np.zeros((3, T, D))
    for t in range(T):
        p = softmax(k[:t + 1] @ q[t] / math.sqrt(D))  # (t+1,), as in the forward
        dp = [sum(do[t, d] * v[j, d] for d in range(D)) for j in range(t + 1)]
        average = sum(p[j] * dp[j] for j in range(t + 1))
        for j in range(t + 1):
            ds = p[j] * (dp[j] - average)
            dv[j] += p[j] * do[t]  # a line of D numbers, each on its own
            dq[t] += ds * k[j] / math.sqrt(D)
            dk[j] += ds * q[t] / math.sqrt(D)
    return dq, dk, dv

print("in: do, q, k, v   out: dq, dk, dv")

# %%
q, k, v, do = np.random.default_rng(6).normal(size=(4, 5, 3))  # T = 5, D = 3
dq, dk, dv = backward_in_loops(do, q, k, v)
print("blame of the output:", do.round(2), "blame of the values:", dv.round(2), sep="\n")

# %% [markdown]
# The last value was only seen by the last place, so its blame is a fraction of what that place got.
# The first value was seen by all five places.
#
# We check the function in the two ways that never go out of fashion: against the package, and against measured slopes.
# For the second we need one number that depends on the whole output.
# We take the sum of all outputs, each multiplied by its own random number `do`. Its slopes are exactly our blames.

# %%
def one_number(q, k, v):
    out, _ = ops.attention_forward(*(x[None, :, None] for x in (q, k, v)))  # (1, T, 1, D)
    return (out[0, :, 0] * do).sum()

_, cache = ops.attention_forward(*(x[None, :, None] for x in (q, k, v)))
theirs = ops.attention_backward(do[None, :, None], cache)
slopes = (slopes_of(lambda x: one_number(x, k, v), q),
          slopes_of(lambda x: one_number(q, x, v), k),
          slopes_of(lambda x: one_number(q, k, x), v))
for name, our, their, slope in zip("qkv", backward_in_loops(do, q, k, v), theirs, slopes):
    assert np.allclose(our, their[0, :, 0], rtol=1e-10) and np.allclose(our, slope, atol=1e-8)
    print(f"d{name}: loops, package and measured slopes agree")

# %% [markdown]
# ## 7. Attention backwards, in five lines
#
# Every sum of section 6 is a matrix product. In matrices the forward and its backward are
#
# ```math
# S = \frac{Q K^\top}{\sqrt{D}} + M \qquad P = \text{softmax}(S) \qquad O = P V
# ```
#
# ```math
# dV = P^\top dO \qquad dP = dO \, V^\top \qquad dS = P \odot (dP - \text{average of each row, weighted by } P)
# ```
#
# ```math
# dQ = \frac{dS \, K}{\sqrt{D}} \qquad dK = \frac{dS^\top Q}{\sqrt{D}}
# ```
#
# The sign `⊙` multiplies entry by entry. Which factor is transposed, and on which side? You need not remember it.
# **The shapes decide.** `dV` must be `(T, D)` like `V`. It is made of `P`, which is `(T, T)`, and `dO`, which is `(T, D)`.
# The blame of place `j` collects over all `t`, so `t` must be the axis that is summed: `P^T dO`.

# %%
def attention_backward(do, q, k, v):
    T, D = q.shape
    s = np.where(np.tri(T, dtype=bool), q @ k.T / math.sqrt(D), -np.inf)  # (T, T)
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    dv = p.T @ do  # (T, D)
    dp = do @ v.T  # (T, T)
    ds = softmax_backward(dp, p) / math.sqrt(D)  # (T, T)
    return ds @ k, ds.T @ q, dv  # three times (T, D)

for our, loops in zip(attention_backward(do, q, k, v), backward_in_loops(do, q, k, v)):
    assert np.allclose(our, loops, rtol=1e-10)
print("five lines equal the loops")

# %% [markdown]
# Where is the mask in the backward? Nowhere. A forbidden weight is exactly 0, and `ds` is that weight times something: 0.
# Blame does not flow through a door that was closed.
#
# The package's version does this for `B` texts and all heads. The only new thing is at the end:
# when several query heads share one key head, that key head is blamed by all of them.
#
# {{include minigpt.nn.ops:attention_backward}}
#
# ## 8. LayerNorm: two kinds of blame are thrown away
#
# LayerNorm takes a row of `C` numbers, moves its mean to 0 and its spread to 1, then multiplies by a learned gain `g` and adds a learned bias `b`:
#
# ```math
# n_i = r \, (x_i - \mu) \qquad r = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \qquad y_i = g_i n_i + b_i
# ```
#
# Here `μ` is the mean of the row and `σ²` the mean of `(x_i - μ)²`. The small number `ε` prevents a division by 0.
#
# The last step is easy. For one row `db_i = dy_i`, `dg_i = dy_i n_i` and `dn_i = dy_i g_i`; all rows share `g` and `b`, so `db` and `dg` are added up over the rows.
# The hard part is from `n` to `x`, because `μ` and `r` depend on every `x`.
#
# **Scalar form.** How does the normalised number `n_j` change when `x_i` grows? In three ways:
# directly (only if `i = j`), through the mean, and through `r`.
#
# ```math
# \frac{\partial n_j}{\partial x_i} = r \, [i = j] - r \frac{\partial \mu}{\partial x_i} + (x_j - \mu) \frac{\partial r}{\partial x_i}
# ```
#
# The bracket `[i = j]` is 1 if `i` equals `j` and 0 otherwise. The mean moves by `1/C`.
# The variance moves by `2 (x_i - μ) / C`: of its terms `(x_j - μ)²` the one of `x_i` moves by `2 (x_i - μ)`, and that `μ` moves too makes no difference,
# because the `x_j - μ` add up to 0. And `r` is a power -1/2 of the variance (with `ε`), so
#
# ```math
# \frac{\partial r}{\partial x_i} = - \frac{1}{2} r^3 \cdot \frac{2 (x_i - \mu)}{C} = - \frac{r^2 n_i}{C}
# ```
#
# Together:
#
# ```math
# \frac{\partial n_j}{\partial x_i} = r \left( [i = j] - \frac{1}{C} - \frac{n_i n_j}{C} \right)
# ```
#
# **Index form.** Sum over all `j`, each with its blame `dn_j`:
#
# ```math
# dx_i = r \left( dn_i - \frac{1}{C} \sum_j dn_j - n_i \cdot \frac{1}{C} \sum_j n_j \, dn_j \right)
# ```
#
# Two averages are subtracted, just as softmax subtracts one.
#
# **Matrix form.** Write `1` for a column of ones:
#
# ```math
# dx = r \left( I - \frac{1 \, 1^\top}{C} - \frac{n \, n^\top}{C} \right) dn
# ```

# %%
def norm_backward(dy, x, gain, eps=1e-5):
    r = 1.0 / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    n = r * (x - x.mean(axis=-1, keepdims=True))
    dn = dy * gain
    through_mean = dn.mean(axis=-1, keepdims=True)
    through_spread = n * (dn * n).mean(axis=-1, keepdims=True)
    rows = tuple(range(x.ndim - 1))
    return r * (dn - through_mean - through_spread), (dy * n).sum(axis=rows), dy.sum(axis=rows)

rng = np.random.default_rng(8)
x, dy, gain, bias = rng.normal(2.0, 3.0, (4, 6)), rng.normal(size=(4, 6)), *rng.normal(size=(2, 6))
for name, our, their in zip(("dx", "dgain", "dbias"), norm_backward(dy, x, gain),
                            ops.layernorm_backward(dy, ops.layernorm_forward(x, gain, bias)[1])):
    assert np.allclose(our, their, rtol=1e-10)
    print(f"{name}: equal to the package's, shape {our.shape}")

# %% [markdown]
# There is a way to understand the formula without deriving it.
#
# * Add the same number to all of `x`: the mean goes along, and nothing comes out differently.
#   So the blame in that direction must be 0. The first subtracted term removes it.
# * Stretch all of `x` away from its mean: the spread goes along, nothing comes out differently.
#   The second subtracted term removes the blame in *that* direction.

# %%
dx, _, _ = norm_backward(dy, x, gain)
one_row_loss = lambda row: (ops.layernorm_forward(row, gain, bias)[0] * dy[0]).sum()
assert np.allclose(dx[0], slopes_of(one_row_loss, x[0]), atol=1e-8)
n = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
print("blame along 'add the same to all':", dx.sum(axis=1).round(3) + 0.0)
print("blame along 'stretch':            ", (dx * n).sum(axis=1).round(3) + 0.0)
print("blame that came in, for comparison:", (dy * gain).sum(axis=1).round(2))

# %% [markdown]
# In front of all this stands `r`, one over the spread. If the numbers in the row are ten times as large, the blame is ten times as small.
# So a norm keeps values in bounds on the way there. On the way back it undoes the stretch: blame becomes smaller where the numbers were widely spread,
# and larger where they lay close together.
#
# {{include minigpt.nn.ops:layernorm_backward}}
#
# **RMSNorm** leaves the mean alone and divides by the root of the mean square. One idea less, one term less:
#
# ```math
# n_i = r \, x_i \qquad r = \frac{1}{\sqrt{\text{mean of } x^2 + \epsilon}} \qquad dx_i = r \left( dn_i - n_i \cdot \frac{1}{C} \sum_j n_j \, dn_j \right)
# ```

# %%
def rms_backward(dy, x, gain, eps=1e-5):
    r = 1.0 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    n, dn = r * x, dy * gain
    return r * (dn - n * (dn * n).mean(axis=-1, keepdims=True)), (dy * n).sum(axis=0)

theirs = ops.rmsnorm_backward(dy, ops.rmsnorm_forward(x, gain)[1])
for name, our, their in zip(("dx", "dgain"), rms_backward(dy, x, gain), theirs):
    assert np.allclose(our, their, rtol=1e-10)
    print(f"{name}: equal to the package's")

# %% [markdown]
# ## 9. GELU and SwiGLU: a door that is half open
#
# Besides attention a GPT has **feed-forward layers** (lesson 07): two linear layers, and between them a step that bends every number on its own.
# Such a step has an easy backward, since no number depends on its neighbours: `dx = dy` times the slope at `x`.
#
# The simplest bend is ReLU, the larger of `x` and 0. Its slope is 0 or 1: a door that is shut or open.
# A number behind a shut door gets no blame and so cannot learn to come out.
#
# GPT-2 uses GELU: `x` times the probability that a normally distributed number is below `x`. That probability has no
# simple formula, so GPT-2 computes it with a tanh that comes very close:
#
# ```math
# y = \frac{x}{2} \left( 1 + \tanh u \right) \qquad u = \sqrt{2 / \pi} \left( x + 0.044715 \, x^3 \right)
# ```
#
# **Scalar form.** `x` stands in two places, so there are two terms. The slope of `tanh u` is `1 - tanh² u`:
#
# ```math
# \frac{dy}{dx} = \frac{1}{2} \left( 1 + \tanh u \right) + \frac{x}{2} \left( 1 - \tanh^2 u \right) \cdot \sqrt{2 / \pi} \left( 1 + 3 \cdot 0.044715 \, x^2 \right)
# ```
#
# **Index form** and **matrix form** add nothing new: `dx_i = dy_i` times the slope at `x_i`.
# The Jacobian is a diagonal, which as code is one multiplication.

# %%
def gelu_backward(dy, x):
    tanh = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x ** 2)
    return dy * (0.5 * (1 + tanh) + 0.5 * x * (1 - tanh ** 2) * du)

grid = np.linspace(-4, 4, 161)
slope = gelu_backward(np.ones_like(grid), grid)
_, cache = ops.gelu_forward(grid)
assert np.allclose(slope, ops.gelu_backward(np.ones_like(grid), cache), rtol=1e-12)
assert np.allclose(slope, slopes_of(lambda x: ops.gelu_forward(x)[0].sum(), grid), atol=1e-8)
print(f"largest slope {slope.max():.3f} at x = {grid[slope.argmax()]:.2f}, "
      f"smallest {slope.min():.3f} at x = {grid[slope.argmin()]:.2f}")

# %%
silu = grid / (1 + np.exp(-grid))
sigmoid = 1 / (1 + np.exp(-grid))
figure, (left, right) = new_figure(columns=2)
for label, style, values, slopes in (("ReLU", ":", np.maximum(grid, 0), (grid > 0) * 1.0),
                                     ("GELU", "-", ops.gelu_forward(grid)[0], slope),
                                     ("SiLU", "--", silu, sigmoid * (1 + grid * (1 - sigmoid)))):
    left.plot(grid, values, style, linewidth=2, label=label)
    right.plot(grid, slopes, style, linewidth=2, label=label)
left.set(xlabel="x", ylabel="y, the output", ylim=(-0.5, 3))
right.set(xlabel="x", ylabel="dy/dx, the slope")
left.legend()
save_svg(figure, FIGURES / "bends.svg", "Left: ReLU, GELU and SiLU against x, nearly the same. "
         "Right: their slopes. ReLU's jumps from 0 to 1, the others rise smoothly from below 0.")

# %% [markdown]
# The three curves look alike. Their slopes do not. GELU's is a little **negative** left of {{grid[np.argmax(slope > 0)]:.2f}}
# and a little more than 1 on the right: there blame comes out stronger than it went in.
# The smooth slope means that almost no door is quite shut: only far to the left, and near the one point where the slope changes its sign,
# does hardly any blame come through.
#
# **SwiGLU**, the feed-forward layer of Llama, uses the third curve. It has two inputs of the same shape: a *gate* and a value called *up*.
# SiLU of the gate says how wide the door stands open for the value:
#
# ```math
# y = \text{silu}(g) \cdot u \qquad \text{silu}(g) = g \cdot \sigma(g) \qquad \sigma(g) = \frac{1}{1 + e^{-g}}
# ```
#
# A product blames each factor in proportion to the other one. The slope of `σ` is `σ (1 - σ)`:
#
# ```math
# du = dy \cdot \text{silu}(g) \qquad dg = dy \cdot u \cdot \left( \sigma + g \, \sigma (1 - \sigma) \right)
# ```

# %%
def swiglu_backward(dy, gate, up):
    sigmoid = 1 / (1 + np.exp(-gate))
    return dy * up * (sigmoid + gate * sigmoid * (1 - sigmoid)), dy * gate * sigmoid

gate, up, dy = rng.normal(size=(3, 2, 5))
theirs = ops.swiglu_backward(dy, ops.swiglu_forward(gate, up)[1])
measured = (slopes_of(lambda x: (ops.swiglu_forward(x, up)[0] * dy).sum(), gate),
            slopes_of(lambda x: (ops.swiglu_forward(gate, x)[0] * dy).sum(), up))
ours = swiglu_backward(dy, gate, up)
for name, our, their, slope in zip(("dgate", "dup"), ours, theirs, measured):
    assert np.allclose(our, their, rtol=1e-10) and np.allclose(our, slope, atol=1e-8)
    print(f"{name}: formula, package and measured slopes agree")

# %% [markdown]
# ## 10. Every gradient of a two-layer GPT
#
# You now know the backward of every step in a GPT. Lesson 07 puts the steps together. Here we ask whether **all** gradients are right at once.
#
# The package has a function for this. For each tensor it draws a random direction, moves the whole tensor along it,
# measures how the loss changes, and compares with what the backward claims. The error is relative: 0.01 means 1 %.
#
# Two precautions matter. Numbers have 64 bits, so that a difference of two nearly equal losses keeps its digits.
# And every parameter is first moved off its initial value: section 11 shows why.

# %%
from minigpt.config import GPTConfig
from minigpt.nn import losses
from minigpt.nn.gpt import Transformer
from minigpt.nn.gradcheck import check_model, perturb

ids = np.random.default_rng(0).integers(0, 11, (3, 7))  # 3 texts of 7 tokens

def gpt_loss(model, backward):
    logits, cache = model.forward(ids[:, :-1])
    loss, dlogits, _ = losses.cross_entropy(logits, ids[:, 1:])
    if backward:
        model.backward(dlogits, cache)
    return loss

print("6 tokens of each text are read, and the next one is predicted:", ids[:, 1:].size, "guesses")

# %%
sizes = dict(vocab_size=11, block_size=6, n_layer=2, n_head=2, n_embd=8)
llama = dict(norm="rmsnorm", mlp="swiglu", position="rope", n_kv_head=1, bias=False)

def make_model(**options):
    model = Transformer(GPTConfig(**sizes, **options), dtype="float64", backend="numpy")
    return perturb(model, np.random.default_rng(1))

for label, options in (("GPT-2's parts", {}), ("Llama's parts", llama)):
    errors = check_model(make_model(**options), gpt_loss, np.random.default_rng(2))
    assert max(errors.values()) < 1e-6
    print(f"{label}: {len(errors)} tensors, all within one part in a million of the measured slope")

# %% [markdown]
# Now we plant a bug: attention with the wrong softmax backward of section 2, each weight on its own.
# Which tensors will be wrong? Think before you look.

# %%
from types import SimpleNamespace

def broken_attention_backward(dout, cache):
    query, key, value, probs = cache  # (B, K, G, T, D), ..., (B, K, G, T, T); here G = 1
    do = dout.transpose(0, 2, 1, 3)[:, :, None]  # (B, K, 1, T, D)
    ds = each_on_its_own(do @ value.swapaxes(-1, -2), probs) / math.sqrt(query.shape[-1])
    three = ds @ key, ds.swapaxes(-1, -2) @ query, probs.swapaxes(-1, -2) @ do
    return [d[:, :, 0].transpose(0, 2, 1, 3) for d in three]  # three times (B, T, H, D)

broken = make_model()
broken.ops = SimpleNamespace(**vars(broken.ops))  # a copy: the other models keep the right one
broken.ops.attention_backward = broken_attention_backward
broken_errors = check_model(broken, gpt_loss, np.random.default_rng(2))
wrong = [name for name, error in broken_errors.items() if error > 1e-6]
print("wrong tensors:", len(wrong), "of", len(broken_errors))

# %%
errors = check_model(make_model(), gpt_loss, np.random.default_rng(2))
names, rows = list(errors), range(len(errors))
figure, axes = new_figure(height=6.4)
for label, marker, found in (("right", "o", errors), ("bug in the softmax", "X", broken_errors)):
    axes.plot([max(found[name], 1e-8) for name in names], rows, marker, label=label)
axes.axvline(1e-6, color="black", linestyle=":", label="limit")
axes.set(xlabel="relative error of the gradient (smaller ones drawn at the left edge)")
axes.set_xscale("log")
axes.set_yticks(rows, names)
axes.invert_yaxis()
axes.legend(loc="center")
save_svg(figure, FIGURES / "every_gradient.svg", "Error of the gradient of 28 tensors, from the "
         "embedding to the last norm. Right: all below the limit. With the bug: all tensors before "
         "the second block's attention are far above the limit, the ones after it are not.")

# %% [markdown]
# Read the picture from the bottom to the top: that is the order in which the backward walks.
# The names are those of GPT-2: `h.0` and `h.1` are the two blocks, `c_attn` holds `W_q`, `W_k` and `W_v` side by side, `c_proj` is one more table,
# which mixes the heads' outputs after attention, and `ln_f` is the last norm.
# `ln_f`, the second feed-forward layer, its norm, and `h.1.attn.c_proj` are right. Then comes `h.1.attn.c_attn`, and it is wrong.
# From there on **everything** is wrong, up to the first embedding.
#
# So the picture points at the bug. The first wrong tensor on the way back is `c_attn`, the last right one is `c_proj`.
# Between them lies one operation: attention. A gradient check says more than yes or no. It says where to look.
#
# There is one more surprise in these gradients. `c_attn.bias` holds three biases: one that is added to all queries, one for keys, one for values.
# How large is the blame of each?

# %%
model = make_model()
gpt_loss(model, backward=True)
blames = model.grads["h.0.attn.c_attn.bias"].reshape(3, 8)
for name, blame in zip(("queries", "keys", "values"), blames):
    print(f"bias of the {name:8s} largest blame {np.abs(blame).max().round(12):.6f}")

# %% [markdown]
# The bias of the keys has no blame at all. It never learns anything, in any GPT-2, large or small.
# You can see why with section 4. Add the same vector `b` to all keys. Then every score of place `t` grows by the same number, `q_t · b / √D`.
# Softmax does not notice that all its scores grew together. Llama leaves such biases out.
#
# ## 11. Break it
#
# Below, RMSNorm's backward has lost its gain: somebody wrote `dn = dy` instead of `dn = dy * gain`.
# What does the check say to a fresh model, whose gains are all 1? And what after `perturb`?

# %%
def rms_without_gain(dy, cache):
    n, r, _ = cache
    return r * (dy - n * (dy * n).mean(axis=-1, keepdims=True)), (dy * n).sum(axis=(0, 1))

fresh = Transformer(GPTConfig(**sizes, **llama), dtype="float64", backend="numpy")
for label, model in (("fresh", fresh), ("perturbed", make_model(**llama))):
    model.ops = SimpleNamespace(**vars(model.ops))
    model.ops.rmsnorm_backward = rms_without_gain
    found = check_model(model, gpt_loss, np.random.default_rng(3))
    wrong = [name for name, error in found.items() if error > 1e-5]
    print(f"{label:9s} model: {len(wrong):2d} of {len(found)} tensors look wrong")

# %% [markdown]
# The fresh model looks perfect. A gain of 1 hides a forgotten gain, as a bias of 0 hides a forgotten bias.
# So a check must start where nothing is 0 or 1 by habit.
#
# Other edits to try, each with the result to expect:
#
# * Section 4: leave out `- average` in the line that computes `ds`. The assertion fails: *cabinet* gets no blame, and the sum is not 0.
# * Section 7: write `dp.T` instead of `dp`. The shapes still fit, since both are `(T, T)`, and the assertion fails.
#   Shapes catch many mistakes, but not between two square tables.
# * Section 8: leave out `- through_mean`. The assertion fails at `dx`, the first of the three. The other two do not use that term.
#
# ## 12. Exercises
