# title: Learning
# question: The gradient says which way. How far, and is it really that way?
# needs: lessons 03 and 07 (gradients, the GPT); what a mean and a square root are
# builds: gradient descent, momentum, Adam, AdamW and Muon, the schedule and the clipping, and a race between all five on one small GPT
# minutes: 75
# files: train.optim nn.kernels.adamw nn.kernels.muon

# %% [markdown]
# ## 1. A valley
#
# A backward gives us, for each weight, the slope of the loss. That is called the gradient.
# It says: *increase this weight a little, and the loss grows that much*. So we go the other way:
#
# ```math
# w \leftarrow w - \eta \, g
# ```
#
# Here `g` is the gradient and `η` (read: eta) the **learning rate**: how far we dare to go. This is **gradient descent**, or SGD.
# (The S stands for *stochastic*: each step looks at a few texts drawn by chance.)
#
# Take a loss with only two weights, so that we can draw it. It is a long valley, flat along `x` and steep along `y`:
#
# ```math
# \text{loss} = \frac{1}{2} \left( x^2 + 100 \, y^2 \right) \qquad g = (x, \; 100 \, y)
# ```

# %%
import math

import numpy as np

def loss(w):
    return 0.5 * (w[0] ** 2 + 100 * w[1] ** 2)

def gradient(w):
    return np.array([w[0], 100 * w[1]])

start = np.array([8.0, 0.8])
print("loss at the start:", loss(start), "  gradient:", gradient(start))

# %% [markdown]
# ## 2. The smallest version, and what is wrong with it
#
# Let us walk for 60 steps with three learning rates.

# %%
def walk(rule, steps=60):
    w, path, memory = start.copy(), [start.copy()], {}
    for t in range(1, steps + 1):
        w = w - rule(gradient(w), memory, t)
        path.append(w.copy())
    return np.array(path)

for rate in (0.002, 0.018, 0.0205):
    path = walk(lambda g, memory, t: rate * g)
    x, y = path[-1]
    print(f"learning rate {rate:6.4f}: x {x:5.2f}, y {y:7.3f}, loss {loss(path[-1]):7.3f}")

# %% [markdown]
# A small rate is safe and slow. A larger one is better. One that is a little larger still makes `y` grow, and the loss explodes.
#
# The reason can be computed. One step multiplies `x` by `1 - η` and `y` by `1 - 100 η`. If `η` is above `2/100 = 0.02`, then `1 - 100 η` is below -1:
# `y` changes its sign at each step and gets larger. The **steepest** direction decides how far we may go,
# and the **flattest** direction decides how long it takes.
#
# One rate for all weights is the fault of this version. In a real model some directions are thousands of times steeper than others.
#
# ## 3. Momentum: a heavy ball
#
# In a valley the steep part of the gradient changes its sign at every step. The flat part does not.
# So add up the gradients: what changes its sign cancels, what stays grows.
#
# ```math
# m \leftarrow 0.9 \, m + g \qquad w \leftarrow w - \eta \, m
# ```
#
# If `g` stays the same, `m` grows to `g (1 + 0.9 + 0.81 + ...) = 10 g`. Along the flat direction we go ten times as fast.

# %%
def momentum(g, memory, t, rate=0.005):
    memory["m"] = 0.9 * memory.get("m", 0.0) + g
    return rate * memory["m"]

path = walk(momentum)
print(f"momentum: x {path[-1][0]:5.2f}, y {path[-1][1]:7.3f}, loss {loss(path[-1]):7.3f}")

# %% [markdown]
# ## 4. Adam: each weight has its own step
#
# Why not give each weight a step that suits its own gradient? **Adam** divides each gradient by its usual size. It keeps two averages for each weight,
# the mean of `g` and the mean of `g²`, both fading with time:
#
# ```math
# m \leftarrow \beta_1 m + (1 - \beta_1) \, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2) \, g^2
# ```
#
# ```math
# w \leftarrow w - \eta \, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}
# ```
#
# The root of the mean square is the usual size. The fading is slow: with `β = 0.9` an average reaches back over about 10 steps, with 0.95 over 20.
# The tiny `ε` prevents a division by 0.
#
# What are the two brackets `1 - β^t` for? Both averages start at 0. After the first step `m` is `0.1 g`, a tenth of what it should be.
# Dividing by `1 - 0.9 = 0.1` puts that right. After `t` steps the missing part is `β^t`, which soon is nothing.

