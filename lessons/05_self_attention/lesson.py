# title: Self-attention
# question: Who looks at whom?
# needs: Python, NumPy's `@`, vectors and their dot product; from section 9 on lessons 02 and 03 (cross-entropy, backwards)
# builds: causal attention with several heads, first in loops, then in three lines; a model that recalls what it read
# minutes: 60
# files: nn.kernels.attention

# %% [markdown]
# ## 1. The nearest word is not always the right one
#
# Go on with this sentence. Is the next word *is* or *are*?
#
# > the keys to the cabinet
#
# It is *are*. The word that decides is *keys*. It stands three words before the end.
# The nearest noun, *cabinet*, gives the wrong answer.
# In *the keys to the big old cabinet* the word that decides is five words away.
# So no rule of the form "look three words back" can work.
#
# A model that writes text must fetch something from an earlier place.
# Which place depends on **what** stands there, not on how far away it is.
# Attention is a way to do that.
#
# Let us give each word two numbers: is it a noun, and is it plural? These two numbers are the word's *value*.

# %%
import math

import numpy as np

words = "the keys to the cabinet".split()
values = np.array([[0, 0], [1, 1], [0, 0], [0, 0], [1, 0]], dtype=float)
print("word      noun  plural")
for word, (noun, plural) in zip(words, values):
    print(f"{word:8s} {noun:5.0f} {plural:7.0f}")

# %% [markdown]
# We count places from 0. The last word stands at place 4. It must learn one thing: is the subject plural?
#
# ## 2. The smallest wrong version: the average
#
# The simplest way to collect something from all words is to take their average.

# %%
def average_so_far(values, t):
    total = np.zeros(values.shape[1])
    for j in range(t + 1):
        total += values[j]
    return total / (t + 1)

print("plural, averaged over the 5 words:", average_so_far(values, 4)[1])
longer = np.concatenate([values, np.zeros((45, 2))])
print("plural, averaged over 50 words:  ", average_so_far(longer, 49)[1])

# %% [markdown]
# The average does hear of the plural, but faintly: {{average_so_far(values, 4)[1]:.2f}} after 5 words,
# {{average_so_far(longer, 49)[1]:.2f}} after 50. Every word that does not matter makes it fainter.
# The average also cannot tell *keys* from *cabinet*, because all words count the same.
#
# We want a **weighted** average: much weight on *keys*, little on the rest.
# And the model itself must choose the weights, from what the words are.
#
# ## 3. Questions, labels and contents
#
# Think of a wall of drawers. Each drawer has a label outside and contents inside.
# You come with a question, compare it with every label, and open widest the drawers whose labels fit best.
#
# * The question is a vector called the **query**, written `q`. The last word asks: "where is a noun that is not part of *to the ...*?"
# * The label is a vector called the **key**, written `k`. Each word has one.
# * The contents are the **value**, written `v`. Each word has one too.
#
# How well a label fits a question is measured by their dot product.
# Here each key has two numbers: is the word a noun, and does it come after *to*?
# The query likes the first (+4) and dislikes the second (-4).

# %%
keys = np.array([[0, 0], [1, 0], [0, 0], [0, 1], [1, 1]], dtype=float)
query = np.array([4.0, -4.0])
scores = [sum(query[d] * key[d] for d in range(2)) for key in keys]
for word, score in zip(words, scores):
    print(f"{word:8s} {score:5.1f}")

# %% [markdown]
# *keys* fits best. Now the scores must become weights. Weights must be positive and add up to 1.
#
# First we take the exponential of each score: it is positive, and a larger score stays larger.
# Then we divide by the sum. These two steps together are called **softmax**:
#
# ```math
# p_j = \frac{e^{s_j}}{\sum_i e^{s_i}}
# ```
#
# Here `s_j` is the score of word `j`, and `p_j` is its weight.

# %%
exponentials = [math.exp(score) for score in scores]
weights = [e / sum(exponentials) for e in exponentials]
for word, score, e, weight in zip(words, scores, exponentials, weights):
    print(f"{word:8s} score {score:4.1f}   exp {e:7.3f}   weight {weight:.3f}")
