# title: Gradients by hand
# question: What is a backward?
# needs: lesson 02 (logits, cross-entropy), slopes and the chain rule from school, NumPy's `@`
# builds: the backward of a table look-up, a linear layer and the loss; a check that catches wrong ones; a network that learns
# minutes: 75
# files: nn.ops nn.gradcheck nn.kernels.embedding nn.kernels.linear

# %% [markdown]
# ## 1. One knob
#
# Lesson 02 ended with a network of many random numbers and a question: how should they change, so that the loss falls?
# Let us begin with a network of one number `w`. It gets `x = 3`, gives `y = w x`, and should give 6. The loss is the squared error:
#
# ```math
# L = (w x - 6)^2
# ```

# %%
def loss_of_knob(w, x=3.0):
    return (w * x - 6.0) ** 2

for w in (1.0, 1.001):
    print(f"w = {w}: loss {loss_of_knob(w):.6f}")
print(f"slope: {(loss_of_knob(1.001) - loss_of_knob(1.0)) / 0.001:.1f}")

# %% [markdown]
# When `w` grows a little, the loss changes by about -18 times as much: it falls. The number -18 is the **slope** of the loss. It tells us what to do:
# turn `w` a little against the slope. Then measure again.

# %%
w = 1.0
for step in range(6):
    slope = (loss_of_knob(w + 1e-6) - loss_of_knob(w)) / 1e-6
    print(f"step {step}: w = {w:.3f}, loss {loss_of_knob(w):6.3f}, slope {slope:7.2f}")
    w -= 0.02 * slope

# %% [markdown]
# That is all there is to learning. `w` goes to 2, and the loss to 0. The factor 0.02 is called the **learning rate**.
# A network has more knobs. The list of all their slopes is called the **gradient**.
#
# ## 2. The smallest slow version: nudge every knob
#
# We could nudge each knob in turn and look at the loss. It works, but each nudge costs a whole run of the network.
# A network like that of lesson 02, with `V = 1024` tokens and vectors of `C = 16` numbers, has 2 V C knobs. Here is how long one step of learning would take:

# %% volatile
import time

import numpy as np

from minigpt.nn import ops

V, C = 1024, 16
rng = np.random.default_rng(0)
x, weight = rng.normal(size=(1024, C)), rng.normal(size=(C, V))
start = time.perf_counter()
ops.cross_entropy_forward(ops.linear_forward(x, weight)[0], np.zeros(1024, int))
seconds = time.perf_counter() - start
print(f"one run: {1000 * seconds:.0f} ms; a nudge for each of {2 * V * C} knobs: "
      f"{2 * V * C * seconds / 60:.0f} minutes for a single step")

# %% [markdown]
# We shall find all slopes at once, for the price of about two runs. The trick is the chain rule.
#
# ## 3. The chain rule, walked backwards
#
# Back to one knob. The loss is computed in two steps: first `y = w x`, then `L = (y - 6)^2`. Ask each step a small question:
#
# * last step: if `y` changes a little, how much does `L` change? By `2 (y - 6)` times as much.
# * first step: if `w` changes a little, how much does `y` change? By `x` times as much.
#
# One after the other, the factors multiply:
#
# ```math
# \frac{dL}{dw} = \frac{dL}{dy} \cdot \frac{dy}{dw} = 2 (y - 6) \cdot x
# ```

# %%
w, x_knob = 1.0, 3.0
y = w * x_knob  # forward: first step, last step
loss = (y - 6.0) ** 2
dy = 2.0 * (y - 6.0)  # backward: last step, first step
dw = dy * x_knob
print(f"y = {y}, loss = {loss}; backward: dy = {dy}, dw = {dw}")