# %%
def adam(g, memory, t, rate=0.3, beta1=0.9, beta2=0.95, eps=1e-8):
    memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
    memory["v"] = beta2 * memory.get("v", 0.0) + (1 - beta2) * g * g
    m, v = memory["m"] / (1 - beta1 ** t), memory["v"] / (1 - beta2 ** t)
    return rate * m / (np.sqrt(v) + eps)

path = walk(adam)
print(f"adam: x {path[-1][0]:5.2f}, y {path[-1][1]:7.3f}, loss {loss(path[-1]):7.3f}")
for size in (0.001, 1.0, 1000.0):
    print(f"gradient {size:8.3f}: first step {adam(np.array([size]), {}, t=1)[0]:.3f}")

# %% [markdown]
# The first step is exactly `η`, whatever the size of the gradient. Adam does not ask how steep it is, only which way, and how sure:
# if a weight's gradients keep changing their sign, `m` is small against the root of `v`, and the step is short.
#
# That makes the learning rate a plain length: with `η = 0.004` no weight moves by much more than 0.004 in a step.
#
# Is ours the package's Adam? It works in place and has one more argument, `decay`, which comes next.

# %%
from minigpt.nn import ops

rng = np.random.default_rng(8)
w, m, v, memory = rng.normal(size=5), np.zeros(5), np.zeros(5), {}
ours = w.copy()
for t in range(1, 21):
    g = rng.normal(size=5)
    ours = ours - adam(g, memory, t, rate=0.01)
    ops.adamw_update(w, g, m, v, 0.01, 0.9, 0.95, 1e-8, 0.0, t)  # changes w, m and v
assert np.allclose(ours, w, rtol=1e-12)
print("20 steps of ours and of the package:", ours.round(3), w.round(3), sep="\n")

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure(height=3.8)
xs, ys = np.linspace(-3, 9, 100), np.linspace(-1.2, 1.2, 80)
axes.contour(xs, ys, loss(np.meshgrid(xs, ys)), levels=[0.5, 2, 8, 18, 32, 50], colors="#BBBBBB")
for label, rule, style in (("gradient descent", lambda g, memory, t: 0.018 * g, "o-"),
                           ("momentum", momentum, "s--"), ("Adam", adam, "^:")):
    axes.plot(*walk(rule).T, style, markersize=4, label=label)
axes.set(xlabel="x, the flat direction", ylabel="y, the steep direction")
axes.legend(loc="lower center", ncols=3)
save_svg(figure, FIGURES / "valley.svg", "Three paths down a valley. Gradient descent jumps from "
         "wall to wall and creeps along. Momentum swings to and fro. Adam goes diagonally.")

# %% [markdown]
# Gradient descent jumps from wall to wall. Momentum swings, overshoots and comes back. Adam starts off diagonally: both weights take steps of the same length,
# since it does not care that one wall is 100 times as steep.
#
# ## 5. AdamW: forgetting a little
#
# A weight that nobody needs should go back to 0. It is common to shrink all weights by a small factor at each step. This is **weight decay**:
#
# ```math
# w \leftarrow w - \eta \, \lambda \, w
# ```
#
# The `λ` (lambda) is 0.1 in most recipes. There is an older way: add `λ w` to the gradient and let Adam do the rest.
# It looks like the same thing. It is not, because Adam divides by the usual size of the gradient, and so divides the decay as well.
#
# We try both on 2000 useless weights. Their gradients are pure chance. Half of them have loud chance, half quiet. All start at 1.

# %%
def useless_weights(inside_adam, steps=600, rate=0.01, decay=0.2):
    noise = np.random.default_rng(1)
    loud = np.repeat([10.0, 0.1], 1000)
    w, memory = np.ones(2000), {}
    for t in range(1, steps + 1):
        g = noise.normal(size=2000) * loud
        shrink = 0.0 if inside_adam else rate * decay * w
        w = w - adam(g + decay * w * inside_adam, memory, t, rate) - shrink
    return w[:1000].mean(), w[1000:].mean()

print(f"each step keeps {1 - 0.01 * 0.2:.3f}, so 600 steps should keep {0.998 ** 600:.2f}")
for inside_adam, label in ((True, "decay in the gradient"), (False, "decay on its own")):
    loud, quiet = useless_weights(inside_adam)
    print(f"{label:22s} loud weights {loud:5.2f}, quiet weights {quiet:5.2f}")