plural = sum(weight * value[1] for weight, value in zip(weights, values))
print(f"plural, weighted: {plural:.3f}")

# %% [markdown]
# The weighted average says *plural* with {{plural:.2f}} where the plain average said {{average_so_far(values, 4)[1]:.2f}}.
#
# We chose these queries and keys by hand. A model computes them from its words and learns how.
# Each word is a vector `x`. Three tables of learned numbers, `W_q`, `W_k` and `W_v`, turn it into its query, its key and its value:
#
# ```math
# q = x W_q \qquad k = x W_k \qquad v = x W_v
# ```
#
# All three come from the same text. That is why it is called **self**-attention.
#
# ## 4. One head, in loops
#
# Now every word asks its own question, not only the last. We write `T` for the number of words
# and `D` for how many numbers a query has. Place `t` asks, place `j` answers:
#
# ```math
# s_{tj} = \frac{1}{\sqrt{D}} \sum_{d} q_{td} k_{jd}
# ```
#
# ```math
# p_{tj} = \frac{e^{s_{tj}}}{\sum_{i \le t} e^{s_{ti}}}
# ```
#
# ```math
# o_{td} = \sum_{j \le t} p_{tj} v_{jd}
# ```
#
# In words: score, softmax, weighted average. The output of place `t` is the vector `o_t`.
# The division by the square root of `D` keeps scores from growing with `D`. Section 8 shows what happens without it.
#
# Look at `j <= t`: a place looks at itself and at what came before, never at what comes after. Section 5 says why.

# %%
def one_head_in_loops(q, k, v):
    T, D = q.shape
    out = np.zeros((T, D))
    for t in range(T):
        dots = [sum(q[t, d] * k[j, d] for d in range(D)) for j in range(t + 1)]
        scores = [dot / math.sqrt(D) for dot in dots]
        largest = max(scores)
        exponentials = [math.exp(score - largest) for score in scores]
        for j in range(t + 1):
            out[t] += exponentials[j] / sum(exponentials) * v[j]
    return out

rng = np.random.default_rng(5)
q, k, v = rng.normal(size=(3, 6, 4))  # T = 6 places, D = 4
print(one_head_in_loops(q, k, v).round(2))

# %% [markdown]
# We subtract the largest score before the exponential. It changes nothing in the weights,
# because every exponential is divided by the same number. But it prevents an accident:

# %%
try:
    math.exp(800.0)
except OverflowError as error:
    print("exp(800):      ", error)
print("exp(800 - 800):", math.exp(800.0 - 800.0))

# %% [markdown]
# Is our function right? The package has one, written in another way. They must agree.
# The package handles many texts and many heads at once, so we add an axis for the one text and an axis for the one head.

# %%
from minigpt.nn.ops import attention_forward

theirs, _ = attention_forward(q[None, :, None], k[None, :, None], v[None, :, None])  # (1, T, 1, D)
ours = one_head_in_loops(q, k, v)  # (T, D)
assert np.allclose(ours, theirs[0, :, 0], rtol=1e-12)
print("shapes:", ours.shape, theirs.shape, "- equal to 12 digits")

# %% [markdown]
# ## 5. No looking ahead
#
# A language model learns by guessing the next word at **every** place of a text at once.
# At place 2 it must guess the word at place 3. If place 2 could look at place 3, it would copy the answer.
# It would look like a genius in training and know nothing when it has to write.
# A model that only looks back is called **causal**.
#
# Causality can be tested without reading any code: change the input at one place and see which outputs move.

# %%
def first_place_that_moves(attention, place):
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 6, 4))
    before = attention(q, k, v)
    for changed in (q, k, v):
        changed[place] += 1.0
    moved = np.abs(attention(q, k, v) - before).max(axis=1) > 1e-12
    return int(np.argmax(moved))

for place in range(6):
    first = first_place_that_moves(one_head_in_loops, place)
    print(f"changed place {place}: the first output that moves is {first}")

