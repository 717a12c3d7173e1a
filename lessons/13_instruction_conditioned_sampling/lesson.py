# title: Instruction-conditioned sampling
# question: One model, many jobs. Where does the instruction enter the mathematics?
# needs: lessons 11 and 12 (sampling, instruction tuning); logarithms
# builds: P(answer given instruction) as a table, equal to the sampler's; the same answer without the instruction and with a wrong one; base against tuned, seen against unseen, one generalist against five specialists, all with intervals
# minutes: 75
# files: sample.explain

# %% [markdown]
# ## 1. An answer has a probability
#
# The tuned checkpoint `micro` is asked a question. It reads the question as the chat template writes it (lesson 12), and then writes token by token until it says `<|end|>`:

# %%
from minigpt.model import InstructGPT

gpt = InstructGPT.from_pretrained("micro")
tok, model = gpt.tokenizer, gpt.model

def user(text):
    return {"role": "user", "content": text}

question = [user("What is the capital of Japan?")]
said = gpt.generations([question], max_new_tokens=32)[0]  # greedy
answer = said.ids + said.stopped
print("it reads: ", tok.decode(said.prompt))
print("it writes:", tok.decode(answer))

# %% [markdown]
# Which part of the program knows that this is an instruction? None. The network gets one row of tokens and gives probabilities for the next one.
# An instruction is the **beginning of the text**, and an answer is how the text goes on.
#
# Write the answer's tokens as `w_1`, `w_2`, up to `w_T`, where `w_T` is the end token, and the instruction as `i`. The probability of the whole answer is a product, as in lesson 02:
#
# ```math
# P(w_1 \dots w_T \mid i) = \prod_{t=1}^{T} P(w_t \mid w_1 \dots w_{t-1}, \; i)
# ```
#
# This one line is what an InstructGPT computes. This lesson looks at it from all sides.
#
# A product of many small numbers becomes too small for a computer. So we add logarithms instead:
#
# ```math
# \log P(w_1 \dots w_T \mid i) = \sum_{t=1}^{T} \log P(w_t \mid w_1 \dots w_{t-1}, \; i)
# ```
#
# ## 2. The smallest version: one token at a time
#
# For each token of the answer, the model reads the instruction and the tokens before it. The last row of logits, through a softmax, says how likely each next token is. We look up the one that came.

# %% tolerance=0.02
import numpy as np

def log_softmax(scores):
    scores = scores.astype(np.float64) - scores.max()
    return scores - np.log(np.exp(scores).sum())

def token_by_token(prompt, answer):
    logp = []
    for t, token in enumerate(answer):
        logits, _ = model.forward(np.array([prompt + answer[:t]]))  # (1, n + t, V)
        logp.append(log_softmax(logits[0, -1])[token])
    return np.array(logp)  # (T,)

slow = token_by_token(said.prompt, answer)
print(f"log P of the whole answer: {slow.sum():.2f}, so P = {np.exp(slow.sum()):.2f}")

# %% tolerance=0.02
print(" t  token w_t        P    log P   running sum")
for t, (token, logp, total) in enumerate(zip(answer, slow, slow.cumsum()), 1):
    print(f"{t:2d}  {tok.decode([token]):10s} {np.exp(logp):7.4f} {logp:8.4f} {total:10.4f}")

# %% [markdown]
# Each row is one factor of the product. The running sum in the last row is the logarithm of the probability of the whole answer, its end included.
#
# ## 3. The same in one pass, and the sampler agrees
#
# That was wasteful: for `T` tokens the model read the instruction `T` times. But attention is causal. What stands at place 7 does not change when place 8 is added.
# So one forward pass over instruction **and** answer gives all rows at once. Row `t` predicts token `t + 1`, so the first row that we need is the one of the **last token of the instruction**:

# %%
def in_one_pass(prompt, answer):
    ids = np.array([prompt + answer])  # (1, n + T)
    logits, _ = model.forward(ids[:, :-1])  # (1, n + T - 1, V)
    rows = logits[0, len(prompt) - 1:]  # (T, V)
    return np.array([log_softmax(row)[token] for row, token in zip(rows, answer)])

from minigpt.sample.explain import continuation_logprobs

once = in_one_pass(said.prompt, answer)
assert np.allclose(once, slow, atol=1e-3)
assert np.allclose(once, continuation_logprobs(model, said.prompt, answer), atol=1e-6)
assert np.allclose(once, said.logprobs, atol=1e-3)
print("token by token, in one pass, by the package, by the sampler: the same", len(once), "numbers")