# %% [markdown]
# In the gradient, the loud weights hardly decay, while the quiet ones are gone. On its own, both decay as announced.
# Adam with decay on its own is called **AdamW**. The whole of it in the package:
#
# {{include minigpt.nn.ops:adamw_update}}
#
# Only matrices and tables decay. Biases and the gains of norms do not: a gain that shrinks to 0 would switch a channel off.
#
# ## 6. Muon: a matrix is more than its entries
#
# Adam treats a matrix as a bag of numbers. But a matrix **does** something: it turns an input into an output.
# Every matrix can be written as a sum of simple ones. Each of them looks for one direction `a` in its input, multiplies by a strength `s`, and answers with one direction `b`:
#
# ```math
# G = s_1 \, a_1 b_1^\top + s_2 \, a_2 b_2^\top + \cdots
# ```
#
# The directions `a` are at right angles to each other, and so are the `b`. The strengths `s` are called **singular values**.
# What are they in a real gradient? We need a model and some text for that.

# %%
import random

WHAT = dict(look="big small old young fat thin black white".split(),
            animal="dog cat cow duck sheep mouse frog owl".split(),
            does="sees hears likes fears follows helps calls meets".split(),
            place="in the garden,by the river,at school,on a hill,under the bridge".split(","))

def sentence(rng):
    look, animal, does, other, place = (rng.choice(WHAT[kind]) for kind in
                                        ("look", "animal", "does", "animal", "place"))
    return f"The {look} {animal} {does} the {other} {place}.\n"

rng = random.Random(8)
english = "".join(sentence(rng) for _ in range(1500))
print(english[:150])

# %%
from minigpt.config import GPTConfig, TrainConfig
from minigpt.nn.gpt import Transformer
from minigpt.train import optim
from minigpt.train.batches import batch_at, rows_from_stream

rows = rows_from_stream(np.frombuffer(english.encode("ascii"), np.uint8), T=64)
print(len(english), "bytes in", len(rows), "rows of 64")

# %%
def new_model():
    shape = GPTConfig(vocab_size=128, block_size=64, n_layer=2, n_head=2, n_embd=32)
    return Transformer(shape, dtype="float64", backend="numpy")

print(f"the runner of this lesson: a GPT with {new_model().num_parameters()} weights")

# %%
from minigpt.nn.losses import cross_entropy

def gradient_at(step, model):
    batch = batch_at(step, rows, count=8, seed=0)  # 8 rows of 64 bytes
    model.grads.flat[:] = 0.0
    logits, cache = model.forward(batch.ids)
    loss, dlogits, _ = cross_entropy(logits, batch.targets)
    model.backward(dlogits, cache)
    return loss

print(f"first loss {gradient_at(0, new_model()):.2f}, ln 128 = {math.log(128):.2f}")

# %%
model = new_model()
state, recipe = optim.new_state(model.params), TrainConfig(optimizer="adamw", tokens=100 * 1024)
for step in range(60):
    gradient_at(step, model)
    optim.update(model.params, model.grads, state, recipe)
G = model.grads["h.0.mlp.c_fc.weight"]  # (32, 128)
strengths = np.linalg.svd(G, compute_uv=False)
strengths /= strengths[0]  # the largest is 1 now
print("strengths 1, 2, 3, 5, 9, 17, 32:", strengths[[0, 1, 2, 4, 8, 16, 31]].round(3))
share = (strengths[:3] ** 2).sum() / (strengths ** 2).sum()
print(f"three of 32 directions hold {100 * share:.0f} % of the squared size")

# %% [markdown]
# A few directions shout and the rest whispers. If we step along `G`, we step along those few.
# **Muon** keeps all directions and makes all strengths equal:
#
# ```math
# \text{step} = 1 \cdot a_1 b_1^\top + 1 \cdot a_2 b_2^\top + \cdots
# ```
#
# Finding the directions (a *singular value decomposition*) is slow. There is a trick without it. For any matrix `X`, the product `X X^T X` has the same directions as `X`, and its strengths are `s³`.
# So a polynomial with odd powers of `X` applies the same polynomial to each strength:
#
# ```math
# X \leftarrow a \, X + b \, X X^\top X + c \, X X^\top X X^\top X \qquad s \leftarrow a \, s + b \, s^3 + c \, s^5
# ```
#
# We want numbers `a`, `b`, `c` that bring every `s` near 1. Three polynomials, one after the other, are enough.
# Each is made for what the one before leaves over. First divide `X` by its length, so that no strength is above 1. Then watch:

