# title: Pretraining
# question: What does a minute of reading teach?
# needs: lessons 02, 07 and 08 (counting models and their loss, the GPT, the optimisers); the idea of a document's tokens from lesson 01
# builds: the rows that a model reads, the training loop, a gallery of samples at each level of the loss, a run that is cut off and goes on bit for bit, a picture of what is learned when
# minutes: 75
# files: train.batches train.trainer train.pretrain train.checkpoint files interop.safetensors interop.huggingface interop.families

# %% [markdown]
# ## 1. A teacher that costs nothing
#
# To learn a skill you need exercises with answers. Somebody has to write them, and that is slow and dear.
#
# But every text is full of exercises with answers. Cover the next word. Guess it. Uncover it. The answer was always there.
# Learning from text in this way is called **pretraining**. *Pre*, because it comes before anybody asks the model for anything.
#
# Our text is written by a program, `minigpt/world`. It tells stories, states facts, translates and chats, as much as we like.
# We read a small part of that world, with few words. A few of its documents:

# %%
import itertools
import textwrap

from minigpt.world import load_world, pretraining_documents, small_world

world = small_world(load_world())
documents = list(itertools.islice(pretraining_documents(world, seed=0), 2000))
for number in (0, 1, 6, 7):
    print(textwrap.fill(documents[number].strip(), 96) + "\n")

# %% [markdown]
# The kinds are mixed in fixed shares of the bytes, because a model learns what it reads, in the amount in which it reads it:

# %%
from minigpt.world.corpus import MIXTURE

for kind, (share, _) in MIXTURE.items():
    print(f"{kind:10s} {100 * share:3.0f} %  {'#' * round(100 * share)}")

# %% [markdown]
# Documents become tokens, as in lesson 01. And one document becomes many exercises:

# %%
from minigpt.text.template import SPECIAL_TOKENS
from minigpt.text.tokenizer import Tokenizer

V = 1024
tok = Tokenizer.train(documents, V, SPECIAL_TOKENS, split="han")
END = tok.special_tokens["<|endoftext|>"]
ids = tok.encode_ordinary(documents[7])
for t in range(1, 8):
    print(f"given {tok.decode(ids[:t])!r:35s} guess {tok.decode([ids[t]])!r}")
print(f"... {len(ids)} tokens in this document")

# %% [markdown]
# ## 2. The smallest wrong version: one document, one row
#
# A model reads rows of `T` tokens, several rows at once. All rows must be equally long. Documents are not:

# %%
T = 128
lengths = sorted(len(tok.encode_ordinary(document)) + 1 for document in documents)
print(f"tokens in a document: shortest {lengths[0]}, median {lengths[1000]}, longest {lengths[-1]}")
filled = sum(min(length, T) for length in lengths) / (T * len(lengths))
print(f"one document for each row of {T}: {100 * (1 - filled):.0f} % of all places are empty")
lost = sum(max(length - T, 0) for length in lengths) / sum(lengths)
print(f"and {100 * lost:.1f} % of the text is cut off")

# %% [markdown]
# A row for each document wastes nearly half of the work on nothing.
#
# The cure is simple. Write all documents one after the other into one long stream, with the token `<|endoftext|>` behind each.
# Then cut the stream into rows of `T + 1` tokens: the first `T` are read, the last `T` are to be guessed. The last token of a row is the first of the next row,
# so that each token but the first is a target once. Only what does not fill a row at the very end is dropped.

# %%
def stream_of(documents):
    ids, first = [], []  # first: a document begins here
    for document in documents:
        piece = tok.encode_ordinary(document) + [END]
        ids += piece
        first += [True] + [False] * (len(piece) - 1)
    return ids, first