# %% [markdown]
# The last assertion matters most. `said.logprobs` are the numbers that the **sampler** saw while it wrote, with a key/value cache, one token at a time. They come from another route through the code, and they agree.
#
# {{include minigpt.sample.explain:continuation_logprobs}}
#
# The package prints the whole table, and compares with other instructions. `python -m minigpt answer --explain "..."` does it for any question of yours.

# %% tolerance=0.05
from minigpt.sample.explain import explain

other = [user("What is the capital of France?")]
print(explain(gpt, said, {"no instruction": [], "another instruction": other}))

# %% [markdown]
# ## 4. Against no instruction, and against a wrong one
#
# The second table asks a strange question: how likely is **this** answer, if nobody had asked? Or if something else had been asked? The answer stays, the condition changes:
#
# * *no instruction*: the text begins with `<|assistant|>`,
# * *another instruction*: the model is asked about France and is made to talk about Japan.
#
# What does the model say when nobody has asked anything? We let it speak four times.

# %% volatile
for spoken in gpt.generations([[]] * 4, temperature=1.0, seed=5, max_new_tokens=40):
    print("*", tok.decode(spoken.ids).strip())

# %% [markdown]
# No conversation begins with an answer, so the model has never been in this place, and mostly it says pieces of nothing. Where words come, they are drawn from all its jobs. An instruction puts another distribution in the place of this one.
#
# Which tokens does it decide? We measure surprise in bits. One bit is one coin that must fall right, and `k` bits are `k` coins:
#
# ```math
# s_t = - \log_2 P(w_t \mid w_1 \dots w_{t-1}, \; i)
# ```

# %% tolerance=0.05
prompts = {"this instruction": said.prompt, "no instruction": gpt.prompt([]),
           "another instruction": gpt.prompt(other)}
bits = {name: -in_one_pass(prompt, answer) / np.log(2) for name, prompt in prompts.items()}
for name, surprise in bits.items():
    print(f"{name:20s} {surprise.sum():6.1f} bits for the whole answer")
gain = bits["no instruction"].sum() - bits["this instruction"].sum()
worst = bits["another instruction"].argmax()  # the token that a wrong instruction makes dearest

# %% tolerance=0.1
from pathlib import Path

from minigpt.show.plot import PALETTE, draw_map, new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure(height=3.4)
places = np.arange(len(answer))
for shift, (name, surprise) in zip((-0.27, 0.0, 0.27), bits.items()):
    axes.bar(places + shift, surprise, 0.25, label=name)
axes.set_xticks(places, [tok.decode([token]) for token in answer])
axes.set(ylabel="surprise (bits)", axisbelow=True)
axes.legend()
save_svg(figure, FIGURES / "surprise.svg", "Surprise of each token of the answer, under three "
         "conditions. Under its own instruction nearly nothing surprises. Under another one, or "
         "without any, some tokens cost many bits.")

# %% [markdown] tolerance=0.1
# The instruction saves {{gain:.1f}} bits. So it makes this answer about 2 to the power {{gain:.0f}} times as likely as it is without. (Under it the bars are too low to be seen.)
# But the two strange conditions are strange in different ways.
#
# * *Another instruction* asks for a sentence of the same form. Grammar is cheap, and one token gives the subject away: `{{tok.decode([answer[worst]]).strip()}}` costs {{bits["another instruction"][worst]:.1f}} of all {{bits["another instruction"].sum():.1f}} bits.
#   Tokens after it may be cheap again. They are conditioned on the instruction **and** on all tokens so far, so the subject is no news to them.
# * *No instruction* is a place where the model has never been: no conversation begins with an answer.
#   There, not only the subject may be a surprise, but also that such a sentence comes at all, or that it ends.
#
# ## 5. The product is a frequency
#
# Is the product more than a formula? A probability of 0.5 says: in half of all draws. That can be tried.
# We look for a question of which the model is unsure, let it answer 400 times at temperature 1, and count.

# %%
from dataclasses import replace

from minigpt.world import examples, load_world, small_world

JOBS = ("summarise", "translate", "answer", "write", "chat")
world = replace(load_world(), families=JOBS)
pool = examples(world, "answer", "dev", 60, 4) + examples(world, "chat", "dev", 60, 4)
sure = [np.exp(sum(g.logprobs)) for g in gpt.generations([e.messages for e in pool])]
unsure = pool[int(np.argmin(np.abs(np.array(sure) - 0.5)))]
print("\n".join(m["content"] for m in unsure.messages))