# %%
for a, b, c in ops.POLYNOMIALS:
    print(f"a {a:.4f}, b {b:.4f}, c {c:.4f}")
for strength in (0.01, 0.03, 0.1, 0.3, 1.0):
    s, rounds = strength, []
    for a, b, c in ops.POLYNOMIALS:
        s = a * s + b * s ** 3 + c * s ** 5
        rounds.append(f"{s:.2f}")
    print(f"strength {strength:4.2f} becomes", " -> ".join(rounds))

# %% [markdown]
# Whatever lies between 0.01 and 1 ends between 0.7 and 1.3, which is near enough. Smaller strengths grow too, about eightyfold.
# Only products of matrices are needed, which computers like best. Ours against the package's:

# %%
def orthogonalise(X):
    X = X / (np.sqrt((X * X).sum()) + 1e-7)
    for a, b, c in ops.POLYNOMIALS:
        XX = X @ X.T
        X = a * X + (b * XX + c * XX @ XX) @ X
    return X

assert np.allclose(orthogonalise(G), ops.orthogonalise(G), atol=1e-9)
after = np.linalg.svd(orthogonalise(G), compute_uv=False)
for name, values in (("gradient", strengths), ("Muon's step", after)):
    loud = (values > values[0] / 10).sum()
    print(f"{name:11s} strengths above a tenth of the largest: {loud} of 32")

# %% [markdown]
# The gradient has a handful of strong directions. The step goes along nearly all of them.
# What was below 0.01 of the length does not reach 1, but most of it is no longer small. Only the weakest direction of all stays near 0.

# %%
figure, axes = new_figure(height=3.0)
axes.plot(range(1, 33), strengths, "o-", label="the gradient (largest set to 1)")
axes.plot(range(1, 33), after, "s--", label="Muon's step")
axes.set(xlabel="direction, sorted by strength", ylabel="strength", ylim=(0, 1.3))
axes.legend(loc="upper right")
save_svg(figure, FIGURES / "strengths.svg", "Strengths of 32 directions. In the gradient they "
         "fall quickly from 1 to almost 0. In Muon's step most are between 0.6 and 1.3.")

# %% [markdown]
# Muon is for the matrices inside the blocks. Tables, gains and biases stay with AdamW. The package's version adds momentum, and measures the step so that
# wide and tall matrices change their output by the same amount:
#
# {{include minigpt.nn.ops:muon_update}}
#
# ## 7. The schedule: slow, fast, slow
#
# The best learning rate is not the same all the time.
#
# * At the beginning the averages `m` and `v` have seen little, and the model is as far from good as it will ever be. Short steps: **warm-up**.
# * At the end we want to come to rest at the bottom, not to jump about above it. The rate falls: **decay**.

# %%
linear = TrainConfig(tokens=1000 * 1024, schedule="linear", warmup=0.05, flat=0.6, final_lr=0.05)
cosine = TrainConfig(tokens=1000 * 1024, schedule="cosine", warmup=0.05, final_lr=0.1)
steps = np.arange(1000)
half_wave = 0.1 + 0.9 * 0.5 * (1 - np.cos(math.pi * (1000 - steps[50:] - 1) / 950))
falling, waving = ([optim.schedule(s, recipe) for s in steps] for recipe in (linear, cosine))
assert np.allclose(waving[50:], half_wave)
for step in (0, 24, 49, 500, 999):
    print(f"step {step:3d}: linear {falling[step]:.2f}, cosine {waving[step]:.2f}")

# %%
figure, axes = new_figure(height=2.6)
axes.plot(falling, label="warm-up, flat, linear decay")
axes.plot(waving, "--", label="warm-up, half a cosine wave")
axes.set(xlabel="step", ylabel="share of the highest rate", ylim=(0, 1.05))
axes.legend(loc="lower left", bbox_to_anchor=(0.1, 0.05))
save_svg(figure, FIGURES / "schedule.svg", "Two schedules over 1000 steps. Both rise to 1 in 50 "
         "steps. One stays there until step 600, then falls in a line. The other falls along a "
         "cosine.")

