# title: Sampling
# question: The model gives each word a probability. Which word do we write?
# needs: lessons 05 and 07 (attention, the GPT)
# builds: temperature, top-k, top-p, min-p, repetition penalty and constrained decoding as pictures of one distribution; the key/value cache; a map of diversity against quality
# minutes: 75
# files: sample.sampling sample.generate sample.stopping

# %% [markdown]
# ## 1. A small language whose grammar we know
#
# To judge how well a model writes, we want a language in which right and wrong are certain. Here is one. Every text is a little story:
#
# > Tom has a big dog . it eats meat and says woof . he loves his dog .
#
# There are rules. A dog says *woof* and eats *meat* or *bones*, never *hay*. Tom is *he*, Anna is *she*. The animal at the end is the animal of the beginning.
# Some names and animals are common, others rare: the first in the list is 8 times as likely as the last.

# %%
import random

NAMES = dict(Tom="he his", Anna="she her", Ben="he his", Mia="she her",
             Leo="he his", Eva="she her", Max="he his", Zoe="she her")
ANIMALS = dict(dog="woof meat bones", cat="meow fish milk", cow="moo hay grass",
               duck="quack bread corn", sheep="baa hay clover", mouse="squeak cheese seeds",
               frog="croak flies worms", owl="hoot mice moths")
LOOKS = "big small old young fat thin black white".split()

print(len(NAMES), "names,", len(ANIMALS), "animals,", len(LOOKS), "looks")

# %%
def tell(name, look, animal, food):
    he, his = NAMES[name].split()
    sound = ANIMALS[animal].split()[0]
    return (f"{name} has a {look} {animal} . it eats {food} and says {sound} . "
            f"{he} loves {his} {animal} . <end>").split()

print(" ".join(tell("Tom", "big", "dog", "meat")))

# %%
def draw_story(rng):
    def one_of(choices):  # the first is the likeliest
        return rng.choices(list(choices), [1 / (i + 1) for i in range(len(choices))])[0]

    animal = one_of(ANIMALS)
    return tell(one_of(NAMES), one_of(LOOKS), animal, one_of(ANIMALS[animal].split()[1:]))

for seed in (1, 2, 3):
    print(" ".join(draw_story(random.Random(seed))))

# %%
def is_right(story):
    if len(story) != 19:
        return False
    name, look, animal, food = story[0], story[3], story[4], story[8]
    if name not in NAMES or look not in LOOKS or animal not in ANIMALS:
        return False
    return food in ANIMALS[animal].split()[1:] and story == tell(name, look, animal, food)

story = tell("Tom", "big", "dog", "meat")
print("right:", is_right(story))
print("says moo instead:", is_right(["moo" if word == "woof" else word for word in story]))

# %% [markdown]
# Each word is a token. A small GPT learns the language from some stories. We stop early on purpose, while it still makes mistakes.

# %%
import numpy as np

from minigpt.config import GPTConfig, SampleConfig, TrainConfig
from minigpt.nn.gpt import Transformer
from minigpt.nn.losses import cross_entropy
from minigpt.train import optim

rng = random.Random(11)
stories = [["<end>"] + draw_story(rng) for _ in range(2880)]
WORDS = sorted({word for story in stories for word in story})
ID = {word: number for number, word in enumerate(WORDS)}
ids = np.array([[ID[word] for word in story] for story in stories])  # (2880, 20)
print(len(WORDS), "words;", len(ids), "stories of", ids.shape[1], "tokens, <end> first")

# %% tolerance=0.05
from minigpt.nn.threads import blas_threads

STEPS, shape = 180, dict(vocab_size=len(WORDS), block_size=32, n_layer=2, n_head=4, n_embd=32)
model = Transformer(GPTConfig(**shape), dtype="float64", backend="numpy")
recipe, state = TrainConfig(tokens=STEPS * 1024), optim.new_state(model.params)
with blas_threads(1):  # small products: more threads would only wait for each other
    for step in range(STEPS):
        batch = ids[step * 16:(step + 1) * 16]
        logits, cache = model.forward(batch[:, :-1])
        loss, dlogits, _ = cross_entropy(logits, batch[:, 1:])
        model.grads.flat[:] = 0.0
        model.backward(dlogits, cache)
        optim.update(model.params, model.grads, state, recipe)
print(f"loss after {STEPS} steps: {loss:.2f} nats per word")

# %% [markdown]
# Now ask the model how *Anna has a big ...* goes on. It answers with one score (a *logit*) for each word. Softmax makes probabilities of them.