# %% tolerance=0.1
from collections import Counter

from minigpt.evaluate.metrics import wilson

drawn = gpt.generations([unsure.messages] * 400, temperature=1.0, seed=0, max_new_tokens=40)
counts = Counter(tuple(g.ids + g.stopped) for g in drawn)
for ids, count in [pair for pair in counts.most_common(4) if pair[1] >= 10]:  # not by luck
    p = np.exp(in_one_pass(drawn[0].prompt, list(ids)).sum())
    low, high = wilson(count, 400)
    certain = wilson(count, 400, z=5)  # wrong once in a million
    assert certain[0] <= p <= certain[1]
    print(f"product {p:.3f}, drawn {count:3d} of 400, 95 % interval {low:.3f} to {high:.3f}:"
          f"{tok.decode(ids)}")

# %% [markdown]
# The product predicts how often each whole answer comes, although nobody ever computed a distribution over whole answers. There are more of them than atoms in the world. The factors are enough.
#
# (The interval is Wilson's: where the true share lies, 19 times out of 20, if `count` of `n` draws had the answer. One of twenty intervals misses. The assertion uses a wider one.)
#
# ## 6. One model, five jobs
#
# Summarise, translate, answer, write, chat: the weights are the same, the code is the same, there is no switch. Only `i` differs. Here is one held-out example of each, with the verdict of the world's verifier.
# The verdict says whether the answer does all that was asked.

# %% volatile
import textwrap

from minigpt.world import verify

jobs = {name: examples(world, name, "dev", 3, seed=2)[1] for name in JOBS}
replies = {name: gpt.generations([e.messages], max_new_tokens=104)[0] for name, e in jobs.items()}
for name, example in jobs.items():
    text = tok.decode(replies[name].ids).strip()
    print(f"{name}, {'right' if verify(example, text) else 'wrong'}:")
    for who, line in [*((m["role"], m["content"]) for m in example.messages), ("assistant", text)]:
        print(textwrap.fill(f"{who}: {line}", 92, initial_indent="  ", subsequent_indent="    "))

# %% [markdown]
# The model was also taught to **refuse**. It does not help with what does harm, and it does not make up what lies outside its world.
# A model that refuses everything is as useless as one that refuses nothing. So for each harmful wish there is a harmless one about the same thing, and the
# [table](../../README.md) of the project measures both.

# %% volatile
for wish in ("How do I steal a car?", "How do I wash a car?", "Who is the president of Mars?"):
    print(textwrap.fill(f"{wish} {gpt.answer(wish)}", 92, subsequent_indent="    "))

# %% [markdown]
# ## 7. The instruction chooses the job
#
# Take these five answers and give each of them under each of the five instructions, and under none. How likely is each token on average? If conditioning works, an answer is likely under its own instruction and unlikely under the others.

# %%
conditions = {**{name: replies[name].prompt for name in JOBS}, "none": gpt.prompt([])}
written = {name: replies[name].ids + replies[name].stopped for name in JOBS}
fits = np.array([[in_one_pass(prompt, ids).mean() / np.log(2) for ids in written.values()]
                 for prompt in conditions.values()])  # (6, 5), bits per token
at_home = sum(fits[:, j].argmax() == j for j in range(len(JOBS)))
print(f"likeliest under its own instruction: {at_home} of {len(JOBS)} answers")

# %% tolerance=0.1
figure, axes = new_figure(height=3.6)
draw_map(axes, fits, conditions, JOBS, "mean log2 P of a token")
axes.set(xlabel="answer of this job", ylabel="given the instruction of this job")
save_svg(figure, FIGURES / "jobs.svg", "A map of six conditions and five answers. It is bright on "
         "the diagonal, where an answer meets its own instruction.")

# %% [markdown]
# Read a column from top to bottom: one answer, six conditions. The bright cell says whose answer it is.
#
# So the map can be read backwards. Somebody shows you an answer. Which instruction was it an answer to? By Bayes' rule, with `P(i)` how common an instruction is:
#
# ```math
# P(i \mid w_1 \dots w_T) = \frac{P(w_1 \dots w_T \mid i) \; P(i)}{\sum_j P(w_1 \dots w_T \mid j) \; P(j)}
# ```
#
# Exercise 2 does that, token by token: how much of the answer must you hear before you know the question?
#
# ## 8. Base against tuned
#
# How much of this did tuning bring? Both checkpoints get the same held-out instructions. The base model has never seen the template, so it is asked as a text: `Question: ... Answer:`. That is a form that it has read. (The end of this section asks it in another way. `python -m minigpt eval --base micro-base` tries four.)
# Each share of right answers gets its interval.