# %% [markdown]
# We write `dw` for the slope of the loss when `w` changes, `dy` for the slope when `y` changes, and so on. Always of the **loss**.
#
# Notice the order. The forward goes from the knob to the loss. The backward goes from the loss to the knob.
# Each step needs only two things: the slope of its output (`dy`), and what it remembers of the forward (`x`). It does not care what comes before or after.
#
# So we can write each step once and for all as a pair of functions:
#
# * `out, cache = step_forward(inputs)`. The cache is what the backward will need again.
# * `slopes of the inputs = step_backward(slope of out, cache)`.
#
# Three pairs are enough for our network: look up a vector, multiply by a table, compute the loss.
#
# ## 4. The linear step
#
# **Scalar form.** One input, one weight, one bias: `y = x w + b`. From school:
#
# ```math
# dx = dy \cdot w \qquad dw = dy \cdot x \qquad db = dy
# ```
#
# **Index form.** Now `N` rows with `C` inputs and `O` outputs each. Row `n`, input `c`, output `o`:
#
# ```math
# y_{no} = \sum_{c} x_{nc} w_{co} + b_o
# ```
#
# Take one input `x_nc`. It has an influence on all outputs of its row, on each with another weight.
# The loss feels it through all of them, so the slopes are added up.
# A weight `w_co` has an influence on output `o` of **every** row. A bias too. So their slopes are sums over rows:
#
# ```math
# dx_{nc} = \sum_{o} dy_{no} w_{co} \qquad dw_{co} = \sum_{n} x_{nc} dy_{no} \qquad db_o = \sum_{n} dy_{no}
# ```
#
# The rule to remember: **what is used several times gets the sum of the slopes of all its uses.**

# %%
def linear_backward_in_loops(dy, x, w):
    N, C, O = len(x), x.shape[1], w.shape[1]
    dx, dw, db = np.zeros((N, C)), np.zeros((C, O)), np.zeros(O)
    for n in range(N):
        for o in range(O):
            db[o] += dy[n, o]
            for c in range(C):
                dx[n, c] += dy[n, o] * w[c, o]
                dw[c, o] += dy[n, o] * x[n, c]
    return dx, dw, db

x, w, b, dy = (rng.normal(size=shape) for shape in ((5, 3), (3, 4), (4,), (5, 4)))
print("shapes of dx, dw, db:", *(slope.shape for slope in linear_backward_in_loops(dy, x, w)))

# %% [markdown]
# **Matrix form.** Each sum is a matrix product. A sum over `o` joins the second index of `dy` with the second of `w`, so `w` is turned over:
#
# ```math
# dX = dY \, W^\top \qquad dW = X^\top \, dY \qquad db = \text{sum of the rows of } dY
# ```
#
# You need not learn this by heart. A slope has the shape of what it belongs to, and while `N`, `C` and `O` are three different numbers there is only one way
# to multiply `dY` and `W` into the shape of `X`. (For a square `W` the shapes of `dY W` fit too, and it is wrong: so test with different numbers.)

# %%
out, cache = ops.linear_forward(x, w, b)
for ours, theirs in zip(linear_backward_in_loops(dy, x, w), ops.linear_backward(dy, cache)):
    assert np.allclose(ours, theirs, rtol=1e-12)
assert np.allclose(dy @ w.T, ops.linear_backward(dy, cache)[0], rtol=1e-12)
print("loops, matrix form and package agree")

# %% [markdown]
# {{include minigpt.nn.ops:linear_backward}}
#
# ## 5. Softmax and cross-entropy together
#
# The network gives a logit `z_w` to each possible next token `w`. Let `y` be the token that really came. Lesson 02:
#
# ```math
# L = - \ln \frac{e^{z_y}}{\sum_{u} e^{z_u}} = \ln \left( \sum_{u} e^{z_u} \right) - z_y
# ```
#
# **Scalar form.** Change one logit `z_w`. The first part is a logarithm of a sum: its slope is one over the sum, times the slope of the sum, which is `e` to the `z_w`.
# That quotient is just the probability `p_w`. The second part has slope 1 for the token that came, and 0 for the others. Together:
#
# ```math
# \frac{dL}{dz_w} = p_w - [w = y]
# ```
#
# The bracket is 1 if what stands in it is true, and 0 if not. An example says it best:

# %%
logits = np.log([[0.7, 0.2, 0.1]])
losses, cache = ops.cross_entropy_forward(logits, np.array([2]))
print("probabilities:    ", np.exp(logits[0]).round(2), "  token 2 came, loss", losses.round(2)[0])
print("slopes of logits: ", ops.cross_entropy_backward(np.ones(1), cache)[0].round(2))

