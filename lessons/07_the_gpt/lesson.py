# title: The GPT
# question: How do the parts become one?
# needs: lessons 05 and 06 (attention, norms and their backwards); 02 for the cross-entropy
# builds: the whole forward of a GPT in 30 lines, the table of all its tensors, its bill in memory and arithmetic, and the two tests that every new model must pass
# minutes: 75
# files: nn.gpt nn.params nn.backend

# %% [markdown]
# ## 1. All the parts are on the table
#
# You know every part of a GPT by now:
#
# * an **embedding**: a row of `C` learned numbers for each token, and another one for each place;
# * **attention**: a place fetches something from earlier places;
# * a **feed-forward layer**: a place thinks about what it has, alone. Two linear layers with a bend (GELU) between them;
# * a **norm**: keeps the numbers in bounds;
# * an **unembedding**: from `C` numbers to `V` scores, one for each token that could come next. A high score means likely.
#
# This lesson connects them. We shall write the model in plain NumPy. From the package we borrow its numbers, and the attention of lesson 05.
#
# To keep everything in view, the model is small and reads bytes: `V = 256` tokens, the simplest tokenizer of lesson 01.
# Here are four sentences, cut to 65 bytes. The model reads the first 64 of each. At each place it must guess the byte that comes next.

# %%
import math

import numpy as np

from minigpt.train.batches import Batch

sentences = ["The keys to the old cabinet are in the kitchen, under the blue cup.",
             "My brother gave me a white kite, and the wind took it to the sea.",
             "The snow was deep, so we stayed at home and told each other tales.",
             "In Chinese, a table is 桌子 and a chair is 椅子. Say it again, please."]
text = np.array([list(sentence.encode("utf-8")[:65]) for sentence in sentences])  # (4, 65)
batch = Batch(ids=text[:, :-1], targets=text[:, 1:])
print("ids", batch.ids.shape, " targets", batch.targets.shape)
for ids, targets in zip(batch.ids, batch.targets):
    print(bytes(ids[:30].tolist()), "-> next:", bytes(targets[29:30].tolist()))

# %%
from minigpt.config import GPTConfig
from minigpt.nn.gpt import Transformer

sizes = dict(vocab_size=256, block_size=64, n_head=2, n_embd=32)
model = Transformer(GPTConfig(n_layer=2, **sizes), dtype="float64", backend="numpy")
p = model.params
print(f"{len(p)} tensors with {model.num_parameters()} numbers, not trained yet")
for name in ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight"):
    print(f"{name:24s} {str(p[name].shape):10s} spread {p[name].std():.3f}")

# %% [markdown]
# The names are those of GPT-2: `wte` for the table of tokens (*word token embedding*), `wpe` for the table of places, `h.0` for the first block.
#
# ## 2. The parts, as functions
#
# Four short functions. The letter `p` is the dictionary of all parameters, and `name` says which ones to take.

# %%
from minigpt.nn import ops

def linear(p, name, x):
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

def norm(p, name, x):
    n = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return n * p[f"{name}.weight"] + p[f"{name}.bias"]

x = np.random.default_rng(7).normal(3.0, 5.0, size=(1, 3, 32))  # B = 1 text, T = 3 places, C = 32
print("spread before and after the norm:", x.std().round(2), norm(p, "ln_f", x).std().round(2))

# %%
def attention(p, name, x, H=2):
    q, k, v = np.split(linear(p, f"{name}.c_attn", x), 3, axis=-1)  # three times (B, T, C)
    heads = (part.reshape(*x.shape[:2], H, -1) for part in (q, k, v))  # (B, T, H, D)
    out, _ = ops.attention_forward(*heads)  # derived in lesson 05
    return linear(p, f"{name}.c_proj", out.reshape(x.shape))  # (B, T, C)

print("attention:", x.shape, "->", attention(p, "h.0.attn", x).shape)