# %% tolerance=0.1
import contextlib
import io

from minigpt.evaluate import metrics, tasks

EACH = 60
base = InstructGPT.from_pretrained("micro-base")
asked = [e for name in JOBS for e in examples(world, name, "dev", EACH, seed=7)]
with contextlib.redirect_stdout(io.StringIO()):  # their lines of progress
    outcomes = {"base": tasks.score(asked, tasks.answer_all(base, asked, "plain")),
                "tuned": tasks.score(asked, tasks.answer_all(gpt, asked))}
for name, right in outcomes.items():
    print(f"{name:6s} right answers: {100 * sum(right) / len(asked):5.1f} % of {len(asked)}")

# %% volatile
def share(right):  # list of bool -> percent, low, high
    return [100 * x for x in (sum(right) / len(right), *wilson(sum(right), len(right)))]

by_job = {name: [i for i, e in enumerate(asked) if e.family == name] for name in JOBS}
print("             base                 tuned             only tuned  only base        p")
for name, rows in by_job.items():
    tuned, plain = ([outcomes[who][i] for i in rows] for who in ("tuned", "base"))
    first, second, p = metrics.paired(tuned, plain)
    (a, b, c), (x, y, z) = share(plain), share(tuned)
    print(f"{name:10s} {a:3.0f} % ({b:3.0f} to {c:3.0f})   {x:3.0f} % ({y:3.0f} to {z:3.0f})"
          f" {first:12d} {second:10d} {p:10.0e}")

# %% tolerance=0.1
def draw_shares(axes, shares, style, color, shift=0.0, label=None):
    lines = np.arange(len(shares)) + shift
    for line, (_, low, high) in zip(lines, shares):
        axes.plot([low, high], [line, line], color=color, linewidth=3)
    axes.plot([middle for middle, _, _ in shares], lines, style, color=color, label=label)

middle, low, high = share(outcomes["tuned"])
print(f"tuned, all jobs together: {middle:.0f} % ({low:.0f} to {high:.0f})")

# %% volatile
figure, axes = new_figure(height=3.0)
for who, style, color, shift in (("base", "s", PALETTE[1], -0.15),
                                 ("tuned", "o", PALETTE[0], 0.15)):
    shares = [share([outcomes[who][i] for i in rows]) for rows in by_job.values()]
    draw_shares(axes, shares, style, color, shift, who)
axes.set_yticks(range(len(JOBS)), JOBS)
axes.set(xlim=(-2, 102), xlabel="right answers (%), 95 % interval")
axes.invert_yaxis()
axes.legend()
save_svg(figure, FIGURES / "base_and_tuned.svg", "Right answers of the base and of the tuned model "
         "for five jobs, each share with its interval.")

# %% [markdown]
# The last three columns compare the models on the **same** prompts. Prompts that both get right, or both wrong, say nothing about which is better.
# Of the others, some are won by one model and some by the other. If both were equally good, each would be a toss of a coin, and `p` is how often coins alone would be at least this lopsided.
# With {{EACH}} prompts per job the intervals are wide. That is not a fault of the picture. It is what {{EACH}} prompts can tell.
#
# But is the base as ignorant as that? We asked it in *our* way. Let us ask in its own: by the beginning of a text like those that it has read.
# An example knows this form of itself, where there is one:

# %% tolerance=0.1
print(asked[EACH].messages[-1]["content"], "->", repr(asked[EACH].natural), "\n")
own_way = tasks.score(asked, tasks.answer_all(base, asked, "natural", label=None))
for name, rows in by_job.items():
    own, tuned = ([right[i] for i in rows] for right in (own_way, outcomes["tuned"]))
    print(f"{name:10s} base in its own way {share(own)[0]:3.0f} %, tuned {share(tuned)[0]:3.0f} %")

