# title: Where am I?
# question: How does a model know the order of words?
# needs: lesson 03 (backwards and their check), sine and cosine
# builds: four ways to tell a model where a token stands, the backward of a rotation, and a race between them on longer texts
# minutes: 60
# files: nn.layers nn.kernels.rope

# %% [markdown]
# ## 1. A bag of words
#
# *Dog bites man* and *man bites dog* are made of the same words. Only their order differs, and it changes everything.
#
# In lesson 05 each token will collect information from the tokens before it by a weighted average.
# Two vectors decide on the weight: a *query* of the token that looks, and a *key* of the token that is looked at.
# Their dot product, divided by the square root of `D`, is the **score**. Softmax turns scores into weights. (`D` is how many numbers a query has.)
# A score of minus infinity gives the weight 0. That is how a token is kept from looking at what comes after it; such attention is called *causal*.
# A **head** is one such attention. Several of them work side by side, each with `D` numbers of its own. Lesson 05 says why.
# This is all that we need for now, and we borrow the function.
#
# Let one token look at five others, then put the five into another order. What does it see?

# %%
import numpy as np

from minigpt.nn import ops

rng = np.random.default_rng(4)
q, k, v = rng.normal(size=(3, 1, 6, 1, 8))  # one text, T = 6 tokens, one head of D = 8 numbers
order = np.array([3, 0, 4, 1, 2, 5])  # the last token stays the last
out, _ = ops.attention_forward(q, k, v)
mixed, _ = ops.attention_forward(q[:, order], k[:, order], v[:, order])
print("the last token sees:          ", out[0, -1, 0, :4].round(3), "...")
print("with the others in disorder:  ", mixed[0, -1, 0, :4].round(3), "...")

# %% [markdown]
# Exactly the same. An average does not depend on order, and neither does a weighted average, as long as each weight goes with its token.
# To one layer of attention, what stands before a token is a **bag of words**. (Several layers, one on the other, can work out something of the order,
# because early tokens see fewer others: Haviv and others, 2022.) We had better tell it where each token stands.
#
# ## 2. The smallest wrong version: add the number of the place
#
# A token is a vector `x` of `C` numbers. Token number `t` could simply get `t` added to each of them.

# %%
def alike(a, b):  # the cosine of the angle between two vectors: 1 is equal, 0 unrelated
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

cat, the = rng.normal(size=(2, 64))
print(f"cat and the, both at place 0:    {alike(cat, the):.2f}")
print(f"cat and the, both at place 1000: {alike(cat + 1000, the + 1000):.2f}")
print(f"cat at place 0 and at place 10:  {alike(cat, cat + 10):.2f}")

# %% [markdown]
# At place 1000 all words look the same: the number of the place has drowned them. And the same word at two places is hardly recognised.
# So a place must be said with numbers that stay **small**, and it must be said in a way that lets the word be heard.
#
# ## 3. Learned: a vector for each place
#
# GPT-2 does the simplest thing: a second table, with one row of learned numbers for each place. Row `t` is added to token `t`:
#
# ```math
# x_t = \text{table}[\text{token}_t] + \text{place}[t]
# ```
#
# The backward is that of a look-up (lesson 03). It works well. But the table ends somewhere. A model with 1024 rows cannot read token 1025.
# And nothing says that row 5 and row 6 are neighbours: each row learns alone.
#
# ## 4. Sinusoidal: many clocks
#
# How does a clock say a moment with small numbers? With several hands. The second hand is fast and tells neighbouring moments apart.
# The hour hand is slow and tells morning from noon. Each hand is an angle, and no number ever grows.
#
# Let hand `i` turn by the angle `f_i` at each place. The tip of a hand at angle `a` stands at `(cos a, sin a)`. With `C` numbers we have `C/2` hands:
#
# ```math
# \text{place}[t, 2i] = \sin(t f_i) \qquad \text{place}[t, 2i + 1] = \cos(t f_i) \qquad f_i = 10000^{-2i/C}
# ```
#
# The fastest hand turns by 1 radian a place, and is round after about 6 places. The slowest is `10000^(1 - 2/C)` times slower: 1,000 times for the 8 numbers below.