# %% tolerance=0.05
def logits_after(text):
    tokens = np.array([[ID[word] for word in ["<end>"] + text.split()]])
    return model.forward(tokens)[0][:, -1]  # (1, V)

def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)

logits = logits_after("Anna has a big")
p = softmax(logits)
likeliest = np.argsort(-p[0])[:10]
for word in likeliest:
    print(f"{WORDS[word]:7s} {p[0, word]:.3f}")

# %% [markdown]
# This list is what a language model is: not a word, but a distribution over words. This lesson is about what to do with it.
#
# ## 2. Two simple ways, both wrong
#
# **Greedy**: always write the likeliest word. **Plain sampling**: draw a word by its probability. We let the model write 300 stories each way.
# The package's `generate` does the writing. Temperature 0 means greedy, 1 means plain.

# %% tolerance=0.05
from minigpt.sample.generate import generate

def write(count=300, **settings):
    config = SampleConfig(max_new_tokens=25, seed=0, **settings)
    with blas_threads(1):
        rows = generate(model, [[ID["<end>"]]] * count, config, stop=(ID["<end>"],))
    return [[WORDS[token] for token in row.ids + row.stopped] for row in rows]

story = write(count=1, temperature=1.0)[0]
print("right:" if is_right(story) else "wrong:", *story)

# %% tolerance=0.05
def judge(stories):
    right = sum(map(is_right, stories)) / len(stories)
    different = len(set(map(tuple, stories))) / len(stories)
    return right, different

for label, temperature in (("greedy", 0.0), ("plain sampling", 1.0)):
    right, different = judge(write(temperature=temperature))
    print(f"{label:15s} right {100 * right:5.1f} %, different {100 * different:5.1f} %")

# %% volatile
written = write(temperature=1.0)
for story in [s for s in written if is_right(s)][:2] + [s for s in written if not is_right(s)][:4]:
    print("right" if is_right(story) else "WRONG", "|", " ".join(story))

# %% [markdown]
# Greedy writes the same story 300 times. It need not even be the likeliest one: the likeliest first word may lead into a poor story. **Beam search**
# keeps the few best beginnings at each step instead of one (exercise 4). It may find a likelier text, but still only one. Plain sampling writes many stories, but nearly half of them are wrong.
# The reason lies in the **tail**. Words that make no sense have a small probability each, but there are many of them, most of all where the food is named and where the animal comes back,
# and a story has 19 words. If 3 % of the probability lies in the tail at each word, on average, then a story is clean with probability `0.97^19 = {{0.97 ** 19:.2f}}`.
#
# So we reshape the distribution before we draw. All methods below do that. Each is one small function, and we compare each with the package's.
#
# ## 3. Temperature
#
# Divide all logits by a number `τ` (tau) before the softmax:
#
# ```math
# p_i = \frac{e^{z_i / τ}}{\sum_j e^{z_j / τ}}
# ```
#
# With `τ` below 1 the differences between logits grow: the likely become likelier. With `τ` above 1 they shrink. At 0 only the likeliest is left.
# The order of the words never changes. In terms of the old probabilities, each is raised to the power `1/τ`, and the sum is put right again.

# %% tolerance=0.05
from minigpt.sample import sampling

def with_temperature(p, tau):
    powers = p ** (1 / tau)
    return powers / powers.sum()

for tau in (0.5, 1.0, 2.0):
    ours = with_temperature(p, tau)
    theirs = sampling.distribution(logits, SampleConfig(temperature=tau))
    assert np.allclose(ours, theirs, rtol=1e-9)
    print(f"tau {tau:.1f}: likeliest {ours.max():.3f}, 10th {np.sort(ours[0])[-10]:.5f}")

# %% [markdown]
# ## 4. Cutting off the tail: top-k, top-p, min-p
#
# Temperature makes the tail thinner. Three other methods cut it off, and differ in where.
#
# * **top-k** keeps the `k` likeliest words. But how many words make sense? After *Anna has a big* eight animals do, after *says* one does.
# * **top-p** keeps the likeliest words until together they have probability `P`. Many words when the model is unsure, one when it is sure.
# * **min-p** keeps the words that have at least a share `m` of the likeliest one's probability. It asks of each word: is it a serious rival?

# %%
def top_k(p, k):
    return np.where(p >= np.sort(p)[-k], p, 0.0)

def top_p(p, P):
    kept, total = np.zeros_like(p), 0.0
    for word in np.argsort(-p):
        kept[word] = p[word]
        total += p[word]
        if total >= P:  # the word that reaches P is kept
            return kept

def min_p(p, m):
    return np.where(p >= m * p.max(), p, 0.0)