# %% [markdown]
# ## 8. Clipping: never trust one batch too much
#
# Now and then a batch gives a huge gradient: a strange text, a table of numbers, a mistake. One such step can undo a thousand good ones.
# The cure is simple. Take the length of the **whole** gradient, all tensors together. If it is above 1, scale everything down so that it is 1:
#
# ```math
# g \leftarrow g \cdot \min \left( 1, \frac{1}{|g|} \right)
# ```
#
# The direction stays the same. Scaling each tensor on its own would bend it.

# %%
model = new_model()
gradient_at(0, model)
before = model.grads.flat.copy()
length = math.sqrt(sum((g ** 2).sum() for g in model.grads.values()))
told = optim.clip(model.grads, 1.0)
assert math.isclose(told, length) and np.allclose(model.grads.flat, before / length)
print(f"length before {length:.2f}, after {optim.global_norm(model.grads):.2f}")

# %% [markdown]
# ## 9. The race
#
# Same model, same texts in the same order, same schedule, same clipping. Five ways to step. It would be unfair to give all of them the same learning rate,
# since a rate means something else for each. So each may run with three rates, and its best one counts.
#
# One thing is the same for all: the gradient of a batch. A batch that is too large for the memory, or shared by two cores, is cut into pieces.
# Each piece gives the mean of its own tokens. The mean of the batch weighs every token alike, so a piece with many tokens counts for more
# (exercise 2; section 10 of lesson 12 shows what goes wrong otherwise).

# %%
from dataclasses import replace

STEPS = 120
common = dict(tokens=STEPS * 512, batch_tokens=512)  # the linear schedule, 2 % warm-up
RACERS = {  # the recipe, and three highest rates
    "gradient descent": (TrainConfig(**common), (0.25, 0.5, 1.0)),
    "momentum": (TrainConfig(**common), (0.2, 0.4, 0.8)),
    "Adam": (TrainConfig(**common, optimizer="adamw", weight_decay=0.0), (0.004, 0.008, 0.016)),
    "AdamW": (TrainConfig(**common, optimizer="adamw"), (0.004, 0.008, 0.016)),
    "Muon": (TrainConfig(**common, optimizer="muon"), (0.01, 0.02, 0.04))}
print(f"{STEPS} steps of {common['batch_tokens']} bytes; weight decay of AdamW and Muon: "
      f"{RACERS['AdamW'][0].weight_decay}")

# %%
def take_step(racer, rate, model, state, recipe):
    if racer not in ("gradient descent", "momentum"):
        optim.update(model.params, model.grads, state, recipe)  # knows its own schedule
        return
    m = state.mean.flat
    m *= 0.9 if racer == "momentum" else 0.0
    m += model.grads.flat
    model.params.flat -= rate * optim.schedule(state.step, recipe) * m
    state.step += 1

print("a training loop in three lines: gradient_at, optim.clip, take_step")

# %% tolerance=0.05
from minigpt.nn.threads import blas_threads

def run(racer, rate):
    recipe = replace(RACERS[racer][0], **{"muon_lr" if racer == "Muon" else "lr": rate})
    model, losses = new_model(), []
    state = optim.new_state(model.params)
    with blas_threads(1):  # small products: more threads would only wait for each other
        for step in range(STEPS):
            losses.append(gradient_at(step, model))
            optim.clip(model.grads, 1.0)
            take_step(racer, rate, model, state, recipe)
    return np.array(losses)

print(f"Muon, after {STEPS} steps: {run('Muon', 0.02)[-10:].mean():.2f}")

# %% tolerance=0.05
curves, final, best = {}, {}, {}
for racer, (_, rates) in RACERS.items():
    for rate in rates:
        curves[racer, rate] = run(racer, rate)
        final[racer, rate] = curves[racer, rate][-10:].mean()  # one batch alone would be noisy
    best[racer] = min(rates, key=lambda rate: final[racer, rate])
    print(f"{racer:16s}", "   ".join(f"rate {rate}: {final[racer, rate]:.2f}" for rate in rates))

# %% tolerance=0.05
def smooth(racer):
    return np.convolve(curves[racer, best[racer]], np.full(10, 0.1), mode="valid")