# %%
def feed_forward(p, name, x):
    h = linear(p, f"{name}.c_fc", x)  # (B, T, 4C)
    h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h ** 3)))  # GELU
    return linear(p, f"{name}.c_proj", h)  # (B, T, C)

print("in", x.shape, " out", feed_forward(p, "h.0.mlp", x).shape)

# %% [markdown]
# Attention moves news between places. The feed-forward layer works on each place by itself. A **block** does one after the other.
#
# ## 3. The smallest wrong version: one after the other
#
# The obvious way to connect the parts is a chain. The output of each part is the input of the next.
# Let us build 12 blocks like that and ask one simple question: *does the output still know its input?*
#
# We change the last byte of a text and look at the vector of the last place. By how much does it differ, relative to its length?

# %%
def block(p, i, x, keep):  # keep = 0.0: a chain. 1.0: section 4
    x = keep * x + attention(p, f"h.{i}.attn", norm(p, f"h.{i}.ln_1", x))
    return keep * x + feed_forward(p, f"h.{i}.mlp", norm(p, f"h.{i}.ln_2", x))

def differences(p, ids, keep, depth=12):
    other = ids.copy()
    other[0, -1] = ord("#")
    x, y = (p["wte.weight"][i] + p["wpe.weight"] for i in (ids, other))  # (1, T, C)
    for i in range(depth):
        x, y = block(p, i, x, keep), block(p, i, y, keep)
        yield np.linalg.norm(x[0, -1] - y[0, -1]) / np.linalg.norm(x[0, -1])

deep = Transformer(GPTConfig(n_layer=12, **sizes), dtype="float64", backend="numpy").params
chain = list(differences(deep, batch.ids[:1], keep=0.0))
print("relative difference after blocks 1 to 5:", *(f"{d:.1e}" for d in chain[:5]))

# %% [markdown]
# Each block makes the difference about a hundred times smaller.
# After five blocks a number with 32 bits cannot hold it any more. The last layers do not know which byte they were given!
#
# The reason: before training, attention looks at all 64 places about equally. The own place is one of 64.
# So each block waters the place's own content down to about 1/64, and {{len(chain)}} blocks do it {{len(chain)}} times.
#
# ## 4. The cure: add, do not replace
#
# Let every part **add** its result to what is there already:
#
# ```math
# h = x + \text{attention}(\text{norm}(x)) \qquad y = h + \text{feedforward}(\text{norm}(h))
# ```
#
# This is called a **residual** connection. In the code above it is `keep = 1.0`.
# Think of `x` as a notebook that is handed from part to part. Each part reads it and writes a remark. Nobody tears out pages.

# %%
added = list(differences(deep, batch.ids[:1], keep=1.0))
print("relative difference after blocks 1, 6, 12:", *(f"{added[i]:.2f}" for i in (0, 5, 11)))

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure()
axes.plot(range(1, 13), added, "o-", label="each part adds")
axes.plot(range(1, 7), chain[:6], "s--", label="each part replaces")
axes.axhline(6e-8, color="black", linestyle=":", label="what 32 bits can tell apart")
axes.set(xlabel="blocks passed", ylabel="difference that one byte makes", xticks=range(1, 13))
axes.set_yscale("log")
axes.legend(loc=(0.57, 0.55))
save_svg(figure, FIGURES / "residual.svg", "Difference that one byte makes against blocks "
         "passed. If each part adds, it stays near 1. If each part replaces, it falls a "
         "hundredfold with every block and is lost after five.")