print("k = 2:", top_k(np.array([0.1, 0.4, 0.2, 0.3]), 2))

# %%
cuts = {"top-k 4": (top_k(p[0], 4), SampleConfig(top_k=4)),
        "top-p 0.9": (top_p(p[0], 0.9), SampleConfig(top_p=0.9)),
        "min-p 0.2": (min_p(p[0], 0.2), SampleConfig(min_p=0.2))}
for name, (kept, config) in cuts.items():
    theirs = sampling.distribution(logits, config)[0]
    assert np.allclose(kept / kept.sum(), theirs, rtol=1e-9)
    print(f"{name:9s} keeps {(kept > 0).sum()} of {len(WORDS)} words, probability {kept.sum():.2f}")

# %% [markdown]
# The difference between them shows when the model is sure. How many words does each keep after *Anna has a big dog . it eats meat and says*?

# %%
sure = softmax(logits_after("Anna has a big dog . it eats meat and says"))[0]
for name, cut, setting in (("top-k", top_k, 4), ("top-p", top_p, 0.9), ("min-p", min_p, 0.2)):
    print(f"{name} {setting} keeps:", *(WORDS[word] for word in np.flatnonzero(cut(sure, setting))))

# %% [markdown]
# top-k keeps four words where only one is right. The other two adapt.
#
# ## 5. Two that look at the words: repetition penalty, constrained decoding
#
# A **repetition penalty** makes words less likely that have occurred already. Positive logits are divided by the penalty, negative ones are multiplied by it.
#
# **Constrained decoding** allows only certain words: all other logits become minus infinity. It is how a program makes a model answer only *yes* or *no*,
# or write valid JSON. The model's own order among the allowed words stays.

# %%
def penalise(z, seen, penalty):
    z = z.copy()
    for word in set(seen):
        z[word] = z[word] / penalty if z[word] > 0 else z[word] * penalty
    return z

def only(z, allowed):
    return np.array([z[word] if word in allowed else -np.inf for word in range(len(z))])

seen, allowed = [ID["dog"], ID["cat"]], [ID[word] for word in ("owl", "frog", "duck")]
penalised, limited = penalise(logits[0], seen, 1.5), only(logits[0], allowed)
assert np.array_equal(penalised, sampling.penalise(logits, [seen], 1.5)[0])
assert np.array_equal(limited, sampling.restrict(logits, allowed)[0])
print("likeliest, dog and cat penalised:", WORDS[penalised.argmax()],
      "  likeliest of three:", WORDS[limited.argmax()])

# %% tolerance=0.05
import textwrap
from pathlib import Path

from minigpt.show.plot import PALETTE, save_svg, new_figure

FIGURES = Path(__file__).parent / "figures"
panels = {"temperature 0.5": with_temperature(p[0], 0.5),
          "temperature 2": with_temperature(p[0], 2.0),
          **{name: kept for name, (kept, _) in cuts.items()},
          "penalty 1.5 on dog, cat": softmax(penalised),
          "owl, frog or duck": softmax(limited)}
for name, values in panels.items():
    print(f"{name:24s}", *(f"{WORDS[w]} {values[w] / values.sum():.2f}" for w in likeliest[:4]))

# %% tolerance=0.05
figure, axes = new_figure(columns=len(panels) + 1, width=8.4, height=3.4, sharex=True, sharey=True)
names = [WORDS[word] for word in likeliest]
for each, (name, values) in zip(axes, {"the model's": p[0], **panels}.items()):
    each.barh(names, (values / values.sum())[likeliest], color=PALETTE[0])
    each.plot(p[0][likeliest], names, "|", color="black", markersize=9)
    each.set_title(textwrap.fill(name, 12), fontsize=9)
axes[0].invert_yaxis()
figure.supxlabel("probability (black mark: the model's own)", fontsize=11)
save_svg(figure, FIGURES / "methods.svg", "One distribution over ten words, and what seven "
         "methods make of it. A low temperature lengthens the longest bars, a high one evens "
         "them out, the cuts remove the short ones, the penalty shortens dog and cat, the "
         "constraint leaves three words.")

# %% [markdown]
# ## 6. Diversity against quality
#
# Which method is best? There is no single number. A method that always writes one right story has perfect quality and no diversity.
# So we draw a map: for each method and each setting, how many of 300 stories are right, and how many are different from each other.

# %% tolerance=0.08
settings = {"temperature": [dict(temperature=t) for t in (0.4, 0.6, 0.8, 1.0, 1.3)],
            "top-k": [dict(top_k=k) for k in (2, 4, 8, 16)],
            "top-p": [dict(top_p=P) for P in (0.5, 0.8, 0.9, 0.97)],
            "min-p": [dict(min_p=m) for m in (0.5, 0.2, 0.1, 0.03)]}