# %% [markdown]
# Nothing moves before the place that we changed. The function is causal.
#
# ## 6. One head, in three lines
#
# The loops are clear but slow. The same three formulas for all places at once are three lines of NumPy.
# Put the queries into a table `Q` with one row for each place, and do the same with `K` and `V`.
# Then all scores are one matrix product, and so are all weighted averages:
#
# ```math
# O = \text{softmax}\left( \frac{Q K^\top}{\sqrt{D}} + M \right) V
# ```
#
# `M` is the **mask**. It is 0 where `t` may look at `j`, and minus infinity where it may not.
# The exponential of minus infinity is 0: no weight at all.

# %%
def causal_mask(T):
    asks, answers = np.arange(T)[:, None], np.arange(T)[None, :]
    return np.where(answers > asks, -np.inf, 0.0)  # (T, T)

def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

def one_head(q, k, v):
    weights = softmax(q @ k.T / math.sqrt(q.shape[1]) + causal_mask(len(q)))  # (T, T)
    return weights @ v  # (T, D)

assert np.allclose(one_head(q, k, v), one_head_in_loops(q, k, v), rtol=1e-12)
print(causal_mask(4))

# %% [markdown]
# How much faster?

# %% volatile
import time

q200, k200, v200 = rng.normal(size=(3, 200, 32))
for function in (one_head_in_loops, one_head):
    start = time.perf_counter()
    function(q200, k200, v200)
    milliseconds = 1000 * (time.perf_counter() - start)
    print(f"{function.__name__:18s} {milliseconds:8.2f} ms for T = 200, D = 32")

# %% [markdown]
# A common mistake is to mask too late: after the softmax, by writing zeros over the forbidden weights.
# It looks harmless. But what is left no longer adds up to 1:

# %%
too_late = softmax(q @ k.T / math.sqrt(4)) * (causal_mask(6) == 0)
in_time = softmax(q @ k.T / math.sqrt(4) + causal_mask(6))
print("sum of the weights of each place, masked too late:", too_late.sum(axis=1).round(2))
print("sum of the weights of each place, masked in time: ", in_time.sum(axis=1).round(2))

# %% [markdown]
# Only the last place is right. The first place, which should simply return its own value, returns a fraction of it.
#
# ## 7. Many heads
#
# One head can ask one question for each word. A word often needs several answers:
# who is the subject, what was the last verb, did a quotation begin?
#
# So we cut the vectors into `H` pieces and let each piece attend on its own. Each piece is called a **head**.
# With 8 numbers for each word and `H = 2` heads, each head has `D = 4` numbers. At the end the pieces are put side by side again.
# (A GPT then multiplies them by one more learned table, which mixes the heads. Lesson 07 adds it.)

# %%
def many_heads(q, k, v, H):
    T, C = q.shape
    pieces = [np.split(table, H, axis=1) for table in (q, k, v)]  # three lists of H tables (T, D)
    return np.concatenate([one_head(*piece) for piece in zip(*pieces)], axis=1)  # (T, C)

q8, k8, v8 = rng.normal(size=(3, 6, 8))  # T = 6, C = 8
ours = many_heads(q8, k8, v8, H=2)
split = (table.reshape(1, 6, 2, 4) for table in (q8, k8, v8))  # (B, T, H, D)
theirs, cache = attention_forward(*split)  # (B, T, H, D)
assert np.allclose(ours, theirs.reshape(6, 8), rtol=1e-12)
print("two heads side by side:", ours.shape, "- equal to the package's")