# %% [markdown]
# The same holds on the way back. The slope of `x + f(x)` is 1 plus the slope of `f`.
# So the blame of `x` is the blame of `y`, plus what comes through `f`. It has a free way through all blocks down to the embedding.
# The package's block and its backward, side by side:
#
# {{include minigpt.nn.layers:block_forward}}
#
# {{include minigpt.nn.layers:block_backward}}
#
# Two things are not used here. Dropout sets random numbers to 0 while training. `kept` names the positions whose prediction somebody
# wants. Behind the last attention no position reads another, so the last block leaves the others out. Lesson 12 needs it: there only
# the words of answers count.
#
# ## 5. The whole model
#
# Four steps: embed, run through the blocks, one last norm, and score every token.
#
# ```math
# x = E_{\text{ids}} + P \qquad x \leftarrow \text{block}_i(x) \qquad \text{scores} = \text{norm}(x) \, E^\top
# ```
#
# `E` is the table of tokens and `P` the table of places. Note that `E` appears twice. To score a token, the model takes the dot product
# of its own vector with that token's row: how well would this token fit here? The rows are the same as at the entrance. We say the two are **tied**.

# %%
def gpt(p, ids, n_layer):
    T = ids.shape[1]
    x = p["wte.weight"][ids] + p["wpe.weight"][:T]  # (B, T, C)
    for i in range(n_layer):
        x = block(p, i, x, keep=1.0)
    return norm(p, "ln_f", x) @ p["wte.weight"].T  # (B, T, V)

ours = gpt(p, batch.ids, n_layer=2)
theirs, cache = model.forward(batch.ids)
assert np.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
print("scores:", ours.shape, "- equal to the package's model")

# %% [markdown]
# That is a GPT. The ones that fill a hall with computers are nearly the same lines with larger numbers.
# (In GPT-3 every second layer looks only at the places nearby, as the window of lesson 05 does. Wherever we count its work or its memory, we count as if all looked everywhere.)
#
# ## 6. The table of every tensor
#
# How many numbers does it learn? We simply list them.

# %%
def row(name, shape):
    count = math.prod(shape)
    share = 100 * count / model.num_parameters()
    print(f"{name:24s} {str(shape):12s} {count:6d}  {share:4.1f} %")

for name, tensor in p.items():
    if not name.startswith("h.1."):  # the second block looks like the first
        row(name, tensor.shape)
print(f"all tensors: {model.num_parameters()}")

# %% [markdown]
# Now with letters. `V` tokens, `T` places, `L` blocks, `C` channels. Count one block:
#
# * attention: `3 C²` for queries, keys and values, `C²` for the projection at its end, and `4 C` biases;
# * feed-forward: twice `4 C²`, and `5 C` biases;
# * two norms: `4 C`.
#
# Together `12 C² + 13 C`. And the whole model, with the last norm's `2 C`:
#
# ```math
# N = V C + T C + L \, (12 C^2 + 13 C) + 2 C
# ```

# %%
def count(c):
    C = c.n_embd
    return c.vocab_size * C + c.block_size * C + c.n_layer * (12 * C ** 2 + 13 * C) + 2 * C

assert count(model.config) == model.num_parameters()
family = {
    "this lesson": model.config,
    "GPT-2": GPTConfig(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768),
    "GPT-3": GPTConfig(vocab_size=50257, block_size=2048, n_layer=96, n_head=96, n_embd=12288)}
for name, config in family.items():
    print(f"{name:12s} {count(config):15,d} parameters")

# %% [markdown]
# The formula gives GPT-2's 124 million to the last unit, and the 175 billion of GPT-3, the body of InstructGPT.
# Where do they sit?

# %%
family["a laptop's"] = GPTConfig(n_layer=4, n_head=4, n_embd=128)  # V = 2048, T = 256
names = ("this lesson", "a laptop's", "GPT-2", "GPT-3")
tables, attentions, forwards = np.array([
    [(c.vocab_size + c.block_size) * c.n_embd, 4 * c.n_layer * c.n_embd ** 2,
     8 * c.n_layer * c.n_embd ** 2] for c in map(family.get, names)]).T
total = tables + attentions + forwards  # biases and norms are too few to be seen
figure, axes = new_figure(height=2.6)
for part, left, label in ((tables, 0, "tables"), (attentions, tables, "attention"),
                          (forwards, tables + attentions, "feed-forward")):
    axes.barh(names, 100 * part / total, left=100 * left / total, label=label)