sooner = 10 + int(np.argmax(smooth("Muon") < final["AdamW", best["AdamW"]]))
print(f"Muon reaches AdamW's last loss at step {sooner} of {STEPS}")

# %% tolerance=0.05
figure, (left, right) = new_figure(columns=2, height=3.8, sharey=True)
for racer, style in zip(RACERS, ("-", "--", "-.", ":", "-")):
    left.plot(range(10, STEPS + 1), smooth(racer), style, linewidth=2, label=racer)
    rates = np.array(RACERS[racer][1])
    right.plot(rates / rates[1], [final[racer, rate] for rate in rates], "o" + style, label=racer)
left.set(xlabel="step", ylabel="loss (nats per byte), mean of 10 steps")
right.set(xlabel="rate, against its middle one", ylabel="loss at the end")
right.set_xscale("log", base=2)
right.set_xticks([0.5, 1, 2], ["half", "1", "double"])
left.legend(fontsize=9)
save_svg(figure, FIGURES / "race.svg", "Left: loss against steps for five optimisers, each at "
         "its best rate. Right: the loss at the end for three rates. Muon is lowest, then Adam "
         "and AdamW.")

# %% [markdown] tolerance=0.05
# Three lessons from one picture.
#
# * Muon's loss after all {{STEPS}} steps is {{final["Muon", best["Muon"]]:.2f}}, AdamW's {{final["AdamW", best["AdamW"]]:.2f}}, plain descent's {{final["gradient descent", best["gradient descent"]]:.2f}}.
#   After only {{sooner}} steps Muon is where AdamW ends. It begins more slowly than Adam, then overtakes it.
#   The price is a few more matrix products in each step. This project trains with it.
# * At their best rate Adam and AdamW lie on top of each other: in {{STEPS}} steps weight decay has little time. It is for long runs. At the highest rate they end at {{final["Adam", 0.016]:.2f}} and {{final["AdamW", 0.016]:.2f}}:
#   the decay of a step is rate times λ, so it grows with the rate. Whether one run of each proves that is another question.
# * The right panel matters as much as the left. AdamW at half its middle rate ends at {{final["AdamW", 0.004]:.2f}}, at double the middle rate at {{final["AdamW", 0.016]:.2f}}.
#   Whoever gives each optimiser a single rate may have measured the rates. Muon is lowest at all three of its rates, so its lead does not hang on the choice of the rate. Other seeds were not tried.
#
# ## 10. Break it
#
# The commonest bug in a hand-written training loop: the gradients are not set to 0 before the next backward. They pile up.
# What will happen to AdamW? Remember that it does not care about the *size* of a gradient.

# %% tolerance=0.05
def run_without_zeroing(rate=0.008):
    model, losses = new_model(), []
    state, recipe = optim.new_state(model.params), replace(RACERS["AdamW"][0], lr=rate)
    pile = model.params.zeros()
    with blas_threads(1):
        for step in range(STEPS):
            losses.append(gradient_at(step, model))
            pile.flat += model.grads.flat  # a pile that clipping does not touch
            model.grads.flat[:] = pile.flat
            optim.clip(model.grads, 1.0)
            optim.update(model.params, model.grads, state, recipe)
    return np.mean(losses[-10:])

print(f"loss at the end: {final['AdamW', 0.008]:.2f} if zeroed, {run_without_zeroing():.2f} if not")

# %% [markdown]
# No crash, no warning. The loss even falls at first. A pile of old gradients is a momentum that never fades, so the model rushes past every valley.
# (If you delete the line of zeros in `gradient_at` instead, `clip` shrinks the pile itself at every step. Then old gradients do fade, and the loss ends between the two.)
# This is why a loss curve belongs beside the one that you expect.
#
# Other edits to try, each with the result to expect:
#
# * Section 4: in `adam`, divide `v` by 1 instead of by `1 - beta2 ** t`. With `beta2=0.95` the first step is 4.5 times too long, with `beta2=0.999` 32 times.
# * Section 6: call `orthogonalise` without the division by the length, on `1000 * G`. The polynomials run away to infinity: they are made for strengths up to 1.
# * Section 9: set `warmup=0.5` in `common`. Descent, momentum and Muon end higher, for half the race is over before the full rate is reached. Adam and AdamW do not: after a long warm-up they bear the highest rate.
#
# ## 11. Exercises