# %% [markdown]
# This is the package's version. You know all of it but three things:
#
# * `B` texts are computed at once. They never look at each other.
# * Keys and values may have fewer heads, `K`, than the queries, `H`. Then `G = H/K` query heads share one key head. Exercise 3 is about that.
# * `starts` says from which place on each query may look. A window is made with it in section 10.
#   (`slopes` belongs to lesson 04, where places are compared by distance.)
#
# The first lines only bring the axes into an order in which `@` multiplies the right tables.
#
# {{include minigpt.nn.ops:attention_forward}}
#
# The function returns its output and a *cache*: what its backward needs again.
# The last item of the cache is the table of weights. We shall look at it soon.
#
# ## 8. Why divide by the square root of D?
#
# Take queries and keys of random numbers with spread (standard deviation) 1.
# A dot product of `D` such pairs is a sum of `D` random terms. Its spread is the square root of `D`.
# With `D = 64` scores are spread by 8, and the exponential makes the best of them win everything.
#
# To see it, we need one number that says how many places a row of weights really looks at.
# If `n` places share the weight equally, this number should be `n`. If one place has everything, it should be 1.
# Such a number exists. It is 2 to the power of the weights' entropy in bits:
#
# ```math
# n = 2^{E} \qquad E = - \sum_j p_j \log_2 p_j
# ```

# %%
def places_looked_at(p):
    entropy = -(p * np.log2(np.maximum(p, 1e-300))).sum(axis=-1)  # in bits; 0 log 0 counts as 0
    return 2.0 ** entropy

print("four equal weights:     ", places_looked_at(np.array([0.25, 0.25, 0.25, 0.25])))
print("one weight has it all:  ", places_looked_at(np.array([1.0, 0.0, 0.0, 0.0])))
print("keys, as in section 3:  ", places_looked_at(np.array(weights)).round(2))

# %% [markdown]
# Now 500 random queries look at 64 random keys each, for `D` from 1 to 1024, with and without the division.

# %%
sizes = 2 ** np.arange(11)  # D = 1, 2, 4, ..., 1024
divided, not_divided = [], []
for D in sizes:
    queries, labels = rng.normal(size=(500, D)), rng.normal(size=(64, D))
    scores = queries @ labels.T  # (500, 64)
    divided.append(places_looked_at(softmax(scores / math.sqrt(D))).mean())
    not_divided.append(places_looked_at(softmax(scores)).mean())
    if D in (1, 4, 64, 1024):
        print(f"D {D:4d}: spread of scores {scores.std():5.2f}, places looked at: "
              f"{divided[-1]:5.2f} with division, {not_divided[-1]:5.2f} without")

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure()
axes.plot(sizes, divided, "o-", label="divided by the square root of D")
axes.plot(sizes, not_divided, "s--", label="not divided")
axes.set(xlabel="D, numbers in a query", ylabel="places looked at (of 64)", ylim=(0, 64))
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, sizes)
axes.legend()
save_svg(figure, FIGURES / "scaling.svg", "Places looked at against D. Divided by the square root "
         "of D the curve stays near 40 of 64. Not divided it falls from 42 to 1.")

# %% [markdown]
# Without the division a head of {{sizes[6]}} numbers looks at about {{not_divided[6]:.1f}} of 64 places before it has learned anything.
# It has made up its mind by chance. Worse, it can hardly change it: where softmax gives a weight of almost 0 or almost 1,
# its slope is almost 0, and learning follows slopes. The slope of a weight with respect to its own score is `p (1 - p)`:

# %%
queries, labels = rng.normal(size=(500, 64)), rng.normal(size=(64, 64))
for label, divisor in (("divided", 8.0), ("not divided", 1.0)):
    p = softmax(queries @ labels.T / divisor)
    print(f"{label:12s} median slope p (1 - p) = {np.median(p * (1 - p)):.1e}")

# %% [markdown]
# ## 9. A task that needs a far word
#
# Here is a little game of memory. First some people say their favourite colour. Then each of them, in another order, is asked for it:
#
# > Mia red, Tom blue, Ana red, ..., Tom ?, Mia ?, ...
#
# Each place holds a name and a colour, or a name and a question mark. 32 people tell, then the 32 are asked.
# There are 40 names and 8 colours, so a guess is right once in 8 times. The answer can stand 1 to 63 places back.

# %%
NAMES, COLOURS = 40, 8
ASKED = NAMES + COLOURS
print(f"0 to {NAMES - 1}: names, {NAMES} to {ASKED - 1}: colours, {ASKED}: the question mark")