axes.set(xlabel="share of the parameters (%)")
axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.3), ncols=3)
save_svg(figure, FIGURES / "shares.svg", "Share of tables, attention and feed-forward layers in "
         "four models. Tables have almost a third in the three smaller ones and nothing visible "
         "in GPT-3. Feed-forward layers always have twice as much as attention.")

# %% [markdown]
# The smaller three spend almost a third on their tables. GPT-3 spends next to nothing on them: a table grows with `C`, a block with `C²`.
# And in every GPT two thirds of a block are feed-forward layers. Attention has the fame, but not the numbers.
#
# ## 7. The bill: memory
#
# To train, each parameter needs four numbers: itself, its blame, and two more that the optimiser keeps (lesson 08).
# With 4 bytes each that is 16 bytes. (The package's trainer cuts each batch into two to four pieces, its *shards*, and keeps the blame from each apart, so 20 to 28.) On top comes what the forward must remember for the backward: the caches, called **activations**.
# We count them, walking through everything that the forward keeps.

# %%
def kept_bytes(thing, seen):
    if isinstance(thing, (tuple, list)):
        return sum(kept_bytes(part, seen) for part in thing)
    if not isinstance(thing, np.ndarray):
        return 0
    owner = thing if thing.base is None else thing.base  # a view has no memory of its own
    if id(owner) in seen:
        return 0
    seen[id(owner)] = owner
    return owner.nbytes

print("twice the same array counts once:", kept_bytes([x, x, x[:1]], {}), "bytes")

# %%
long = Transformer(GPTConfig(**{**sizes, "block_size": 512}, n_layer=2), backend="numpy")
for T in (32, 64, 128, 256, 512):
    parameters = {}
    kept_bytes(list(long.params.values()), parameters)
    _, cache = long.forward(np.zeros((1, T), int))
    each = kept_bytes(cache, parameters) / T
    assert each == 5408 + 4 * 2 * 2 * T  # 4 bytes, 2 blocks, 2 heads, T weights
    print(f"{T:4d} tokens: {each:6.0f} bytes for each token")

# %% [markdown]
# One part of it is the same for each token. The other part grows with the length of the text: each token keeps its row of attention weights,
# `T` numbers in each head of each block. At 512 tokens that is more than all the rest. The package's fast attention therefore keeps none of them
# and computes them again on the way back (lesson 05's last exercise is the trick).
#
# And GPT-3? Its {{count(family["GPT-3"]) / 1e9:.0f}} billion parameters need {{16 * count(family["GPT-3"]) / 1e12:.1f}} terabytes (million million bytes), at 16 bytes each,
# before the first token is read.
#
# ## 8. The bill: arithmetic
#
# A matrix of `n` weights that meets one token costs `n` multiplications and `n` additions: `2 n` operations.
# The backward does it twice: once for the blame of the input, once for the blame of the weights. Together `6 n`.
#
# Attention adds the scores and the weighted average. Each is a product with `T` places of `C` numbers: `2 T C` operations, both `4 T C`,
# and with the backward `12 T C` in each block. (Half of that is for places that are masked. We count it anyway, as everybody does.)
#
# ```math
# \text{operations per token} = 6 \, (12 L C^2 + V C) + 12 L C T
# ```
#
# The tables at the entrance cost nothing, since looking up a row is no arithmetic. The table at the exit costs `V C`.

# %%
import time

from minigpt.nn.threads import blas_threads

def operations(c):
    C, L = c.n_embd, c.n_layer
    return 6 * (12 * L * C ** 2 + c.vocab_size * C) + 12 * L * C * c.block_size

assert operations(model.config) == model.flops_per_token()
for name in names:
    print(f"{name:12s} {operations(family[name]):17,d} operations for each token")

# %% [markdown]
# How fast is your machine, and how long would it take to train GPT-3 on 300 billion tokens?