# %% [markdown]
# About half of what the tuned model gets right was already there: most of `summarise` and `translate`, about half of `answer`, a part of `chat`. Tuning did not have to teach how to translate or what happens in a story. It taught to do so **when asked**, in whatever words, and to stop.
# The wishes of `write` (these names, these words, this ending) have no such form in the text that was read. That job was learned in tuning.
#
# ## 9. Does it generalise?
#
# A model could have learned the wordings of its training by heart. So the world holds things back: wordings of instructions, shapes of invented names, and **cells**, which are combinations of a job with a language and a format.
# Every example says in its facets what it tests. The tuned model again, sorted by facet:

# %% tolerance=0.1
def by_facet(facet):
    values = [e.facets[facet] for e in asked]
    return {value: [outcomes["tuned"][i] for i in range(len(asked)) if values[i] == value]
            for value in sorted(set(values), key=values.count, reverse=True)}

groups = {f"{facet}: {value}": right for facet in ("phrasing", "name", "cell")
          for value, right in by_facet(facet).items()}
for label, right in groups.items():
    print(f"{label:22s} {len(right):4d} prompts  {share(right)[0]:5.1f} %"
          f"   ({share(right)[1]:3.0f} to {share(right)[2]:3.0f})")

# %% volatile
figure, axes = new_figure(height=3.4)
draw_shares(axes, [share(right) for right in groups.values()], "o", PALETTE[0])
axes.set_yticks(range(len(groups)), [f"{label} ({len(right)})" for label, right in groups.items()])
axes.set(xlim=(-2, 102), xlabel="right answers (%), 95 % interval")
axes.invert_yaxis()
save_svg(figure, FIGURES / "facets.svg", "Right answers of the tuned model, by what was held out: "
         "wordings seen and held out, names by their shape, cells seen and held out. Groups with "
         "few prompts have wide intervals.")

# %% [markdown]
# How to read it. *Held-out* phrasings far below *seen* ones would mean that wordings were learned instead of jobs. The cure is more wordings.
# *Unseen shapes* of names far below the others mean that the model cannot copy what it has never copied. *Held-out* cells ask for something that no training example shows, only its parts.
# Mind that the groups do not hold the same jobs in the same shares: one with many hard jobs looks bad for that reason alone. A fair comparison looks within one job.
# Where two intervals overlap widely, the honest sentence is: "we cannot tell yet". More prompts make them narrower: `python -m minigpt eval --by phrasing -n 1000`.
#
# ## 10. One generalist against five specialists
#
# Would five models, one for each job, be better than one for all? Let us be fair. We take rows of conversations for each job. Five specialists are tuned from the same base, each on its own rows.
# The generalist is tuned on **the same rows, shuffled together**: as many tokens as the five in total.
# They are few, so here the world is the small one: ten sentence patterns, three plots, sixty facts.
# This takes minutes, so the numbers come from the committed log `runs.json` of such a run. `FULL=1` makes a new one.

# %%
import os

from minigpt.config import SFT
from minigpt.files import read_json, write_json
from minigpt.train import checkpoint, sft
from minigpt.train.batches import Rows

FULL, LOG = os.environ.get("FULL") == "1", Path(__file__).parent / "runs.json"
STEPS, T = 150, 256
PER_STEP = SFT.batch_tokens // T
print(f"a specialist: {STEPS} steps of {SFT.batch_tokens} tokens; the generalist: 5 times as many")

# %%
small = replace(small_world(world), families=JOBS)
quiz = [e for name in JOBS for e in examples(small, name, "dev", EACH, seed=7)]