# %% [markdown]
# Learning moves each logit against its slope, so read the slopes as pushes in the other direction.
# The token that came is pushed up, by what its probability lacks of 1.
# The others are pushed down, each by the probability that was wasted on it. The pushes add up to 0.
# When the model is sure and right, nothing is pushed any more.
#
# **Index form.** With `N` rows, and a factor `dloss_n` for how much row `n` counts (1/N, if the loss is an average):
#
# ```math
# dz_{nw} = dloss_n \cdot (p_{nw} - [w = y_n])
# ```
#
# **Matrix form.** With `P` for all probabilities, `Y` for a table with a 1 where each right token is: `dZ = (P - Y)`, each row times its factor.

# %%
def cross_entropy_backward_in_loops(dlosses, logits, targets):
    dlogits = np.zeros_like(logits)
    for n, row in enumerate(logits):
        exponentials = [np.exp(z - max(row)) for z in row]
        for w in range(len(row)):
            p = exponentials[w] / sum(exponentials)
            dlogits[n, w] = dlosses[n] * (p - (w == targets[n]))
    return dlogits

z, targets, dlosses = rng.normal(size=(4, 6)), np.array([0, 5, 2, 2]), rng.normal(size=4)
_, cache = ops.cross_entropy_forward(z, targets)
ours = cross_entropy_backward_in_loops(dlosses, z, targets)
assert np.allclose(ours, ops.cross_entropy_backward(dlosses, cache), rtol=1e-12)
print("equal to the package; the sum of each row:", np.abs(ours.sum(axis=1)).round(12))

# %% [markdown]
# ## 6. The look-up, and a trap
#
# The first step takes row `ids[n]` of a table for each token. Its backward sends the slope of each vector back to the row that it came from.
# A token that occurs twice gets both. And here NumPy has a trap:

# %%
ids, dx = np.array([7, 7, 3]), np.ones((3, 2))
wrong = np.zeros((10, 2))
wrong[ids] += dx  # looks right
right = np.zeros((10, 2))
np.add.at(right, ids, dx)
print("row 7 was used twice. With += it gets", wrong[7], "and with np.add.at", right[7])

# %% [markdown]
# With `+=`, NumPy first reads all the rows, then adds, then writes them all back. The second write to row 7 covers the first: one use is lost, and no error is shown.
# The model would still learn, only a little worse. Such mistakes are found by tests or never.
#
# {{include minigpt.nn.ops:embedding_backward}}
#
# ## 7. How to know that a backward is right
#
# A backward makes a claim: "if you change the inputs a little in this direction, the loss changes so much".
# We can test the claim by doing it. Choose a random direction `u`. Go a small step `h` forwards and back, and compare:
#
# ```math
# \frac{f(x + h u) - f(x - h u)}{2 h} \approx \sum_i g_i u_i
# ```
#
# `f` is the loss, and `g` the gradient that is claimed. How small should `h` be? The smaller the better, says mathematics. The computer disagrees:

# %% volatile
def error_of_slope(h, dtype):
    x = np.linspace(-1, 1, 8).astype(dtype)
    u = np.cos(np.arange(8)).astype(dtype)
    h = dtype(h)
    measured = (np.exp(x + h * u).sum() - np.exp(x - h * u).sum()) / (2 * h)
    exact = (np.exp(x.astype(np.float64)) * u).sum()  # the slope of e^x is e^x
    return abs(float(measured) / exact - 1)

steps = 10.0 ** -np.arange(0, 9)
errors = {dtype.__name__: [error_of_slope(h, dtype) for h in steps]
          for dtype in (np.float32, np.float64)}
for h, error32, error64 in list(zip(steps, *errors.values()))[::2]:
    print(f"h = {h:.0e}: error {error32:.0e} with 32 bits, {error64:.0e} with 64 bits")