# %% volatile
timed = Transformer(family["a laptop's"], backend="numpy")
ids = np.zeros((4, 256), int)
seconds = math.inf
for attempt in range(3):
    start = time.perf_counter()
    with blas_threads(1):  # NumPy's matrix products on one core
        timed.backward(*timed.forward(ids))
    seconds = min(seconds, time.perf_counter() - start)
rate = ids.size * timed.flops_per_token() / seconds
years = operations(family["GPT-3"]) * 300e9 / rate / (365.25 * 86400)
print(f"{rate / 1e9:.0f} billion operations per second on one core")
print(f"GPT-3 would take {years:,.0f} years")

# %% [markdown]
# So we shall stay with smaller ones. Lesson 09 is about making them fast.
#
# ## 9. First test of a new model: its first loss is ln V
#
# A model that has learned nothing should find every token equally likely: probability `1/V` each. The loss is minus the logarithm of that:
#
# ```math
# -\ln \frac{1}{V} = \ln V
# ```

# %%
from minigpt.nn.losses import cross_entropy

first_loss, dlogits, _ = cross_entropy(theirs, batch.targets)
print(f"first loss {first_loss:.3f}, ln 256 = {math.log(256):.3f}")
assert abs(first_loss / math.log(256) - 1) < 0.02

# %% [markdown]
# It is this small because the weights are drawn with spread 0.02. Scores are then small, and softmax of small scores is nearly even.
# (The matrix at the end of each part, `c_proj`, gets 0.02/√(2L), so that the sum of all parts does not grow with the number of blocks L. GPT-2 does so too.)
# What if somebody draws larger weights, all by the same factor?

# %%
spreads = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
first_losses = []
for spread in spreads:
    larger = {name: w * spread / 0.02 if w.ndim == 2 else w for name, w in p.items()}
    first_losses.append(cross_entropy(gpt(larger, batch.ids, 2), batch.targets)[0])
    print(f"weights of spread {spread:4.2f}: first loss {first_losses[-1]:6.2f}")

# %% [markdown]
# A model with weights of spread 1 starts at {{first_losses[-1]:.0f}} instead of {{math.log(256):.2f}}. It is not ignorant. It is **sure of wrong things**,
# and must spend its first steps on unlearning them. If your first loss is far above `ln V`, look at how the weights are drawn.
# If it is far below, some answer leaks into the input.
#
# ## 10. Second test: learn one batch by heart
#
# Before you train for an hour, train for a second on one single batch. A model with {{model.num_parameters()}} numbers must be able to learn
# {{batch.targets.size}} guesses by heart. If it cannot, something is broken, and more data will not mend it.
#
# The step that changes the weights is AdamW, the subject of lesson 08. Today we borrow it.

# %%
from minigpt.config import TrainConfig
from minigpt.train import optim

def one_step(model, state, ids, targets, recipe):
    logits, cache = model.forward(ids)
    loss, dlogits, _ = cross_entropy(logits, targets)
    model.grads.flat[:] = 0.0
    model.backward(dlogits, cache)
    optim.update(model.params, model.grads, state, recipe)
    return loss

steps = 200
recipe = TrainConfig(optimizer="adamw", lr=0.01, weight_decay=0.0,
                     tokens=steps * 256, batch_tokens=256)
print(f"{recipe.steps} steps of {recipe.batch_tokens} guesses each, always the same ones")

# %% tolerance=0.05
def learn_by_heart(ids, targets):
    model = Transformer(GPTConfig(n_layer=2, **sizes), dtype="float64", backend="numpy")
    state = optim.new_state(model.params)
    with blas_threads(1):  # small products: more threads would only wait for each other
        return model, [one_step(model, state, ids, targets, recipe) for step in range(steps)]

trained, losses = learn_by_heart(batch.ids, batch.targets)
for step in (0, 25, 50, 100, 150, 199):
    print(f"step {step:3d}: loss {losses[step]:.4f}")

# %% [markdown]
# It learned its batch. But the loss seems to stop at {{losses[-1]:.3f}}, not at 0. Is that a bug?
#
# Look at how the rows begin. Two of them have the same first bytes and then go on differently. At that place
# no model can know which of the two it is reading. The best it can do is to give each its share.
# We can compute what the best possible model would lose, without any model: group all places by what has been read so far.