# %%
import math

def clock(t, C):
    row = np.zeros(C)
    for i in range(C // 2):
        angle = t * 10000.0 ** (-2 * i / C)
        row[2 * i], row[2 * i + 1] = math.sin(angle), math.cos(angle)
    return row

for t in (0, 1, 2, 100):
    print(f"place {t:3d}:", " ".join(f"{value:5.2f}" for value in clock(t, 8)))

# %% [markdown]
# The package has the same table, only 50 times smaller, which is the size of the word vectors of an untrained model:

# %%
from minigpt.config import GPTConfig
from minigpt.nn import layers

config = GPTConfig(vocab_size=17, block_size=128, n_layer=1, n_head=4, n_embd=64)
clocks = np.array([clock(t, 64) for t in range(128)])
assert np.allclose(0.02 * clocks, layers.sinusoidal_table(config), rtol=1e-12)
print("places x numbers:", clocks.shape, "- equal to the package's, times 0.02")

# %% [markdown]
# How alike are two places? The dot product of two hands with angles `a` and `b` is `cos(a - b)`, as school says:
#
# ```math
# \cos a \cos b + \sin a \sin b = \cos(a - b)
# ```
#
# So the dot product of places `t` and `s` is a sum of `cos((t - s) f_i)`. It depends on the **distance** only, not on where we are:

# %%
for t, s in ((3, 1), (53, 51), (103, 101), (103, 61)):
    print(f"places {t:3d} and {s:3d}, distance {t - s:2d}: dot product {clocks[t] @ clocks[s]:.4f}")

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, (left, right) = new_figure(columns=2, width=7.4, height=3.3)
picture = left.imshow(clocks[:48], cmap="cividis", aspect="auto")
left.grid(False)
left.set(xlabel="number in the vector", ylabel="place")
figure.colorbar(picture, ax=left, ticks=[-1, 0, 1])
right.plot(range(-48, 49), [clocks[60] @ clocks[60 + d] for d in range(-48, 49)])
right.set(xlabel="distance of two places", ylabel="dot product", ylim=(0, None))
save_svg(figure, FIGURES / "clocks.svg", "Left: the vectors of 48 places; the numbers on the left "
         "change fast, on the right slowly. Right: the dot product of two places, largest at 0.")

# %% [markdown]
# On the left, each row is a place. The fast hands are at the left and the slow ones at the right.
# On the right, places that are near each other are alike. The likeness fades with the distance, though in waves. That is a good beginning.
#
# ## 5. RoPE: turn query and key
#
# Adding has a weakness: word and place are mixed in one vector, and each blurs the other. A newer idea (rotary position embedding, **RoPE**)
# does not add anything. It **turns** query and key, like the hands of the clock, by an angle that grows with the place.
#
# **Scalar form.** Take two numbers `(a, b)` of a query as a point in the plane. Turned by the angle `z`, the point is
#
# ```math
# a' = a \cos z - b \sin z \qquad b' = b \cos z + a \sin z
# ```
#
# The length of the point stays the same, so the word is not drowned. At place `t` the angle is `z = t f`.
# A dot product depends on lengths and on the angle *between* two points. If the query at place `t` is turned by `t f` and the key at place `s` by `s f`,
# the angle between them has changed by `(t - s) f`. Again only the distance counts:

# %%
def turn(pair, angle):
    a, b = pair
    return np.array([a * math.cos(angle) - b * math.sin(angle),
                     b * math.cos(angle) + a * math.sin(angle)])

query, key, f = np.array([2.0, 1.0]), np.array([1.0, 1.5]), 0.3
for t, s in ((3, 1), (53, 51), (103, 101), (103, 61)):
    score = turn(query, t * f) @ turn(key, s * f)
    print(f"places {t:3d} and {s:3d}, distance {t - s:2d}: score {score:.4f}")

# %% [markdown]
# **Index form.** A head has `D` numbers. Pair `i` is made of number `i` and number `i + D/2` (the first half and the second half), and has its own speed `f_i`.
# With the angle `z = t f_i`:
#
# ```math
# y_{t,i} = x_{t,i} \cos z - x_{t,i+D/2} \sin z \qquad y_{t,i+D/2} = x_{t,i+D/2} \cos z + x_{t,i} \sin z
# ```
#
# **Matrix form.** Turning is a linear step: `y = R x`, with a small table for each pair.
# (The pair is a column here and stands to the right of `R`. In lesson 03 `x` was a row and stood to the left of `W`.)
#
# ```math
# R = \begin{pmatrix} \cos z & - \sin z \\ \sin z & \cos z \end{pmatrix}
# ```
#
# **Backward.** From lesson 03 we know that of a linear step: `dx` is `R` turned over, times `dy`.
# Turning the table over exchanges `- sin z` and `sin z`. That is the table for the angle `-z`: **the backward of a rotation is the rotation back.**
# In index form:
#
# ```math
# dx_{t,i} = dy_{t,i} \cos z + dy_{t,i+D/2} \sin z \qquad dx_{t,i+D/2} = dy_{t,i+D/2} \cos z - dy_{t,i} \sin z
# ```

# %%
def rope_in_loops(x, speeds, sign=1.0):
    T, D = x.shape
    y = np.zeros((T, D))
    for t in range(T):
        for i in range(D // 2):
            pair = turn((x[t, i], x[t, i + D // 2]), sign * t * speeds[i])
            y[t, i], y[t, i + D // 2] = pair
    return y

speeds = 10000.0 ** (-np.arange(0, 8, 2) / 8)  # D = 8: four pairs
x, dy = rng.normal(size=(2, 6, 8))
back = rope_in_loops(rope_in_loops(x, speeds), speeds, sign=-1)
print("turned and turned back, the same again:", np.allclose(back, x, rtol=1e-12))

# %%
angles = np.arange(6)[:, None] * speeds  # (T, D/2)
y, cache = ops.rope_forward(x[None, :, None], np.cos(angles), np.sin(angles))
dx = ops.rope_backward(dy[None, :, None], cache)
assert np.allclose(rope_in_loops(x, speeds), y[0, :, 0], rtol=1e-12)
assert np.allclose(rope_in_loops(dy, speeds, sign=-1), dx[0, :, 0], rtol=1e-12)

up, down = ((dy * rope_in_loops(x + step * dy, speeds)).sum() for step in (1e-6, -1e-6))
claimed = (dx[0, :, 0] * dy).sum()
print(f"equal to the package's; slope measured {(up - down) / 2e-6:.5f}, claimed {claimed:.5f}")

# %% [markdown]
# {{include minigpt.nn.ops:rope_forward}}
#
# {{include minigpt.nn.ops:rope_backward}}
#
# ## 6. ALiBi: distance costs
#
# The fourth way is the shortest. Leave words and queries alone. Just subtract something from each score, the more the farther the token is:
#
# ```math
# \text{score}(t, s) = \frac{q_t \cdot k_s}{\sqrt{D}} - m \, (t - s)
# ```
#
# The slope `m` is not learned. Each head gets its own: `1/4`, `1/16`, `1/64` and `1/256` with four heads. A steep head looks nearby, a flat one everywhere.
# ALiBi means *attention with linear biases*.

# %%
same = np.zeros((1, 8, 4, 2))  # all words alike: only the distance counts
slopes = layers.alibi_slopes(config)
_, cache = ops.attention_forward(same, same, same, None, slopes)
weights = cache[-1].reshape(4, 8, 8)[:, -1]  # (H, T): what the last place looks at
for head in range(4):
    by_hand = np.exp(-slopes[head] * (7 - np.arange(8)))
    assert np.allclose(weights[head], by_hand / by_hand.sum())
    print(f"slope 1/{1 / slopes[head]:3.0f}:", " ".join(f"{100 * w:3.0f} %" for w in weights[head]))

# %% [markdown]
# Each row is what the last of 8 places sees, the farthest place first.
#
# ## 7. A race
#
# Which way is best? Here is a task that needs both: *what* stands somewhere and *where*. People say their favourite colour, and they change their minds.
#
# > Mia red, Tom blue, Mia green, Ana red, Mia ?
#
# The answer is *green*, not *red*: the **latest** colour of the **same** name. There are 8 names and 8 colours. A quarter of the places ask.

# %%
NAMES, COLOURS = 8, 8
ASKED = NAMES + COLOURS  # ids: 0-7 names, 8-15 colours, 16 the question mark

def draw_talk(rng, B, T):
    names = rng.integers(NAMES, size=(B, T))
    colours = rng.integers(COLOURS, size=(B, T))
    asked = rng.random((B, T)) < 0.25
    latest, answers = np.full((B, NAMES), -1), np.full((B, T), -1)  # -1: nothing to answer
    for t in range(T):
        said = latest[np.arange(B), names[:, t]]
        answers[:, t] = np.where(asked[:, t], said, -1)
        latest[np.arange(B), names[:, t]] = np.where(asked[:, t], said, colours[:, t])
    return np.stack([names, np.where(asked, ASKED, NAMES + colours)], axis=-1), answers

print("places that ask and have an answer:", (draw_talk(rng, 100, 32)[1] >= 0).mean().round(2))

# %% [markdown]
# The model is one layer of attention with four heads. It is borrowed from lesson 05; its backward is derived in lesson 06. Only the lines with `scheme` or `turn` are new.

# %%
C, H, D = 64, 4, 16
SPEEDS = 10000.0 ** (-np.arange(0, D, 2) / D)
SCHEMES = ("none", "learned", "sinusoidal", "rope", "alibi")

def init_model(scheme, rng, places=128):
    shapes = {"table": (ASKED + 1, C), "q": (C, C), "k": (C, C), "v": (C, C),
              "colour": (C, COLOURS)}
    if scheme == "learned":
        shapes["place"] = (places, C)
    return {name: rng.normal(scale=C ** -0.5, size=shape) for name, shape in shapes.items()}

for scheme in SCHEMES:
    model = init_model(scheme, rng)
    print(f"{scheme:10s} {sum(weight.size for weight in model.values())} numbers")

# %%
def embed(weights, talk, scheme):
    rows, from_table = ops.embedding_forward(talk, weights["table"])  # (B, T, 2, C)
    x = rows.sum(axis=2)  # (B, T, C)
    if scheme == "learned":
        x = x + weights["place"][:x.shape[1]]
    elif scheme == "sinusoidal":
        x = x + 0.3 * clocks[:x.shape[1]]
    return x, from_table

talk, answers = draw_talk(rng, 2, 32)
print("x:", embed(init_model("learned", rng), talk, "learned")[0].shape)

# %%
def forward(weights, talk, scheme):
    x, from_table = embed(weights, talk, scheme)
    B, T, _ = x.shape
    made = [ops.linear_forward(x, weights[name]) for name in "qkv"]
    q, k, v = (each.reshape(B, T, H, D) for each, _ in made)
    turn_by = np.arange(T)[:, None] * (SPEEDS if scheme == "rope" else 0 * SPEEDS)  # (T, D/2)
    q, from_turn = ops.rope_forward(q, np.cos(turn_by), np.sin(turn_by))  # by 0: not at all
    k, _ = ops.rope_forward(k, np.cos(turn_by), np.sin(turn_by))
    penalty = slopes if scheme == "alibi" else None
    out, from_attention = ops.attention_forward(q, k, v, None, penalty)
    scores, from_out = ops.linear_forward(out.reshape(B, T, C), weights["colour"])
    return scores, (from_table, [c for _, c in made], from_turn, from_attention, from_out)

print("scores:", forward(init_model("rope", rng), talk, "rope")[0].shape)

# %%
def backward(dscores, cache, scheme):
    from_table, from_made, from_turn, from_attention, from_out = cache
    B, T, _ = dscores.shape
    dout, dcolour, _ = ops.linear_backward(dscores, from_out)
    dq, dk, dv = ops.attention_backward(dout.reshape(B, T, H, D), from_attention)
    dq, dk = ops.rope_backward(dq, from_turn), ops.rope_backward(dk, from_turn)
    dx, grads = 0.0, {"colour": dcolour}
    for name, dmade, from_x in zip("qkv", (dq, dk, dv), from_made):
        dpart, grads[name], _ = ops.linear_backward(dmade.reshape(B, T, C), from_x)
        dx = dx + dpart
    grads["table"] = ops.embedding_backward(np.stack([dx, dx], axis=2), from_table)
    if scheme == "learned":  # all texts use the same rows, and none uses the rows from T on
        grads["place"] = np.pad(dx.sum(axis=0), ((0, 128 - T), (0, 0)))
    return grads
print("gradients:", *backward(*forward(init_model("rope", rng), talk, "rope"), "rope"))

# %% [markdown]
# We check all five before we trust them:

# %%
def loss_and_grads(weights, talk, answers, scheme):
    scores, cache = forward(weights, talk, scheme)
    counts = answers >= 0
    losses, from_loss = ops.cross_entropy_forward(scores[counts], answers[counts])
    dlosses = np.full(losses.size, 1 / losses.size)
    dscores = np.zeros_like(scores)
    dscores[counts] = ops.cross_entropy_backward(dlosses, from_loss)
    return losses.mean(), backward(dscores, cache, scheme)

loss, grads = loss_and_grads(init_model("learned", rng), talk, answers, "learned")
print(f"loss of an untrained model {loss:.2f}, of a guess {math.log(COLOURS):.2f}")

# %%
for scheme in SCHEMES:
    w = init_model(scheme, rng)
    way = {name: rng.normal(size=each.shape) for name, each in w.items()}
    up, down = (loss_and_grads({name: w[name] + step * way[name] for name in w},
                               talk, answers, scheme)[0] for step in (1e-5, -1e-5))
    grads = loss_and_grads(w, talk, answers, scheme)[1]
    claimed = sum((grads[name] * way[name]).sum() for name in w)
    assert abs((up - down) / 2e-5 - claimed) < 1e-5 * abs(claimed)
    print(f"{scheme:10s} measured {(up - down) / 2e-5:8.4f}, claimed {claimed:8.4f}")

# %% [markdown]
# Training uses Adam (here without the correction of the mean), a careful way to step that lesson 08 explains. All five models learn from talks of **32** places. Then they answer in talks of **128** places.

# %% tolerance=0.03
def train(scheme, steps=500):
    rng = np.random.default_rng(1)
    weights = init_model(scheme, rng)
    mean, square = (dict.fromkeys(weights, 0.0) for _ in range(2))
    for step in range(1, steps + 1):
        loss, grads = loss_and_grads(weights, *draw_talk(rng, 16, 32), scheme)
        for name, grad in grads.items():
            mean[name] = 0.9 * mean[name] + 0.1 * grad
            square[name] = 0.99 * square[name] + 0.01 * grad ** 2
            move = mean[name] / (np.sqrt(square[name] / (1 - 0.99 ** step)) + 1e-8)
            weights[name] = weights[name] - 0.01 * (1 - step / steps) * move
    print(f"{scheme:10s} loss of the last step {loss:.2f}")
    return weights
models = {scheme: train(scheme) for scheme in SCHEMES}

# %% tolerance=0.03
long_talk, long_answers = draw_talk(np.random.default_rng(9), 300, 128)
right = {}
for scheme, weights in models.items():
    is_right = forward(weights, long_talk, scheme)[0].argmax(axis=-1) == long_answers
    parts = [slice(start, start + 8) for start in range(0, 128, 8)]
    right[scheme] = [100 * is_right[:, p][long_answers[:, p] >= 0].mean() for p in parts]
    shares = [100 * is_right[:, a:b][long_answers[:, a:b] >= 0].mean()
              for a, b in ((0, 32), (32, 64), (96, 128))]
    print(f"{scheme:10s} right at places 0 to 31: {shares[0]:3.0f} %, "
          f"at 32 to 63: {shares[1]:3.0f} %, at 96 to 127: {shares[2]:3.0f} %")

# %% tolerance=0.03
figure, axes = new_figure(height=3.8)
for (scheme, values), marker in zip(right.items(), "os^Dv"):
    axes.plot(range(4, 128, 8), values, marker=marker, markersize=5, label=scheme)
axes.axvline(32, color="black", linestyle=":")
axes.axhline(100 / COLOURS, color="grey", linestyle="--")
axes.text(33, 3, "longer than in training", color="black")
axes.text(0, 15, "guessing", color="grey")
axes.set(xlabel="place in the text", ylabel="right answers (%)", ylim=(0, 104))
axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
save_svg(figure, FIGURES / "extrapolation.svg", "Right answers against the place in the text. "
         "Without positions they get fewer all along. The others are near 100 percent up to "
         "place 32; then learned and sinusoidal fall to guessing, rope falls, alibi stays high.")

# %% [markdown]
# * **none**: it finds the places of the right name, but not the latest of them. It answers with what Mia said most often. The longer the text, the worse: a bag of words.
# * **learned** is nearly perfect up to the length of training, and lost beyond. Its rows 32 to 127 were never used, so they are still random.
# * **sinusoidal** has values for every place, but the model has never seen these values. It is lost too.
# * **rope** knows only distances, so it keeps much of its skill. But at large distances it meets angles that it has never seen.
# * **alibi** was built for this: whatever is farther costs more, at every length.
#
# Is ALiBi the best then? In this game, yes, because the latest always counts. A game that asks for the *first* colour would punish it.
# Most models of today are trained at the length that they will be used at, and turn their queries and keys. So does the one in this project.
#
# ## 8. Break it
#
# In section 5 turn the values too, not only queries and keys. Nothing crashes. But what is collected now depends on where the reader stands:

# %%
v6 = rng.normal(size=(1, 6, 1, 8))
for shift in (0, 50):
    angles = (np.arange(6)[:, None] + shift) * speeds
    q6, k6, turned = (ops.rope_forward(x, np.cos(angles), np.sin(angles))[0] for x in (q, k, v6))
    kept, _ = ops.attention_forward(q6, k6, v6)
    spoiled, _ = ops.attention_forward(q6, k6, turned)
    print(f"text begins at place {shift:2d}: values kept {kept[0, -1, 0, :2].round(2)}, "
          f"values turned {spoiled[0, -1, 0, :2].round(2)}")

# %% [markdown]
# The same text gives another output when it stands elsewhere: the distance is no longer all that counts.
#
# Other edits to try, each with the result to expect:
#
# * Section 5: use `sign=1.0` in the assertion about `dx`. It fails: turning on is not turning back.
# * Section 7: train with talks of 128 places (`draw_talk(rng, 16, 128)`). Learned and sinusoidal are good everywhere now: they can do what they have seen.
# * Section 7: multiply the clocks by 3 instead of 0.3 in `embed`. They drown the words, as in section 2, and *sinusoidal* answers worse.
#
# ## 9. Exercises