# %%
def draw_game(rng, B, people=32):
    told = rng.permuted(np.tile(np.arange(NAMES), (B, 1)), axis=1)[:, :people]  # (B, people)
    colours = rng.integers(COLOURS, size=(B, people))
    order = rng.permuted(np.tile(np.arange(people), (B, 1)), axis=1)  # who is asked when
    names = np.concatenate([told, np.take_along_axis(told, order, axis=1)], axis=1)  # (B, T)
    question_marks = np.full((B, people), ASKED)
    symbols = np.concatenate([NAMES + colours, question_marks], axis=1)  # (B, T)
    answers = np.take_along_axis(colours, order, axis=1)  # (B, people)
    return np.stack([names, symbols], axis=-1), answers, np.arange(people, 2 * people) - order

game, answers, distances = draw_game(np.random.default_rng(1), B=1, people=3)
print("name and symbol at each place:", game[0].tolist())
print("right colours:", answers[0], "  said so many places before:", distances[0])

# %% [markdown]
# The model is the smallest that attention allows. A table has one row of `C = 64` learned numbers for each name and each symbol.
# The vector `x` of a place is the sum of its two rows. Then come query, key and value, one head, and one more table
# that turns the head's output into 8 scores, one for each colour.
#
# Notice what is missing: nothing tells the model *where* a place is. This game is about what, not where. Lesson 04 is about where.

# %%
from minigpt.nn import ops

def init_model(rng, C=64):
    shapes = {"table": (ASKED + 1, C), "query": (C, C), "key": (C, C), "value": (C, C),
              "colour": (C, COLOURS)}
    return {name: rng.normal(scale=C ** -0.5, size=shape) for name, shape in shapes.items()}

for name, weight in init_model(rng).items():
    print(f"{name:7s} {str(weight.shape):9s} {weight.size:5d} numbers")