# %%
from collections import Counter

read, said = Counter(), Counter()
for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist()):
    for t in range(64):
        so_far = tuple(ids[:t + 1])
        read[so_far] += 1
        said[so_far, targets[t]] += 1
best = -sum(n * math.log(n / read[so_far]) for (so_far, _), n in said.items()) / batch.targets.size
print(f"beginnings read more than once: {[bytes(s) for s, n in read.items() if n > 1]}")
print(f"smallest possible loss: {best:.4f}")

# %% tolerance=0.05
figure, axes = new_figure()
axes.plot(losses, label="loss")
axes.axhline(math.log(256), color="black", linestyle="--", label="knows nothing: ln V")
axes.axhline(best, color="black", linestyle=":", label="the best that is possible")
axes.set(xlabel="step", ylabel="loss (nats per byte)", ylim=(0.003, 10))
axes.set_yscale("log")
axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))
save_svg(figure, FIGURES / "by_heart.svg", "Loss against steps on one batch, logarithmic. It "
         "starts at ln V and ends, a thousandfold lower, just above the smallest possible loss.")

# %% [markdown]
# The curve starts on one line and ends on the other, and both lines were known before.
# That is the best picture a new model can give you.
#
# Does it really know the text? Give it the first 10 bytes of a row, and let it write the likeliest next byte, again and again:

# %%
def write(model, ids, count):
    for _ in range(count):
        logits, _ = model.forward(ids[None, -64:])  # (1, T, V)
        ids = np.append(ids, logits[0, -1].argmax())
    return bytes(ids.tolist()).decode("utf-8", errors="replace")

print("given: ", repr(write(trained, batch.ids[1, :10], 0)))
print("writes:", repr(write(trained, batch.ids[1, :10], 54)))
print("text:  ", repr(bytes(batch.ids[1].tolist()).decode("utf-8", errors="replace")))

# %% [markdown]
# ## 11. Break it
#
# The commonest bug in a first language model: the targets are not shifted. Somebody writes `targets = ids`.
# So at each place the model must guess the byte that it has just read. What will the two tests say?

# %%
copier, copier_losses = learn_by_heart(batch.ids, batch.ids)
print(f"first loss {copier_losses[0]:.2f} (ln V is {math.log(256):.2f})")
first_below = next((step for step, loss in enumerate(copier_losses) if loss < 0.1), None)
right_below = next((step for step, loss in enumerate(losses) if loss < 0.1), None)
print(f"loss below 0.1 after {first_below} steps; the right model needed {right_below}")
print("writes:", repr(write(copier, batch.ids[1, :10], 20)))

# %% [markdown]
# The second test is passed with flying colours: the loss falls **faster** than before. It looks like a triumph.
# The first test gave a quiet warning: {{copier_losses[0]:.2f}} is below `ln V`. The table is tied and every part only adds,
# so the vector of a place still resembles the row of the byte that stands there, and that byte gets a better score before any learning.
# Only when the model has to write does the truth come out: it repeats the last byte for ever.
# A loss that is too good is a bug until you know why. So always let a new model write something.
#
# Other edits to try, each with the result to expect:
#
# * Section 3: replace `ord("#")` by the byte that stands there already. All differences are 0.
# * Section 3: in `block`, move the `norm` behind the sum, `norm(x + attention(x))`, as the first transformer of 2017 had it. The assertion in section 5 fails: the package's blocks normalise first. Exercise 4 is about that block.
# * Section 10: set `lr=1.0`. The loss jumps above 50, far beyond `ln V`: the steps are too long, and the model becomes sure of wrong things.
# * Section 10: set `lr=0.0001`. After 200 steps the loss is still about 4.5. The model is not broken, it is only slow: a picture of the loss tells the two apart.
#
# ## 12. Exercises