def rows_of(ids):
    return [ids[r * T:(r + 1) * T + 1] for r in range((len(ids) - 1) // T)]

ids, first = stream_of(documents)
print(f"{len(ids)} tokens -> {len(rows_of(ids))} rows of {T} + 1, no place empty")

# %% [markdown]
# Now several documents share a row. Should a story look at the story before it? They have nothing to do with each other.
# If it could, the model would learn from accidents: *after a race comes a recipe*.
#
# So each place gets a number, its **start**: the place in the row where its own document begins. Attention looks no further back than that.
# And the first token of a document is not guessed at all, since nothing before it could tell.

# %%
def starts_of(first, r):
    starts, start = [], 0
    for t in range(T + 1):
        if t > 0 and first[r * T + t]:
            start = t
        starts.append(start)
    return starts

print("where documents start in row 3:", *sorted(set(starts_of(first, 3))))

# %%
from minigpt.train.batches import document_stream, rows_from_stream

tokens, begins = document_stream(documents, tok, tokens=len(ids))
rows = rows_from_stream(tokens, T, begins)
assert rows.tokens.tolist() == rows_of(ids)
assert rows.starts.tolist() == [starts_of(first, r) for r in range(len(rows))]
print("tokens and starts of", len(rows), "rows: equal to the package's")

# %% [markdown]
# Here is who may look at whom when three short documents share a row.

# %%
import numpy as np

short = ["Hot has the opposite cold.", "Paris is the capital of France.", "A lemon is yellow."]
tokens, begins = document_stream([f" {text}" for text in short], tok, 99)
starts = np.maximum.accumulate(np.where(begins, np.arange(len(tokens)), 0))
place = np.arange(len(tokens))
sees = (starts[:, None] <= place) & (place <= place[:, None])  # (asks, is looked at)
print(f"{len(tokens)} places; the last one sees {sees[-1].sum()} of them")

# %%
from pathlib import Path

from minigpt.show.plot import PALETTE, draw_map, new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure(width=6.6, height=5.4)
labels = [tok.decode([token]).strip() for token in tokens]
draw_map(axes, sees.astype(float), labels, labels, "1: may look, 0: may not")
axes.tick_params(labelsize=8)
axes.set(xlabel="the place that is looked at", ylabel="the place that asks")
save_svg(figure, FIGURES / "packed.svg", "Three triangles along the diagonal, one for each "
         "document: a place sees the earlier places of its own document and nothing else.")

# %% [markdown]
# Three triangles, no bridge between them. The package's version of the cut:
#
# {{include minigpt.train.batches:rows_from_stream}}
#
# ## 3. Which rows at step s?
#
# At each step the model reads a few rows. Which ones? They should come in a random order, and each row once before any row comes twice.
# One turn through all rows is called an **epoch**.
#
# The obvious way is to shuffle a list and walk through it. It has a fault that shows only on the day when the computer is switched off in the middle of a run:
# nobody knows any more how far the walk had come, or how the list had been shuffled.
# So the package does it without memory. The rows of step `s` are a function of `s` and the seed, and of nothing else:
#
# {{include minigpt.train.batches:batch_at}}
#
# {{include minigpt.train.batches:_order}}

# %%
from minigpt.nn.losses import cross_entropy
from minigpt.train import optim
from minigpt.train.batches import Rows, batch_at

once = np.concatenate([batch_at(step, rows, 1, seed=0).ids for step in range(len(rows))])
assert sorted(once.tolist()) == sorted(rows.tokens[:, :-1].tolist())  # each row once
assert np.array_equal(batch_at(70, rows, 1, seed=0).ids[0], once[70])  # asked again
print(f"{len(rows)} steps of one row read each row once, and the same way every time")

# %% [markdown]
# ## 4. The loop
#
# You know all parts of the loop. Read a batch, compute the loss, pass the blame back (lessons 03 to 07), clip, take a step (lesson 08). Again:

# %%
def my_train(model, rows, config):
    state, losses = optim.new_state(model.params), []
    for step in range(config.steps):
        batch = batch_at(step, rows, config.batch_tokens // T, config.seed)
        model.grads.flat[:] = 0.0
        logits, cache = model.forward(batch.ids, batch.starts)  # (B, T, V)
        loss, dlogits, _ = cross_entropy(logits, batch.targets, batch.mask)
        model.backward(dlogits, cache)
        optim.clip(model.grads, config.clip)
        optim.update(model.params, model.grads, state, config)
        losses.append(loss)
    return losses

print("that is all: a dozen lines")

# %%
import contextlib
import io
from dataclasses import replace

from minigpt.config import PRESETS, PRETRAIN
from minigpt.model import GPT
from minigpt.train.trainer import Run, evaluate_loss, train

def quiet_train(model, config, run):
    with contextlib.redirect_stdout(io.StringIO()):  # the trainer reports its speed
        return train(model, config, run)

shape = replace(PRESETS["nano"], vocab_size=V, block_size=T)
config = replace(PRETRAIN, tokens=6 * 256, batch_tokens=256, shards=1)
print(f"{config.steps} steps by {config.optimizer}, on rows of {T}, for a first comparison")

# %%
ours = my_train(GPT(shape, seed=1, dtype="float64", backend="numpy"), rows, config)
run = Run("try", lambda step: batch_at(step, rows, config.batch_tokens // T, config.seed))
theirs = quiet_train(GPT(shape, seed=1, dtype="float64", backend="numpy"), config, run)
assert np.allclose(ours, [entry["loss"] for entry in theirs], rtol=1e-9)
print("loss at each step, ours:   ", *(f"{loss:.4f}" for loss in ours))
print("loss at each step, package:", *(f"{entry['loss']:.4f}" for entry in theirs))

# %% [markdown]
# The package's loop does the same and five things more. Each answers a misfortune that happens in long runs.
#
# * A batch is cut into **shards**, so that two cores can work. Their gradients are always added in the same order, so that the result does not depend on who was faster.
# * It **evaluates** on text that is never trained on.
# * It stops at the first number that is **not finite**, and names the tensor.
# * It **saves**, and a signal such as Ctrl-C waits until a step is complete.
# * It writes a **log**, one line for each step.
#
# {{include minigpt.train.trainer:train}}
#
# ## 5. What would counting reach?
#
# A loss needs something to be compared with. We have two things. A model that knows nothing has `ln V`. And in lesson 02 we counted.
# So we count here too: on the same rows that our model will read, tested on the same held-out rows.

# %%
from minigpt.train import pretrain

TOKENS = 800_000
rows, validation = pretrain.world_rows(world, tok, TOKENS, T, seed=0)
words = sum(len(tok.decode(row[1:]).split()) for row in rows.tokens)
print(f"to read: {len(rows)} rows, {rows.tokens[:, 1:].size} tokens, about {words} words")
print(f"a person who reads 250 words a minute needs {words / 250 / 60:.0f} hours for that")
print(f"held out: {len(validation)} rows, drawn with another seed")

# %%
import math
from collections import Counter

def exercises(rows, n):
    """The n - 1 tokens before, and the token, of every target that counts."""
    for tokens, starts in zip(rows.tokens.tolist(), rows.starts.tolist()):
        for t in range(1, T + 1):
            if starts[t] < t:
                yield tuple(tokens[max(starts[t], t - n + 1):t]), tokens[t]

for before, token in itertools.islice(exercises(rows, n=3), 4):
    print(f"given {tok.decode(before)!r:15s} guess {tok.decode([token])!r}")

# %%
def counted_loss(n, a=0.001):
    both = Counter(exercises(rows, n))
    before = Counter()
    for (beginning, _), count in both.items():
        before[beginning] += count
    return np.mean([-math.log((both[pair] + a) / (before[pair[0]] + a * V))
                    for pair in exercises(validation, n)])

print(f"knowing nothing:     {math.log(V):.2f} nats per token")
counted = {n: counted_loss(n) for n in (1, 2, 3, 4, 5)}
for n, loss in counted.items():
    print(f"counting with n = {n}: {loss:.2f}")
best = min(counted, key=counted.get)

# %% [markdown]
# As in lesson 02, more memory helps until the beginnings get too rare. With `n = {{best}}` counting is at its best. That is the line to beat.
#
# ## 6. A minute of reading
#
# Now the real thing: the preset `tiny` of the package, the recipe of the package, and {{TOKENS}} tokens.
# On the way we evaluate every 20 steps, and whenever the held-out loss first falls below one of the levels in the list, we keep a copy of all weights.

# %%
LEVELS = (6.0, 5.0, 4.0, 3.0, 2.5, 2.0, 1.75, 1.5, 1.35)
shape = replace(PRESETS["tiny"], vocab_size=V, block_size=T)
config = replace(PRETRAIN, tokens=TOKENS, eval_every=20)
model = GPT(shape, seed=0)
kept = [(evaluate_loss(model, validation), model.params.flat.copy())]

def look(step, model):
    loss = evaluate_loss(model, validation)
    if any(loss < level <= kept[-1][0] for level in LEVELS):
        kept.append((loss, model.params.flat.copy()))
    return {"validation_loss": loss}

print(f"{model.num_parameters():,d} parameters, {config.steps} steps of {config.batch_tokens}")

# %% [markdown]
# *Is my loss normal?* is what people who train ask most. So the trainer can be told where earlier runs were: the loss of three runs with other seeds, and some room above and below.

# %% volatile
import time

BAND = {"validation_loss": {100: (2.5, 3.1), 400: (1.4, 1.8), 780: (1.0, 1.4)}}

def batch(step):
    return batch_at(step, rows, config.batch_tokens // T, config.seed)

said, began = io.StringIO(), time.perf_counter()
with contextlib.redirect_stdout(said):
    log = train(model, config, Run("reading", batch, on_eval=look, expected=BAND))
seconds = time.perf_counter() - began
print("\n".join(line for line in said.getvalue().split("\n") if "band" in line))
print(f"{seconds:.0f} seconds of reading, {config.tokens / seconds:,.0f} tokens a second")

# %% tolerance=0.1
kept.append((evaluate_loss(model, validation), model.params.flat.copy()))
for step in (1, 10, min(100, len(log)), len(log) // 2, len(log)):
    print(f"step {step:3d}: loss {log[step - 1]['loss']:.2f}")
print(f"held-out loss at the end: {kept[-1][0]:.2f}; counting at its best: {counted[best]:.2f}")

# %% volatile
import json

from minigpt.files import find_folder

shipped = find_folder("micro-base")  # a longer run, made in the same way; its log is shipped too
real = [json.loads(line) for line in (shipped / "log.jsonl").read_text().splitlines()]
held_out = [(e["tokens"], e["validation_loss"]) for e in log if "validation_loss" in e]
for n, line in counted.items():
    after = next((tokens for tokens, loss in held_out if loss < line), "more")
    print(f"better than counting with n = {n} after {after} tokens of reading")

# %% volatile
figure, (left, right) = new_figure(columns=2, height=3.8, sharey=True)
left.plot(*zip(*((e["tokens"], e["loss"]) for e in log)), color=PALETTE[5], label="each batch")
left.plot(*zip(*held_out), color=PALETTE[0], label="held-out text")
for loss, style, label in ((math.log(V), ":", "ln V"), (counted[1], "-.", "counting, n = 1"),
                           (counted[best], "--", f"counting, n = {best}")):
    left.axhline(loss, color="black", linestyle=style, label=label)
right.plot(*zip(*((e["tokens"], e["loss"]) for e in real)), color=PALETTE[3])
left.set(xlabel="tokens read", ylabel="loss (nats per token)", title="this lesson's run")
right.set(xlabel="tokens read", title="the run of micro-base")
for axes in (left, right):
    axes.set_xscale("log")
left.legend(fontsize=9)
save_svg(figure, FIGURES / "curve.svg", "Left: the loss falls from ln V through the lines of "
         "counting. Right: the same shape in the longer run of the shipped base model.")

# %% [markdown]
# The axis is logarithmic: each step to the right is ten times the reading. The curve has a shape that every pretraining has.
# It begins at `ln V`. It falls steeply while the model learns which tokens are common, slower while it learns which follow which, and ever slower from there.
# It soon passes the line of the best counting, and then goes where counting cannot follow.
#
# On the right is the run that made the checkpoint `micro-base`. (Its tokens are others, so its losses cannot be compared with ours number by number. Lesson 02 said why.)
#
# The loss will never reach 0. Who wins the race, or which name is invented, nobody can know beforehand. That part of the loss is the text's own.
#
# ## 7. The gallery: what does a loss look like?
#
# A loss of 3, is that good? Numbers are hard to feel. So let each of the kept copies write. They all begin with the word *Last*,
# as many of our stories do, and draw each next token by its probability.

# %% volatile
from minigpt.config import SampleConfig
from minigpt.sample.generate import generate

def write(weights, count=1, length=50):
    model.params.flat[:] = weights
    start = tok.encode(" Last")
    rows = generate(model, [start] * count, SampleConfig(max_new_tokens=length, seed=3), {END})
    return ["Last" + tok.decode(row.ids).replace("\n", " / ") for row in rows]

for loss, weights in kept:
    print(f"this is what {loss:.2f} looks like:")
    print(textwrap.fill(write(weights)[0], 92, initial_indent="    ", subsequent_indent="    "))

# %% [markdown]
# Read it slowly from top to bottom. It is the biography of a language model. At `ln V` it throws letters about, and pieces of Chinese characters. (A � stands for a piece of one.)
# Then it has noticed which tokens are common. Then which tokens follow each other: words appear, then phrases, then sentences.
# Last comes what binds sentences together: the same person and the same thing from beginning to end. Even our last copy often loses them.
#
# And with several times the parameters and more reading? This is the shipped base model:

# %% volatile
from minigpt import InstructGPT

base = InstructGPT.from_pretrained("micro-base")
start = [base.tokenizer.encode(" Last")] * 2
settled = [e["validation_loss"] for e in real if "validation_loss" in e][-1]
print(f"this is what {settled:.2f} looks like (nats per token of its own vocabulary):")
for text in generate(base.model, start, SampleConfig(max_new_tokens=60, seed=3), base.stop):
    print(textwrap.fill("Last" + base.tokenizer.decode(text.ids), 96) + "\n")

# %% [markdown]
# Does it write, or does it recite? We look at 60 samples of every second copy and of the last. How many of their words exist in the text that it has read?
# How many pairs of neighbouring words? And how many whole sentences?

# %% volatile
def pairs_of(text):
    return list(zip(text.split(), text.split()[1:]))

read = [tok.decode(row) for row in rows.tokens]
old_text, old_words = "\n".join(read), {word for text in read for word in text.split()}
old_pairs = {pair for text in read for pair in pairs_of(text)}
print(len(old_words), "different words were read, and", len(old_pairs), "different pairs")

# %% volatile
for loss, weights in kept[:-1:2] + kept[-1:]:
    texts = [text.rpartition(". ")[0] for text in write(weights, 60, 60)]
    singles = [word in old_words for text in texts for word in text.split()]
    double = [pair in old_pairs for text in texts for pair in pairs_of(text)]
    said = [s in old_text for text in texts for s in text.split(". ") if len(s.split()) > 5]
    seen = {"words": singles, "pairs": double, "sentences": said}
    print(f"loss {loss:.2f}: read before:",
          ", ".join(f"{100 * np.mean(v or [0]):3.0f} % of {name}" for name, v in seen.items()))

# %% [markdown]
# Words come first, then pairs, then sentences. (The words that it has not read are mostly names. This world invents names, so the model invents them too.)
# But even at the end most of its sentences are new. It does not recite. It has learned how sentences are made.
#
# ## 8. What is learned when?
#
# A base model cannot be asked. But we can look at what it finds likely. Four small examinations, each made of text to be continued:
#
# * **grammar**: two sentences that differ in one word, *Does Tom have a kite?* and *Does Tom has a kite?* Which is likelier? A coin gets 50 %.
#   (Before any reading our model is no coin. Each token costs it about the same,
#   so it prefers the sentence with fewer tokens, and that is more often the right one than the wrong one.)
# * **copying**: a name that the model has never seen must stand again, letter by letter, in the Chinese translation.
# * **words**: *In Chinese, kite is ...*
# * **facts**: *The capital of France is ...*

# %%
FRAMES = [("{n} has a {c} {t}.", "has", "have"), ("Does {n} have a {c} {t}?", "have", "has"),
          ("{n} and {m} were in the {p}.", "were", "was"), ("This is {n}'s {t}.", "'s", ""),
          ("{n} went to the {p} last week.", "went", "go"), ("{n} was very happy.", "was", "were"),
          ("{n} will go to the {p} next week.", "go", "went"), ("{n} took it.", "took", "take"),
          ("{n} gave {m} a {c} {t} last week.", "gave", "give")]
print(len(FRAMES), "rules, such as", FRAMES[1])

# %%
import random

rng, pairs = random.Random(0), []
lists = dict(n=world.names, m=world.names, c=world.words["colour"],
             t=world.words["toy"], p=world.words["outdoor"])
for frame, right, wrong in FRAMES * 6:
    good = " " + frame.format(**{slot: rng.choice(words)["en"] for slot, words in lists.items()})
    pairs.append((good, good.replace(right, wrong, 1)))
print(len(pairs), "pairs, such as", pairs[1])

# %%
from minigpt.world.facts import statements
from minigpt.world.names import TRAINED_SHAPES, invent_name

new = [invent_name(rng, "dev", TRAINED_SHAPES, world.avoid)["en"] for _ in range(40)]  # held out
copying = [(f" {name} went to the park last week. In Chinese: 上周", f" {name}") for name in new]
nouns = world.words["objects"] + world.words["animals"] + world.words["outdoor"]
words = [(f" In Chinese, {noun['en']} is", f" {noun['zh']}") for noun in nouns]
facts = []
for fact in world.facts:
    statement = " " + statements(world, fact)[0]  # its value stands at the end
    facts.append((statement[:statement.rindex(fact.value) - 1], f" {fact.value}."))
for questions in (copying, words, facts):
    print(len(questions), "such as", questions[0])

# %%
from minigpt.sample.explain import continuation_logprobs

def likelihood(gpt, text):
    ids = gpt.tokenizer.encode(text)
    return continuation_logprobs(gpt.model, ids[:1], ids[1:]).sum()

def knows(gpt, prompt, answer):
    """Is each token of the answer the likeliest one, given the prompt and the answer so far?"""
    prompt, answer = gpt.tokenizer.encode(prompt), gpt.tokenizer.encode(answer)
    logits, _ = gpt.model.forward(np.array([prompt + answer]))  # (1, T, V)
    return logits[0, len(prompt) - 1:-1].argmax(axis=-1).tolist() == answer

ours = InstructGPT(model, tok)
print("ours, after the last step:", [knows(ours, *items[0]) for items in (copying, words, facts)])

# %% volatile
def marks(gpt):
    right = np.mean([likelihood(gpt, good) > likelihood(gpt, bad) for good, bad in pairs])
    return 100 * np.array([right] + [np.mean([knows(gpt, *item) for item in items])
                                     for items in (copying, words, facts)])

examined = []
print("held-out loss: grammar, copying, words, facts (% right)")
for loss, weights in kept:
    model.params.flat[:] = weights
    examined.append(marks(ours))
    print(f"{loss:13.2f}:", "  ".join(f"{mark:5.0f}" for mark in examined[-1]))
print("the shipped base:", "  ".join(f"{mark:.0f}" for mark in marks(base)))

# %% volatile
figure, axes = new_figure(height=3.8)
losses = [loss for loss, _ in kept]
for curve, label, style in zip(np.array(examined).T, ("grammar", "copying a new name",
                               "words in Chinese", "facts"), ("o-", "s--", "^-.", "D:")):
    axes.plot(losses, curve, style, label=label)
axes.axhline(50, color="black", linewidth=0.8)
axes.text(6.95, 43, "a coin's mark in grammar", fontsize=9)
axes.set(xlabel="held-out loss (nats per token)", ylabel="right (%)", ylim=(-3, 103))
axes.invert_xaxis()
axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.06), fontsize=10)
save_svg(figure, FIGURES / "exams.svg", "Marks in four examinations against the loss, which "
         "falls to the right. Grammar rises first, the others only at low losses.")

# %% [markdown]
# The loss is one number, and it fell smoothly. Under it things happen one after the other.
#
# * **Grammar** comes first. It needs only the words nearby, and every sentence is an exercise for it.
# * **Facts** come late, and then many at once. Each fact is read many times, in several wordings, before the model can use it. Then, in the middle of the run, it learns nearly all of them.
# * **Words** of the other language are rarer, and each is made of several tokens. They come later than the facts, and a minute does not reach all of them.
# * **Copying** a name that it has never seen is no knowledge at all but a skill: look back, find where the name stood, take its next letter. A minute is too short for it.
#   The last line shows how far the shipped base model has come, which has read longer and has more parameters.
#   That it knows fewer of these *facts* than ours does not make it the worse model: it has read of all the {{len(load_world().facts):,}} facts of the world, of which these are a few.
#
# ## 9. It knows, but it does not answer
#
# So our model knows facts. Let us ask for them, in three ways:
#
# * as text to be continued: *The capital of France is*
# * as text that looks like a quiz, which occurs now and then in what it has read: *Question: ... Answer:*
# * as a user of a chat would, with the special tokens of lesson 01: `<|user|> What is the capital of France?<|end|><|assistant|>`

# %%
from minigpt.text.template import render
from minigpt.world.facts import question

asked = [question(world, fact, rng) for fact in world.facts]
ways = {"go on": [tok.encode(prompt) for prompt, _ in facts],
        "quiz": [tok.encode(f" Question: {text} Answer:") for text in asked],
        "chat": [render([{"role": "user", "content": text}], tok, add_generation_prompt=True)[0]
                 for text in asked]}
for way, prompts in ways.items():
    print(f"{way:6s}", repr(tok.decode(prompts[0])))

# %% volatile
model.params.flat[:] = kept[-1][1]
greedy = SampleConfig(temperature=0.0, max_new_tokens=16)
for way, prompts in ways.items():
    written = [tok.decode(row.ids) for row in generate(model, prompts, greedy, {END})]
    firsts = [text.split("\n")[0].lower() for text in written]
    right = [fact.value.lower() in text.split(".")[0] for fact, text in zip(world.facts, firsts)]
    print(f"asked as {way:6s} right {100 * np.mean(right):3.0f} %; for example", repr(written[0]))

# %% [markdown]
# The knowledge is there. The first way gets it out. The last way gets next to nothing out: the model has read people talk, but never a chat in this form.
# It does not even know the special tokens of a chat: it has never read one of them, and as outputs they were only ever made unlikely.
# It takes the question for a piece of text and goes on with some other text.
#
# This is the reason for instruction tuning in one table. The base model **knows**. It does not **answer**, because nobody has shown it that it should.
# For GPT-3 the showing cost little: 4.9 petaflop/s-days of arithmetic, against 3640 for the reading (Ouyang and others, 2022). It is the subject of lesson 12.
#
# ## 10. Neighbours
#
# Each token has a vector, its row in the table `wte`. At the beginning the rows were random. What did reading make of them?
# We measure how similar two rows are by the cosine of the angle between them: 1 means the same direction. (First we subtract the mean of all rows, which they share.)

# %% volatile
table = model.params["wte.weight"] - model.params["wte.weight"].mean(axis=0)  # (V, C)
table = table / np.linalg.norm(table, axis=1, keepdims=True)

def neighbours(word, count=5):
    cosines = table @ table[tok.encode(word)[0]]  # (V,)
    best = np.argsort(-cosines)[1:count + 1]
    return ", ".join(f"{tok.decode([i]).strip()} {cosines[i]:.2f}" for i in best)

for word in (" red", " park", " Monday", " Tom", " seven", " happy", " gave", " big"):
    print(f"{word:8s} {neighbours(word)}")

# %% [markdown]
# Nobody told it what a colour is. But *red* and *blue* stand in the same places of sentences, so the same blame pulled at both rows.
#
# Four groups of words, each against each:

# %% volatile
GROUPS = dict(names="Tom Jack Leo Max Eric", places="park garden field river lake",
              colours="red blue green white black", numbers="three five six seven nine")
members = " ".join(GROUPS.values()).split()
chosen = table[[tok.encode(f" {word}")[0] for word in members]]  # (words, C)
cosines = chosen @ chosen.T
figure, axes = new_figure(width=6.6, height=5.4)
draw_map(axes, cosines, members, members, "cosine of the angle", vmin=-0.2, vmax=1)
save_svg(figure, FIGURES / "neighbours.svg", "Cosines between twenty words. Four bright squares "
         "along the diagonal: names, places, colours and numbers; darker elsewhere.")

# %% [markdown]
# ## 11. Cut off, and going on
#
# A long run will be interrupted: the computer restarts, the power fails, somebody needs the machine. A run that must start anew each time may never end.
#
# So the trainer saves everything that the next step depends on. What is that? Not only the weights:
#
# * the optimiser's two averages for each weight (lesson 08);
# * the number of the step, and with it the learning rate and, since `batch_at` has no memory, the data;
# * the settings and a fingerprint of the data, so that nobody goes on with other ones by mistake.
#
# A promise: a run that is cut off and resumed gives the **same** model as one that was not, to the last bit. We pull the plug at step 25.

# %%
small = replace(PRESETS["nano"], vocab_size=V, block_size=T)
plan = replace(PRETRAIN, tokens=40 * 256, batch_tokens=256, save_every=10)

def nano_run(folder, plug=None, plan=plan):
    def batch(step):
        if step == plug:
            raise RuntimeError("the plug was pulled")
        return batch_at(step, rows, 2, seed=0)

    nano = GPT(small, seed=0)
    losses = quiet_train(nano, plan, Run("nano", batch, Path(folder), {"text": "small world"}))
    return nano, losses

print(f"{plan.steps} steps, saved after every {plan.save_every}")

# %% tolerance=0.05
import os
import tempfile

with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
    straight, _ = nano_run(one)
    try:
        nano_run(two, plug=25)
    except RuntimeError as error:
        print(f"step 25: {error}; left behind:", *sorted(os.listdir(two)))
    resumed, losses = nano_run(two)
assert np.array_equal(straight.params.flat, resumed.params.flat)  # every bit
print(f"straight through and resumed: equal in all {resumed.params.flat.size} numbers")

# %% [markdown]
# Equal to the last bit.
#
# What if only the weights were saved, as one might think enough? We make a run of 20 steps, and then another of 20 from its weights alone.
# (On the way we also try to go on with another learning rate.)

# %% tolerance=0.05
with tempfile.TemporaryDirectory() as folder:
    shorter = replace(plan, tokens=20 * 256)
    half, _ = nano_run(folder, plan=shorter)
    try:
        nano_run(folder, plan=replace(shorter, lr=0.1))
    except ValueError as error:
        print("refused:", str(error).partition(" was ")[2].partition(";")[0])
    amnesia = quiet_train(half, shorter, Run("nano", lambda step: batch_at(step, rows, 2, seed=0)))
print(f"last loss: {losses[-1]['loss']:.2f} resumed, {amnesia[-1]['loss']:.2f} with weights alone")
same = np.mean(half.params.flat == straight.params.flat)
print(f"numbers that are the same with weights alone: {100 * same:.0f} %")

# %% [markdown]
# Other settings are refused, with one line that says what has changed. And the weights alone gave another model: hardly a number is the same.
#
# Look at the losses, though: they do not tell. That is what makes this mistake so common. The optimiser's averages began at 0 again, the learning rate fell to its end twice instead of once,
# the same rows were read twice and others never. Nothing crashes. The run is simply not the one that was planned, and nobody can repeat it.
#
# ## 12. How much text for how large a model?
#
# Our text never ends, since a program writes it. Real text does end. What if we had less of it, and read it more than once?
# Three runs of the same length. The first reads each row once. The second has an eighth of the rows, the third a 64th.

# %% tolerance=0.15
STEPS = 120
brief = replace(PRETRAIN, tokens=STEPS * 1024, eval_every=20)
curves = {}
for part in (1, 8, 64):
    fewer = Rows(rows.tokens[:STEPS * 8 // part], rows.starts[:STEPS * 8 // part])
    pupil = GPT(shape, seed=0)
    curves[part] = quiet_train(pupil, brief, Run("again", lambda step: batch_at(step, fewer, 8, 0),
        on_eval=lambda step, model: {"held_out": evaluate_loss(model, validation, most=16)}))
    train_loss = np.mean([entry["loss"] for entry in curves[part][-10:]])
    print(f"read {part:2d} times: loss {train_loss:.2f} on rows as they were read, "
          f"{curves[part][-1]['held_out']:.2f} on new text")

# %% volatile
figure, axes = new_figure()
for (part, curve), colour in zip(curves.items(), PALETTE):
    tokens = [entry["tokens"] for entry in curve]
    axes.plot(tokens, [entry["loss"] for entry in curve], ":", color=colour, linewidth=1)
    new = [(entry["tokens"], entry["held_out"]) for entry in curve if "held_out" in entry]
    axes.plot(*zip(*new), "o-", color=colour, label=f"each row {part} times")
axes.set(xlabel="tokens read", ylabel="loss (nats per token)", ylim=(0, None))
axes.legend(title="loss on new text; dotted: on rows as they were read", loc="lower center",
            bbox_to_anchor=(0.5, 1.0), ncols=3)
save_svg(figure, FIGURES / "again.svg", "Loss against tokens for three amounts of text. With "
         "each row read once, both losses fall together. With each row read 64 times, the loss "
         "on what was read goes to 0 and the loss on new text rises.")

# %% [markdown]
# To read a text eight times is worse than to read eight times as much text once ({{curves[8][-1]["held_out"]:.2f}} against {{curves[1][-1]["held_out"]:.2f}}). To read it 64 times is a disaster. The model then knows its rows by heart, and on new text it soon gets **worse** and worse.
# (The first number is taken just before a row is learned from. Where each row comes once, it is a loss on new text as well, on other rows.)
# It is the curve of lesson 02 again: counting too finely, and learning by heart, are the same mistake.
#
# So how much text does a model want? A rule of thumb was measured in 2022 (Hoffmann and others, *Chinchilla*): for the best use of a given amount of arithmetic,
# read about 20 tokens for each parameter. A larger model with less text, or a smaller one with more, ends with a higher loss for the same cost. (Lesson 07: the cost is about `6 N D` operations, for `N` parameters and `D` tokens.)

# %%
from minigpt.files import read_json

real_tokens = read_json(shipped / "train.json")["train"]["tokens"]
runs = {"this lesson": (model.num_parameters(), TOKENS),
        "micro-base": (base.model.num_parameters(), real_tokens),
        "GPT-3": (175e9, 300e9), "Chinchilla": (70e9, 1.4e12)}
for name, (N, D) in runs.items():
    print(f"{name:11s} {N:15,.0f} parameters, {D:17,.0f} tokens: {D / N:4.1f} for each, "
          f"{6 * N * D:.0e} operations")

# %% [markdown]
# By this rule GPT-3, the body of InstructGPT, read rather little for its size. So did the model of this lesson, which had to be ready in a minute.
# If you have more patience, give a model like ours more text before you give it more layers.
#
# ## 13. Break it
#
# The rows come in a random order. Is that necessary? We read tidily instead: first all facts, then all stories. And for comparison the same rows mixed.

# %%
def rows_of_kind(kind, seed, tokens):
    rng = random.Random(seed)
    endless = (MIXTURE[kind][1](world, rng) for _ in itertools.count())
    stream, begins = document_stream(endless, tok, tokens)
    return rows_from_stream(stream, T, begins)

kinds = ("facts", "stories")
first_half, second_half = (rows_of_kind(kind, 1, 48_000) for kind in kinds)
tests = {kind: rows_of_kind(kind, 2, 4000) for kind in kinds}
tidy = Rows(np.concatenate([first_half.tokens, second_half.tokens]),
            np.concatenate([first_half.starts, second_half.starts]))
print(f"{len(first_half)} rows of facts, then {len(second_half)} rows of stories")

# %% tolerance=0.15
def read_in_order(batch):
    def losses(step, model):
        return {kind: evaluate_loss(model, test) for kind, test in tests.items()}

    steps = len(tidy) // 8
    recipe = replace(PRETRAIN, tokens=steps * 1024, eval_every=len(first_half) // 8)
    found = [entry for entry in quiet_train(GPT(shape), recipe, Run("order", batch, on_eval=losses))
             if "facts" in entry]
    return found[0], found[-1]

for label, batch in (("tidy", lambda step: tidy.batch(np.arange(8 * step, 8 * step + 8))),
                     ("mixed", lambda step: batch_at(step, tidy, 8, seed=0))):
    for when, entry in zip(("half way", "at the end"), read_in_order(batch)):
        print(f"{label:5s} {when:10s} loss on facts {entry['facts']:.2f}, "
              f"on stories {entry['stories']:.2f}")

# %% [markdown]
# Read tidily, the facts are learned well, and then **forgotten**. While the model reads stories, nothing holds the facts in place, and the blame of the stories pulls the same weights elsewhere.
# Mixed, both kinds stay. This is called catastrophic forgetting. It comes back in lesson 12: there the model learns to answer, and must not forget what it has read.
#
# Other edits to try, each with the result to expect:
#
# * Section 5: set `TOKENS = 100_000`. Now the run ends **above** the best line of counting. With little text a table of counts is the better model.
# * Section 6: set `batch_tokens=8192` in `config`. As much is read, in an eighth of the steps, and the loss ends much higher. In a short run many small steps beat few exact ones.
# * Section 6: at the end compute `evaluate_loss(model, Rows(validation.tokens))`, the held-out rows without their starts. The loss is higher:
#   documents now look into each other, and each first token must be guessed from the end of another text.
# * Section 4: leave out `batch.starts` in `my_train`. The assertion in the cell below fails at the first step.
#
# ## 14. Exercises