# %% volatile
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure()
axes.loglog(steps, np.maximum(errors["float32"], 1e-12), "s--", label="32-bit numbers")
axes.loglog(steps, np.maximum(errors["float64"], 1e-12), "o-", label="64-bit numbers")
axes.set(xlabel="step h", ylabel="relative error of the slope")
axes.legend()
save_svg(figure, FIGURES / "step_size.svg", "Error of the measured slope against the step h. Both "
         "curves fall and rise again: 32 bits turn near h = 0.01, 64 bits near h = 0.00001.")

# %% [markdown]
# From the right, the error falls: a smaller step measures the slope better. Then it rises again. The two losses become so alike that their difference
# is mostly rounding. With 32-bit numbers the curve turns early, and small steps measure nothing but noise. A small mistake hides in that.
# (That 32 bits look better than 64 in one row is chance: there a rounding error cancels the error of the step.)
# With 64 bits there is a wide range of steps that measure better than 1 part in a million. So **gradients are checked in 64 bits**, and models are trained in 32.
#
# ## 8. A check that sees, and checks that do not
#
# The checks that people write first are weaker than they look. Here are three:
#
# * **sum**: the loss is the sum of the outputs; nudge one number of the first input; accept 2 % difference.
# * **absolute**: the same for every number of the first input, and accept a difference of 0.01.
# * **random**: the loss is the outputs times *random* factors; nudge *all* inputs in random directions; accept 1 part in a million.
#
# The last one is the package's `check_operation`.

# %%
def nudge(forward, backward, inputs, count, agree):
    out, cache = forward(*inputs)
    grads = backward(np.ones_like(out), cache)  # the loss is the sum of the outputs
    claimed = grads[0] if isinstance(grads, tuple) else grads
    for i in range(count(claimed)):
        way = np.zeros(claimed.shape)
        way.flat[i] = 1e-5
        up, down = (forward(inputs[0] + s * way, *inputs[1:])[0].sum() for s in (1, -1))
        if not agree(claimed.flat[i], (up - down) / 2e-5):
            return False
    return True

print("right softmax:", nudge(ops.softmax_forward, ops.softmax_backward, [rng.normal(size=(2, 5))],
                              np.size, lambda claimed, measured: abs(claimed - measured) < 1e-6))

# %%
from minigpt.nn.gradcheck import check_operation

def by_sum(forward, backward, inputs):
    close = lambda c, m: abs(c - m) <= 0.01 * (abs(c) + abs(m) + 1e-8)  # 1e-8: rounding
    return nudge(forward, backward, inputs, lambda grad: 1, close)

def by_absolute(forward, backward, inputs):
    return nudge(forward, backward, inputs, np.size, lambda c, m: abs(c - m) <= 0.01)

def by_random(forward, backward, inputs):
    return check_operation(forward, backward, inputs, np.random.default_rng(0)) < 1e-6