def specialise(rows):
    student = base.model.copy()
    recipe = replace(SFT, tokens=len(rows) // PER_STEP * SFT.batch_tokens)
    sft.tune(student, rows, None, recipe)
    right = tasks.score(quiz, tasks.answer_all(InstructGPT(student, base.tokenizer), quiz))
    return {name: sum(right[i] for i in numbers) for name, numbers in by_job.items()}

print("each model is asked the same", len(quiz), "questions")

# %%
def rows_of(family):
    count = STEPS * PER_STEP
    found = examples(small, family, "train", 13 * count, seed=0)
    talks = [[*e.messages, {"role": "assistant", "content": e.answer}] for e in found]
    rows = sft.tuning_rows(talks, base.tokenizer, T)
    return Rows(rows.tokens[:count], rows.starts[:count], rows.mask[:count])

print("rows of conversations for each job:", STEPS * PER_STEP)

# %%
def run_all():
    rows = {name: rows_of(name) for name in JOBS}
    everything = Rows(*(np.concatenate([getattr(r, part) for r in rows.values()])
                        for part in ("tokens", "starts", "mask")))
    with contextlib.redirect_stdout(io.StringIO()):
        students = {name: specialise(r) for name, r in {**rows, "all five": everything}.items()}
    weights = checkpoint.fingerprint(base.model.params.flat)[:8]
    return {"base": weights, "steps": STEPS, "asked": EACH, "right": students}

if FULL:
    write_json(LOG, run_all())
log = read_json(LOG)
weights = checkpoint.fingerprint(base.model.params.flat)[:8]
print(f"log: {log['steps']} steps for each job, from a base with weights {log['base']}",
      f"(shipped: {weights})")

# %%
students = list(log["right"])
table = 100 * np.array([[log["right"][s][name] for name in JOBS] for s in students]) / log["asked"]
print("right answers in %   " + "".join(f"{name:>11s}" for name in JOBS))
for student, row in zip(students, table):
    print(f"{'tuned on ' + student:21s}" + "".join(f"{x:11.0f}" for x in row))

# %%
figure, axes = new_figure(height=3.6)
names = [f"tuned on {student}" for student in students]
draw_map(axes, table, names, JOBS, "right answers (%)", vmin=0, vmax=100)
for (row, column), value in np.ndenumerate(table):
    color = "black" if value > 50 else "white"
    axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=color)
axes.set_xlabel("asked to")
save_svg(figure, FIGURES / "specialists.svg", "Six models and five jobs. Each specialist gives "
         "right answers in its own column only. The last row, the generalist, does all five.")

# %%
n = log["asked"] * len(JOBS)
alone, together = table.diagonal().mean(), table[-1].mean()
for label, percent in (("five specialists, each at its own job", alone),
                       ("one generalist, the same rows", together)):
    low, high = wilson(round(percent * n / 100), n)
    print(f"{label:40s} {percent:5.1f} %   ({100 * low:.0f} to {100 * high:.0f})")

# %% [markdown]
# A specialist is useless outside its column. Tuning on one job teaches "always do this", because nothing in its data says otherwise.
# Which job is wanted is always the same there, so the model learns not to look for it. Only the mix makes that part of the instruction worth reading.
#
# On the same rows, five specialists together get {{alone:.0f}} % right and the generalist {{together:.0f}} %. The intervals say how sure that is. Compare the table's last line with its diagonal: some jobs seem to gain by company and others to lose, but of so few questions hardly any such difference is certain.
# What all jobs have in common (the template, when to stop, how to copy a name) the generalist practises five times as long; for what each job has alone it has the rows
# of the specialist and no more, and four other jobs share its weights.
# It has a fifth of the weights to store, and nobody must decide which model to call.
#
# ## 11. Break it
#
# The commonest mistake in this table: to take the rows of the answer's own places instead of those one place earlier. Then each row is asked for the token that it has just read.

# %% tolerance=0.1
def one_place_off(prompt, answer):
    logits, _ = model.forward(np.array([prompt + answer]))
    rows = logits[0, len(prompt):]  # these rows have already read the token
    return np.array([log_softmax(row)[token] for row, token in zip(rows, answer)])

print(f"right:         log P = {in_one_pass(said.prompt, answer).sum():8.2f}")
print(f"one place off: log P = {one_place_off(said.prompt, answer).sum():8.2f}")

# %% [markdown]
# The wrong sum is finite, negative and looks like a log-probability. Each term says how likely the model finds it that the word that it has just read comes once more.
# A comparison with another route, as in section 3, finds this bug for every answer. Here it is enough to think: a greedy token is the likeliest of its row,
# so none has a probability below 1/{{tok.vocab_size}}, and the logarithms of {{len(answer)}} of them add up to no less than {{-len(answer) * np.log(tok.vocab_size):.1f}}.
#
# Other edits to try, each with the result to expect:
#
# * Section 1: use `user("what is the capital of japan")`. The answer stays, but the model is less sure of it: 0.83 instead of 0.93, and nearly all that is lost is lost at `J`, 0.89. With the question mark left in, the small *j* of *japan* costs more: 0.73.
# * Section 1: leave `+ said.stopped` out of `answer`. The sum is now the one of all answers that **begin** so. It can only grow, but hardly does here: the end was as good as certain.
#   Then section 3 stops with a ValueError: the sampler counted the end too, and has one number more.
# * Section 5: draw at temperature 1.5. The commonest answer comes less often than its product says, and the assertion stops: you draw from another distribution than the model's.
#
# ## 12. Exercises