# %%
def forward(weights, game, starts):
    rows, from_table = ops.embedding_forward(game, weights["table"])  # (B, T, 2, C)
    x = rows.sum(axis=2)  # (B, T, C)
    pairs = [ops.linear_forward(x, weights[name]) for name in ("query", "key", "value")]
    q, k, v = (made[:, :, None] for made, _ in pairs)  # (B, T, 1, C), one head
    out, from_attention = ops.attention_forward(q, k, v, starts)  # (B, T, 1, C)
    asked = out[:, out.shape[1] // 2:, 0]  # (B, people, C): only the second half is asked
    scores, from_asked = ops.linear_forward(asked, weights["colour"])  # (B, people, 8)
    return scores, (from_table, [c for _, c in pairs], from_attention, from_asked, out.shape)

scores, cache = forward(init_model(rng), game, starts=None)
print("scores of the 8 colours, for each of the 3 who are asked:", scores[0].round(2), sep="\n")

# %% [markdown]
# Training needs a backward: it walks through the forward's steps in reverse order and carries the blame for a wrong answer to every number.
# Lesson 03 explains the idea. Lesson 06 derives the backward of attention line by line. Today we borrow it.

# %%
def backward(dscores, cache):
    from_table, from_x, from_attention, from_asked, shape = cache
    grads = {}
    dasked, grads["colour"], _ = ops.linear_backward(dscores, from_asked)
    dout = np.zeros(shape)  # (B, T, 1, C)
    dout[:, shape[1] // 2:, 0] = dasked
    dx = 0.0
    dmade = ops.attention_backward(dout, from_attention)  # for q, k and v, each (B, T, 1, C)
    for name, d, cache in zip(("query", "key", "value"), dmade, from_x):
        dpart, grads[name], _ = ops.linear_backward(d[:, :, 0], cache)
        dx = dx + dpart  # x was used three times, so it is blamed three times
    grads["table"] = ops.embedding_backward(np.stack([dx, dx], axis=2), from_table)  # two rows each
    return grads

print("gradients, in the order of the walk:", *backward(np.ones_like(scores), cache))

# %% [markdown]
# The loss is the cross-entropy of lesson 02: minus the logarithm of the probability that the model gave to the right colour.
#
# We trust nothing that we have not tested. A gradient says how the loss changes when all weights move a little.
# So after computing the gradient we move all weights a little, in a random direction, and compare:

# %%
def loss_and_grads(weights, game, answers, starts=None):
    scores, cache = forward(weights, game, starts)
    losses, from_loss = ops.cross_entropy_forward(scores.reshape(-1, COLOURS), answers.ravel())
    dlosses = np.full(losses.size, 1 / losses.size)  # the loss is the mean of the losses
    dscores = ops.cross_entropy_backward(dlosses, from_loss)
    return losses.mean(), backward(dscores.reshape(scores.shape), cache)

weights, (game, answers, _) = init_model(rng), draw_game(rng, B=4)
loss, grads = loss_and_grads(weights, game, answers)
print(f"loss before training {loss:.2f}, of a guess {math.log(COLOURS):.2f}")

# %%
way = {name: rng.normal(size=weight.shape) for name, weight in weights.items()}

def loss_on_the_way(step):
    moved = {name: weights[name] + step * way[name] for name in weights}
    return loss_and_grads(moved, game, answers)[0]

measured = (loss_on_the_way(1e-5) - loss_on_the_way(-1e-5)) / 2e-5
claimed = sum((grads[name] * way[name]).sum() for name in weights)
print(f"measured slope {measured:.6f}, claimed by backward {claimed:.6f}")
assert abs(measured - claimed) < 1e-6 * abs(measured)

# %% [markdown]
# ## 10. Everywhere, or only nearby?
#
# Some models save time by letting each place look only at a **window**: itself and a few places before it.
# We train two models on the same games. One looks everywhere, the other at a window of 32 places.
# The step is almost that of lesson 03: move every weight a little against its gradient, but keep some of the last move (0.9 of it).

# %%
def window_starts(B, T, window):
    first = np.maximum(0, np.arange(T) - window + 1)  # (T,), the first place that each may see
    return np.broadcast_to(first, (B, T))

print("first visible place, T = 8, window 3:", window_starts(1, 8, 3)[0])

# %% tolerance=0.02
def train(window, steps=600, B=16):
    rng = np.random.default_rng(7)
    weights, moves = init_model(rng), {}
    for step in range(steps):
        game, answers, _ = draw_game(rng, B)
        loss, grads = loss_and_grads(weights, game, answers, window_starts(B, 64, window))
        for name in weights:
            moves[name] = 0.9 * moves.get(name, 0.0) - 0.3 * grads[name]
            weights[name] += moves[name]
        if step % 100 == 99:
            print(f"window {window}: loss {loss:.2f} after {step + 1} steps")
    return weights

models = {window: train(window) for window in (64, 32)}

# %% [markdown]
# At first little seems to happen, for about 200 steps without a window and about 300 with one: the loss stays close to that of guessing, `ln 8 = {{math.log(8):.2f}}`.
# Then it drops. A question is of no use without labels that fit it, and both are of no use without contents.
# So they have to be found together, and then everything works at once. This sudden drop is typical of attention.
#
# Now 1000 new games. How often is the answer right, if it was said 1, 2, 3, ... 63 places before?

# %%
game, answers, distances = draw_game(np.random.default_rng(99), B=1000)
right = {}
for window, weights in models.items():
    scores, _ = forward(weights, game, window_starts(1000, 64, window))
    is_right = scores.argmax(axis=-1) == answers  # (B, people)
    right[window] = np.array([is_right[distances == d].mean() for d in range(1, 64)])
    print(f"window {window}: right at distance 1 to 31: {100 * right[window][:31].mean():.0f} %, "
          f"at distance 32 to 63: {100 * right[window][31:].mean():.0f} %")

# %%
figure, axes = new_figure()
axes.plot(range(1, 64), 100 * right[64], label="looks everywhere")
axes.plot(range(1, 64), 100 * right[32], "--", label="window of 32 places")
axes.axhline(100 / COLOURS, color="black", linestyle=":", label="guessing")
axes.set(xlabel="distance, places back to the answer", ylabel="right answers (%)", ylim=(0, 105))
axes.legend(loc="center right")
save_svg(figure, FIGURES / "distance.svg", "Right answers against distance. Looking everywhere: "
         "all right at every distance. Window of 32 places: all right up to distance 31, "
         "no better than guessing from 32 on.")

# %% [markdown]
# The window model comes near a loss that it cannot get below: {{100 * (distances >= 32).mean():.0f}} % of the answers are out of its sight,
# and for those it can only guess, which costs {{math.log(8):.2f}} each, or {{math.log(8) * (distances >= 32).mean():.2f}} on average over all answers.
#
# Two things in this picture are worth a pause.
#
# * Full attention does not tire. The answer 63 places back is found as surely as the one next door,
#   because *far* costs nothing: it is one more column in the table of scores.
# * The window model falls off a cliff, from one place to the next. It is not a bit worse beyond 31 places, it is blind.
#
# The price of looking everywhere is the table itself: `T` times `T` scores. Twice the text, four times the work.
#
# ## 11. Who looks at whom?
#
# We take the model that looks everywhere and play one short game with 6 people.
# It was trained with 32 people, and never saw a game as short as this. The last item of the cache is its table of weights. We draw it.

# %%
game, answers, _ = draw_game(np.random.default_rng(3), B=1, people=6)
scores, (_, _, from_attention, _, _) = forward(models[64], game, None)
attention = from_attention[-1][0, 0, 0]  # (T, T)
people = "Mia Tom Ana Ben Eva Leo".split()
colours = "red blue green pink grey black white gold".split()
told = game[0, :6, 0].tolist()  # the ids of the six names
meaning = {NAMES + number: colour for number, colour in enumerate(colours)} | {ASKED: "?"}
labels = [f"{people[told.index(name)]} {meaning[symbol]}" for name, symbol in game[0].tolist()]
for t in range(6, 12):
    best, answer = int(attention[t].argmax()), colours[scores[0, t - 6].argmax()]
    print(f"{labels[t]}  {answer:6s} most weight {attention[t, best]:.2f} on {labels[best]}")

# %%
from minigpt.show.plot import draw_map

figure, axes = new_figure(width=6.6, height=5.0)
draw_map(axes, attention, labels, labels, "weight", vmin=0, vmax=1)
axes.set(xlabel="the place that is looked at", ylabel="the place that asks")
save_svg(figure, FIGURES / "attention_map.svg", "Attention weights of 12 places. In each of the "
         "six rows that ask, nearly all weight lies where the same person told a colour.")

# %% [markdown]
# The lower left is the answer to this lesson's question. Each row that asks has one bright cell: the place where the same name told its colour.
# Nobody wrote this rule down. The model was only told which colours were right. It invented the question, the label and the contents.
#
# The upper six rows have nothing to ask. They look at themselves, since their own name fits best. It does no harm: nobody uses their output.
#
# ## 12. Break it
#
# In section 6, change `>` in `causal_mask` to `>=`, so that a place may not look at itself either. What will happen?
# The first place may then look at nobody. Its scores are all minus infinity. The softmax takes the largest of them away from each,
# and infinity minus infinity has no value (without that step, the weights would be 0 divided by 0):

# %%
def broken_mask(T):
    asks, answers = np.arange(T)[:, None], np.arange(T)[None, :]
    return np.where(answers >= asks, -np.inf, 0.0)

with np.errstate(invalid="ignore"):
    print(softmax(np.zeros((3, 3)) + broken_mask(3)))

# %% [markdown]
# *nan* means "not a number". It spreads: one training step later nearly every weight of a model is *nan*.
# Whenever a whole row is masked, look for this.
#
# Other edits to try, each with the result to expect:
#
# * Section 6: write `axis=0` twice in `softmax`. The assertion in the same cell fails: columns add up to 1 instead of rows.
# * Section 10: train with a window of 48. (Write 48 for the `right[32]` of the plot too.) Up to distance 47 the answers are right: the cliff moves with the window.
# * Section 10: train with a window of 24. (Write 24 for the `right[32]` of the plot.) Now only one answer in four is in sight, and 600 steps are too few:
#   even the near answers are mostly wrong. What a model rarely sees, it learns slowly.
#
# ## 13. Exercises