linear = [rng.normal(size=(5, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)]
for check in (by_sum, by_absolute, by_random):
    print(check.__name__, "accepts it:", check(ops.linear_forward, ops.linear_backward, linear))

# %% [markdown]
# All three accept the right backward, as they should. And here are seven mistakes, of kinds that people make:

# %%
def spoil(backward, number, change):
    """The backward with its gradient for input `number` changed."""
    def spoiled(dout, cache):
        grads = list(backward(dout, cache))
        grads[number] = change(grads[number])
        return tuple(grads)
    return spoiled

half = spoil(ops.linear_backward, 0, lambda dx: dx / 2)
more = spoil(ops.linear_backward, 0, lambda dx: 1.005 * dx)
averaged = spoil(ops.linear_backward, 1, lambda dw: dw / 5)
no_bias = spoil(ops.linear_backward, 2, lambda db: 0 * db)
print("slope of the bias:", no_bias(np.ones((5, 4)), linear)[2])

# %%
def norm_without_gain(dy, cache):
    xhat, rstd, gain, bias = cache
    return ops.layernorm_backward(dy, (xhat, rstd, np.ones_like(gain), bias))

def always_zero(dp, p):
    return np.zeros_like(p)

print("slope of softmax:", always_zero(rng.normal(size=3), np.ones(3) / 3))

# %%
tiny, four = [0.001 * each for each in linear], linear[2]
scores, gain, ones = rng.normal(size=(2, 5)), rng.normal(size=4), np.ones(4)
L, S, N = ops.linear_forward, ops.softmax_forward, ops.layernorm_forward
bugs = [
    ("softmax: always zero", S, always_zero, [scores]),
    ("linear: dx half a percent too large", L, more, linear),
    ("linear: half of dx, tiny numbers", L, half, tiny),
    ("linear: dw averaged over rows", L, averaged, linear),
    ("linear: the bias gets nothing", L, no_bias, linear),
    ("layernorm: no gain, gain random", N, norm_without_gain, [linear[0], gain, four]),
    ("layernorm: no gain, gain 1", N, norm_without_gain, [linear[0], ones, four]),
]
print(len(bugs), "mistakes")

# %%
caught = np.zeros((len(bugs), 3))
checks = (by_sum, by_absolute, by_random)
print(" " * 36 + "sum        absolute   random")
for row, (name, forward, backward, inputs) in enumerate(bugs):
    caught[row] = [not check(forward, backward, inputs) for check in checks]
    print(f"{name:36s}" + "".join(f"{'caught' if each else 'missed':11s}" for each in caught[row]))

# %% [markdown]
# The first line is the nicest: softmax outputs always add up to 1. Their sum never changes, so its slope **is** zero, and a backward that returns zeros passes.
# A sum is a bad loss for a test. Small numbers hide behind an absolute tolerance, and a mistake in an input that is never nudged is never seen.
#
# The random check catches all but the last, and the last teaches a lesson: **a check sees only what its inputs let it see.**
# LayerNorm (lesson 06) multiplies by a learned gain. A gain begins at 1, and whoever forgets to multiply by 1 makes no mistake yet.
# So a test must first move all numbers away from their starting values.
#
# ## 9. The network learns
#
# Now we put the three pairs together. Forward: look up, multiply, loss. Backward: the same names in reverse order.

# %%
import itertools
import math

from minigpt.text.tokenizer import Tokenizer
from minigpt.world import load_world, pretraining_documents, small_world

documents = list(itertools.islice(pretraining_documents(small_world(load_world()), seed=2), 5000))
seen, new = documents[:4500], documents[4500:]
tok = Tokenizer.train(seen[:1000], vocab_size=V, split="han")
train_ids, new_ids = (np.array([i for text in part for i in tok.encode(text + "\n")])
                      for part in (seen, new))
print(f"{len(train_ids)} tokens to learn from, {len(new_ids)} new ones")

# %%
def loss_and_grads(weights, before, after):
    x, from_table = ops.embedding_forward(before, weights["table"])  # (N, C)
    logits, from_output = ops.linear_forward(x, weights["output"])  # (N, V)
    losses, from_loss = ops.cross_entropy_forward(logits, after)  # (N,)

    dlogits = ops.cross_entropy_backward(np.full(len(after), 1 / len(after)), from_loss)
    dx, doutput, _ = ops.linear_backward(dlogits, from_output)
    dtable = ops.embedding_backward(dx, from_table)
    return losses.mean(), {"table": dtable, "output": doutput}

rng = np.random.default_rng(0)
weights = {"table": 0.1 * rng.normal(size=(V, C)), "output": 0.1 * rng.normal(size=(C, V))}
loss, grads = loss_and_grads(weights, new_ids[:-1], new_ids[1:])
print(f"untrained: loss {loss:.3f}, ln V = {math.log(V):.3f}")

# %%
way = {name: rng.normal(size=weight.shape) for name, weight in weights.items()}

def loss_on_the_way(step):
    moved = {name: weights[name] + step * way[name] for name in weights}
    return loss_and_grads(moved, new_ids[:-1], new_ids[1:])[0]

measured = (loss_on_the_way(1e-5) - loss_on_the_way(-1e-5)) / 2e-5
claimed = sum((grads[name] * way[name]).sum() for name in weights)
assert abs(measured - claimed) <= 1e-6 * abs(measured)
print(f"all {2 * V * C} slopes at once: measured {measured:.6f}, claimed {claimed:.6f}")

# %% [markdown]
# The gradient is right. Now we let it learn: take 1024 random pairs of neighbours, compute the gradient, turn every knob a little against its slope.
# This is called **stochastic gradient descent**; *stochastic* means that each step sees a random part of the text.

# %% tolerance=0.01
history = []
for step in range(700):
    places = rng.integers(len(train_ids) - 1, size=1024)
    loss, grads = loss_and_grads(weights, train_ids[places], train_ids[places + 1])
    for name in weights:
        weights[name] -= 12.0 * grads[name]
    history.append(loss)
    if step in (0, 9, 99, 699):
        print(f"step {step + 1:3d}: loss {loss:.2f}")

# %% [markdown]
# How good is that? On the text that was counted, no model that looks at one token only can beat that of lesson 02. We count again, with today's {{V}} tokens:

# %% tolerance=0.01
counts = np.full((V, V), 0.001)
np.add.at(counts, (train_ids[:-1], train_ids[1:]), 1)
logits = np.log(counts)
counted = ops.cross_entropy_forward(logits[new_ids[:-1]], new_ids[1:])[0].mean()
learned = loss_and_grads(weights, new_ids[:-1], new_ids[1:])[0]
print(f"on new text: counted {counted:.2f} with {V * V} numbers, "
      f"learned {learned:.2f} with {2 * V * C} numbers")

# %%
figure, axes = new_figure()
axes.plot(range(1, 701), history, label="the network, on the pairs of each step")
axes.axhline(counted, color="black", linestyle=":", label="counting, on new text")
axes.axhline(math.log(V), color="grey", linestyle="--", label="guessing")
axes.set(xlabel="steps", ylabel="loss (nats per token)", ylim=(0, 8))
axes.legend()
save_svg(figure, FIGURES / "learning.svg", "Loss against steps. It begins at that of guessing, "
         "falls fast, then slowly, and comes close to the loss of counting.")

# %% [markdown]
# With one number where the table has {{V * V // (2 * V * C)}}, the network comes close to it. It never counted anything.
#
# And something was learned that nobody asked for. Each token has a vector now. Which vectors point in nearly the same direction?

# %%
length = np.linalg.norm(weights["table"], axis=1, keepdims=True)
directions = weights["table"] / length
for word in (" red", " dog", " Tom"):
    similar = directions @ directions[tok.encode(word)[0]]
    nearest = np.argsort(-similar)[1:6].tolist()
    print(f"{word}:", ",".join(tok.decode([i]) for i in nearest))

# %% [markdown]
# Colours stand beside colours, animals beside animals, names beside names. The network was only told which token came next.
# But what follows *red* also follows *green*, so their vectors were pushed in the same directions.
# Here is the sharing that a table of counts cannot do.
#
# ## 10. Break it
#
# What happens if the learning rate is too large? Take 30 times as much:

# %% tolerance=0.05
wild = {"table": 0.1 * rng.normal(size=(V, C)), "output": 0.1 * rng.normal(size=(C, V))}
for step in range(5):
    places = rng.integers(len(train_ids) - 1, size=1024)
    loss, grads = loss_and_grads(wild, train_ids[places], train_ids[places + 1])
    for name in wild:
        wild[name] -= 360.0 * grads[name]
    print(f"step {step}: loss {loss:.1f}")

# %% [markdown]
# Already the first step lands a little higher, and every later one jumps over the valley and lands much higher on the other side. If your loss grows, divide the learning rate by 10 and look again,
# more than once if need be: here 360 / 10 = 36 flies away too, only later, and 12 learns.
#
# Other edits to try, each with the result to expect:
#
# * Section 9: learn with 20 instead of 12. It still works, but at the edge: rounding errors grow from step to step,
#   and another processor ends at another loss. With 12 they die out, and the losses are the same everywhere.
# * Section 9: begin with `0.0 *` in place of `0.1 *`. The loss stays at `ln V` for good: with two tables of zeros, each one's slope is zero because the other is.
# * Section 9: in `loss_and_grads` return `dtable / 2`. It still learns, only slower: a learning curve does not show this mistake. The check does.
# * Section 6: replace `np.add.at` by `+=` in `minigpt/nn/ops.py`. The check in section 9 fails at once.
#
# ## 11. Exercises