judged = {name: [judge(write(**each)) for each in row] for name, row in settings.items()}
for name, row in judged.items():
    shown = [(*each.values(), *shares) for each, shares in zip(settings[name], row)][1:4]
    print(f"{name:12s}", "   ".join(f"{value}: right {100 * right:.0f}, different {100 * other:.0f}"
                                    for value, right, other in shown), "(%)")

# %% tolerance=0.08
figure, axes = new_figure(height=4.0)
for (name, row), style in zip(judged.items(), ("o-", "s--", "^-.", "D:")):
    right, different = 100 * np.array(row).T
    axes.plot(different, right, style, label=name)
true_language = [draw_story(random.Random(seed)) for seed in range(300)]
axes.plot(100 * judge(true_language)[1], 100, "k*", markersize=14, label="the language itself")
axes.set(xlabel="different stories (%)", ylabel="right stories (%)", ylim=(None, 104))
axes.legend(loc="lower left")
save_svg(figure, FIGURES / "frontier.svg", "Right stories against different stories for four "
         "methods, each with several settings. All fall to the right: more diversity costs "
         "quality. The language itself lies above all of them, at the upper right.")

# %% [markdown] tolerance=0.08
# Every method is a road from the upper left (careful, monotonous) to the lower right (free, faulty). The star is the language itself: all right, and varied.
# No way of sampling reaches it, since they all start from the same imperfect model. Sampling chooses a point on the road. Training moves the road.
#
# * A road that lies higher is better. Temperature {{settings["temperature"][2]["temperature"]}} writes {{100 * judged["temperature"][2][1]:.0f}} % different stories, {{100 * judged["temperature"][2][0]:.0f}} % of all are right.
#   min-p {{settings["min-p"][2]["min_p"]}} writes {{100 * judged["min-p"][2][1]:.0f}} % different ones, and {{100 * judged["min-p"][2][0]:.0f}} % are right. It pays to ask of each word whether it is a serious rival.
# * top-k 4 is worse than temperature 0.6: it writes about as many different stories, and fewer of them are right. It keeps four words even where only one is right.
#   From `k = 8` on there is little between the roads of top-k and of temperature.
# * Right of the star the stories are **more** different than the language itself. That is not imagination. Nonsense is always different.
#
# ## 7. The cache: why writing need not start from the beginning each time
#
# To write word 20, the model reads the 19 words before it. To write word 21, it reads the same 19 words again, and one more. That is wasteful. What can be kept?
#
# Attention is causal: place 5 never looks at place 6. So nothing that was computed for the first 19 places changes when word 20 arrives. Is that true?

# %%
def keys_of(tokens):
    cache = model.new_cache(batch=1)
    model.step(tokens, cache)
    return cache.keys[:, 0, :tokens.shape[1]]  # (L, T, K, D)

short, longer = ids[:1, :8], ids[:1, :14]
assert np.allclose(keys_of(short), keys_of(longer)[:, :8], rtol=1e-12)
print("keys of the first 8 words, in a text of 8 and in a text of 14: the same")

# %% [markdown]
# What does the new place `t` need from the others? Look at its attention:
#
# ```math
# s_{tj} = \frac{1}{\sqrt{D}} \sum_d q_{td} \, k_{jd} \qquad o_t = \sum_{j \le t} p_{tj} \, v_j
# ```
#
# It needs a query only of its own; from the earlier places it needs their **keys and values**. An old query is never used again.
# So keep the keys and values of every layer, and run each new word alone through the model. That is the **key/value cache**.

# %%
def attend_with_cache(q, k, v, keys, values):
    """One head. q, k, v (D,) of the new place; keys, values: lists of those before."""
    keys.append(k)
    values.append(v)
    weights = softmax(np.array([key @ q for key in keys]) / np.sqrt(len(q)))
    return weights @ np.array(values)

from minigpt.nn.ops import attention_forward

q, k, v = np.random.default_rng(3).normal(size=(3, 6, 4))  # T = 6 places, D = 4
keys, values = [], []
one_by_one = [attend_with_cache(q[t], k[t], v[t], keys, values) for t in range(6)]
at_once, _ = attention_forward(*(x[None, :, None] for x in (q, k, v)))  # (1, T, 1, D)
assert np.allclose(one_by_one, at_once[0, :, 0], rtol=1e-12)
print("six places one by one, from the cache, and all at once: the same")

# %% [markdown]
# The same for the whole model. `model.step` reads new words into the cache and gives the logits of the next one:

# %%
cache = model.new_cache(batch=1)
for t in range(19):
    from_cache = model.step(ids[:1, t:t + 1], cache)  # one word
    from_scratch = model.forward(ids[:1, :t + 1])[0][:, -1]  # all words up to here
    assert np.allclose(from_cache, from_scratch, rtol=1e-9, atol=1e-9)
print("19 words, one at a time: the cache gives the same logits as the full forward")

# %%
big = Transformer(GPTConfig(vocab_size=512, block_size=512, n_layer=4, n_head=4, n_embd=128),
                  backend="numpy")
print(f"a larger model for a fair race: {big.num_parameters():,d} parameters")

# %% [markdown]
# Without the cache, writing `T` words means reading `1 + 2 + ... + T = T (T+1) / 2` words. With it, `T` words. How much faster is that?

# %% volatile
import time

def seconds_for(T, cached):
    text, cache, start = np.zeros((1, T), int), big.new_cache(1), time.perf_counter()
    for t in range(T):
        if cached:
            big.step(text[:, t:t + 1], cache)
        else:
            big.forward(text[:, :t + 1])
    return time.perf_counter() - start

with blas_threads(1):
    for T in (32, 64, 128):
        print(f"{T:4d} words: {T / seconds_for(T, False):5.0f} per second without, "
              f"{T / seconds_for(T, True):5.0f} with the cache")

# %% [markdown]
# Without the cache writing gets slower with every word. With it, the speed falls little or not at all.
#
# ## 8. What the cache costs, and grouped queries
#
# Nothing is free. The cache holds two vectors (key and value) for each place, in each layer: with `K` key heads of `D` numbers that is `2 L K D` numbers for each word.

# %%
def cache_bytes(n_layer, kv_heads, head_size, T, bytes_each):
    return 2 * n_layer * kv_heads * head_size * T * bytes_each

cache = big.new_cache(batch=1)
assert cache.keys.nbytes + cache.values.nbytes == cache_bytes(4, 4, 32, 512, 4)
for kv_heads in (96, 8):
    size = cache_bytes(96, kv_heads, 128, 2048, 2) / 1e9
    print(f"GPT-3, {kv_heads:2d} key heads: {size:.1f} GB for one text of 2048 words")

# %% [markdown]
# Ten billion bytes for one conversation, with 2 bytes for each number. And for each new word all of it must travel from the memory to the processor.
#
# The cure is to let several query heads share one key head: **grouped queries**. Only `K` shrinks, the number of questions stays. In the package it is one number of the configuration:

# %%
for kv_heads in (4, 2, 1):
    grouped = Transformer(GPTConfig(**shape, n_kv_head=kv_heads), dtype="float64", backend="numpy")
    cache = grouped.new_cache(batch=1)
    for t in range(19):
        from_cache = grouped.step(ids[:1, t:t + 1], cache)
    assert np.allclose(from_cache, grouped.forward(ids[:1, :19])[0][:, -1], rtol=1e-9, atol=1e-9)
    size = (cache.keys.nbytes + cache.values.nbytes) // (2 * shape["block_size"])
    print(f"{kv_heads} key heads for 4 query heads: {size} bytes per word and layer")

# %% [markdown]
# ## 9. Break it
#
# A repetition penalty sounds harmless: who likes repetitions? Let us turn it up.

# %% tolerance=0.08
for penalty in (1.0, 1.5, 2.0, 3.0):
    stories = write(temperature=0.7, repetition_penalty=penalty)
    right, _ = judge(stories)
    back = sum(story[4] in story[5:] for story in stories if len(story) > 5) / len(stories)
    print(f"penalty {penalty}: right {100 * right:3.0f} %, "
          f"the animal comes back in {100 * back:3.0f} %")

# %% [markdown]
# Our stories **must** repeat: the full stop comes three times, the animal twice. The penalty punishes what the language demands.
# It does the same to names, to brackets in a program, and to the word that an answer must quote. Use it with care, or not at all.
#
# Other edits to try, each with the result to expect:
#
# * Section 3: take `tau = 0.01` in `with_temperature`. Small probabilities to the power 100 become 0, which is harmless. With `tau = 0.0001` all of them do, and 0 divided by 0 is *nan*.
#   The package divides logits instead, after subtracting the largest.
# * Section 4: in `top_p` write the test before the addition. One word too many is kept each time, and the assertion in the next cell fails.
#   Take the assertion out as well, and after *says* there is a second word, a wrong one.
# * Section 7: start `cache` anew inside the loop. The assertion fails at the second word: the model has forgotten the first.
#
# ## 10. Exercises
