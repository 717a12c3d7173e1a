# title: Evaluation
# question: What does a number mean?
# needs: lessons 02 and 12 (cross-entropy, instruction tuning); what a mean and a standard deviation are
# builds: bits per byte, chrF and ROUGE, intervals of Wilson and of the bootstrap, a paired test, win rates, and a search for test questions that leaked into training
# minutes: 90
# files: evaluate.metrics evaluate.prompts evaluate.tasks evaluate.report

# %% [markdown]
# ## 1. Two models, two numbers, two winners
#
# We count pairs of neighbours, as in lesson 02, and make two small models of the same text.
# One reads bytes. The other reads the tokens of our tokenizer. Which one is better?
#
# Both are tested on text that they have not seen. The usual number is the **perplexity**: e to the power of the mean loss for each token. Lower is better.

# %%
import itertools
import math

import numpy as np

from minigpt.text.tokenizer import Tokenizer
from minigpt.world import load_world, pretraining_documents, small_world

world, tok = small_world(load_world()), Tokenizer.from_pretrained("micro-base")
documents = list(itertools.islice(pretraining_documents(world, seed=14), 3000))
seen, unseen = "\n".join(documents[:-200]), "\n".join(documents[-200:])
print(len(seen.encode("utf-8")), "bytes to count,", len(unseen.encode("utf-8")), "bytes to test")

# %%
def pair_model_losses(ids, test, V):
    pairs = np.zeros((V, V), np.float32)
    np.add.at(pairs, (ids[:-1], ids[1:]), 1)
    single = (np.bincount(ids, minlength=V) + 1) / (len(ids) + V)  # (V,)
    first, then = test[:-1], test[1:]
    counted = pairs[first, then] / np.maximum(pairs[first].sum(axis=1), 1)
    return -np.log(0.9 * counted + 0.1 * single[then])  # nats, one for each token

as_bytes = [np.frombuffer(text.encode("utf-8"), np.uint8) for text in (seen, unseen)]
as_tokens = [np.array(tok.encode_ordinary(text)) for text in (seen, unseen)]
losses = {"bytes": pair_model_losses(*as_bytes, 256),
          "tokens": pair_model_losses(*as_tokens, tok.vocab_size)}
for name, nats in losses.items():
    print(f"model of {name:6s}: perplexity {math.exp(nats.mean()):6.2f}")

# %% [markdown]
# The model of bytes wins by far. But it has cheated, without knowing. It guesses one byte at a time, and a byte has few choices.
# The other guesses a whole token, several bytes in one go. Their numbers count different things.
#
# So we count what both have in common: the text. Add up all losses, turn nats into bits, and divide by the number of bytes:
#
# ```math
# \text{bits per byte} = \frac{1}{\text{bytes}} \sum_t \frac{-\ln p_t}{\ln 2}
# ```

# %%
size = len(unseen.encode("utf-8"))
for name, nats in losses.items():
    print(f"model of {name:6s}: {nats.sum() / math.log(2) / size:5.2f} bits per byte")

# %% [markdown]
# Now the other one wins. Both numbers are right. Only one of them answers the question.
# **A number means nothing until you know what it is counted by.** On the same text, perplexities can be compared when the tokens are the same, bits per byte whatever the tokens are.
#
# The package measures each document from its beginning, and counts the end of the text as something that must be predicted:
#
# {{include minigpt.evaluate.metrics:bits_per_byte}}

# %%
from minigpt.evaluate.metrics import bits_per_byte
from minigpt.model import InstructGPT
from minigpt.nn.losses import cross_entropy

base, tuned = (InstructGPT.from_pretrained(name) for name in ("micro-base", "micro"))
sample = [text for text in documents[-200:] if len(tok.encode_ordinary(text)) < 250]
nats = length = 0
for text in sample:
    ids = np.array([tok.encode_ordinary(text) + [tok.special_tokens["<|endoftext|>"]]])  # (1, T)
    logits, _ = base.model.forward(ids[:, :-1])
    nats += cross_entropy(logits, ids[:, 1:])[0] * (ids.size - 1)
    length += len(tok.decode_bytes(ids[0, 1:-1]))  # the first token was given
bits = nats / math.log(2) / length
assert math.isclose(bits, bits_per_byte(base.model, tok, sample), rel_tol=1e-4)
print("ours and the package's agree on", len(sample), "documents")

# %% [markdown]
# ## 2. Exact match: right or wrong
#
# Our two shipped models are the base, which only read, and the model that was tuned to follow instructions.
# We give both the same questions, and let the world's `verify` say what is right: the answer, or one of a short list of accepted answers, word for word. This is **exact match**.

# %%
from minigpt.evaluate import tasks
from minigpt.world import examples

KINDS = {"summary": ("summarise", None), "translation": ("translate", "zh-en"),
         "question": ("answer", "reading")}
asked = {name: examples(world, family, "dev", 60, 14, kind)
         for name, (family, kind) in KINDS.items()}
questions = [example for group in asked.values() for example in group]
for name, group in asked.items():
    print(f"{name}: {group[0].messages[-1]['content'][-60:]!r} -> {group[0].answer!r}")

# %% tolerance=0.05
import contextlib
import io

def answers_of(assistant, style="chat"):
    with contextlib.redirect_stdout(io.StringIO()):  # its line of progress
        return tasks.answer_all(assistant, questions, style)

systems = {"base": answers_of(base, "plain"), "tuned": answers_of(tuned)}
right = {name: tasks.score(questions, answers) for name, answers in systems.items()}
for name, assistant in (("base", base), ("tuned", tuned)):
    print(f"{name:5s}: {bits_per_byte(assistant.model, tok, sample):.3f} bits per byte")
    print(f"{name:5s}: {100 * np.mean(right[name]):.0f} % of {len(questions)} answers right")
before, after = (bits_per_byte(assistant.model, tok, sample) for assistant in (base, tuned))
assert 0.9 < after / before < 1.1 and sum(right["tuned"]) > 2 * sum(right["base"])

# %% [markdown]
# The same two models, and two metrics that tell two stories. They predict text almost equally well, the tuned model even a little better: it has gone on reading (replay, lesson 12).
# In answers they are worlds apart, asked like this: the base as *Question: ... Answer:*. (Asked by the beginning of a text like those that it has read, as at the end of lesson 13, it does far better. How one asks is a part of the number.)
# Whoever looks only at the first number does not see that one of them does what it is told and the other does not.
# How far two models are apart, and which of them is "better", cannot be said before somebody says what for.
#
# ## 3. When there are many right answers: ROUGE and chrF
#
# Exact match needs a list of everything that is right. For a translation or a summary nobody can write that list.
# So one compares the answer with a **reference**, and counts what they share.
#
# **ROUGE** counts runs of words. Let `c` be how many runs both have in common. **Recall** asks how much of the reference was found, **precision** how much of the answer was needed.
# Their harmonic mean is called F1: it is large only if both are.
#
# ```math
# R = \frac{c}{\text{runs in the reference}} \qquad P = \frac{c}{\text{runs in the answer}} \qquad F_1 = \frac{2 P R}{P + R}
# ```
#
# **chrF** counts runs of 1 to 6 *characters*, takes the means of `P` and of `R` over the six lengths, and lets recall count more, with β = 2:
#
# ```math
# \text{chrF} = (1 + \beta^2) \frac{P R}{\beta^2 P + R}
# ```
#
# Characters need no words, so chrF also works for Chinese.

# %%
from collections import Counter

def shared(answer, reference, n):
    runs = [Counter(zip(*(text[i:] for i in range(n)))) for text in (answer, reference)]
    return sum((runs[0] & runs[1]).values()), *(sum(counts.values()) for counts in runs)

def rouge(answer, reference, n=1):
    words = [text.lower().replace(".", " .").split() for text in (answer, reference)]
    common, in_answer, in_reference = shared(*words, n)
    P, R = common / max(in_answer, 1), common / max(in_reference, 1)
    return P, R, 2 * P * R / max(P + R, 1e-9)

print("P, R, F1:", *(f"{x:.2f}" for x in rouge("The cat sat.", "The black cat sat on a mat.")))

# %%
def chrf(answer, reference, longest=6, beta=2):
    texts = ["".join(text.split()) for text in (answer, reference)]  # spaces do not count
    counts = [shared(*texts, n) for n in range(1, longest + 1)]
    P = np.mean([common / a for common, a, r in counts if a] or [0.0])
    R = np.mean([common / r for common, a, r in counts if r] or [0.0])
    return (1 + beta ** 2) * P * R / max(beta ** 2 * P + R, 1e-9)

assert chrf("我有猫。", "我有猫。") == 1.0 and chrf("dog", "cat") == 0.0
print("a Chinese sentence with one other animal:", round(chrf("我有一只狗。", "我有一只猫。"), 2))

# %%
reference = "The dog bit the old man in the garden."
candidates = {"the same": reference,
              "other words": "An elderly man was bitten by the dog in the yard.",
              "roles exchanged": "The old man bit the dog in the garden.",
              "one word more": "The dog never bit the old man in the garden.",
              "too short": "The dog bit the man."}
print("                 ROUGE-1  ROUGE-2  chrF")
for name, answer in candidates.items():
    scores = rouge(answer, reference)[2], rouge(answer, reference, 2)[2], chrf(answer, reference)
    print(f"{name:16s}", *(f"{score:7.2f}" for score in scores), "", answer)

# %% [markdown]
# The line *other words* is right and gets the worst scores. *Roles exchanged* says something other than the reference, *one word more* says the contrary.
# Both get high marks.
# These metrics count what a text is made of. They do not read it.
#
# ## 4. A model of one line is as good as ours
#
# Here is the simplest model in this course. It copies the question.

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
systems["copy"] = [example.messages[-1]["content"] for example in questions]
right["copy"] = tasks.score(questions, systems["copy"])

def mean_of(metric, name, group):
    rows = [i for i, example in enumerate(questions) if example in asked[group]]
    return 100 * np.mean([metric(i, systems[name][i]) for i in rows])

print("copy:", systems["copy"][-1][:60], "...")

# %% tolerance=0.05
METRICS = {"exact match": lambda i, answer: tasks.score([questions[i]], [answer])[0],
           "ROUGE-1 recall": lambda i, answer: rouge(answer, questions[i].answer)[1],
           "ROUGE-1 F1": lambda i, answer: rouge(answer, questions[i].answer)[2],
           "chrF": lambda i, answer: chrf(answer, questions[i].answer)}
results = {name: [mean_of(metric, model, "question") for model in ("tuned", "copy")]
           for name, metric in METRICS.items()}
for name, (ours, copied) in results.items():
    print(f"{name:15s} tuned {ours:5.1f}, copy {copied:5.1f}")

# %% volatile
figure, axes = new_figure(height=3.0)
places = np.arange(len(results))
for shift, model, hatch in ((-0.2, "tuned model", ""), (0.2, "copy of the question", "//")):
    heights = [pair[int(shift > 0)] for pair in results.values()]
    bars = axes.bar(places + shift, heights, 0.4, label=model, hatch=hatch, edgecolor="white")
    axes.bar_label(bars, [f"{height:.0f}" for height in heights])
axes.set_xticks(places, results)
axes.set(ylabel="mean score (%)", ylim=(0, 112))
axes.grid(False, axis="x")
axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
save_svg(figure, FIGURES / "metrics.svg", "Four metrics for two models. By recall the copy of the "
         "question is level with the tuned model, by the three others it is far behind.")

# %% [markdown] tolerance=0.05
# By recall the copy gets {{results["ROUGE-1 recall"][1]:.1f}} and our model {{results["ROUGE-1 recall"][0]:.1f}}: level, on {{len(asked["question"])}} questions. Of course: the answer to a question about a text stands in the text.
# Who prints everything, misses nothing. F1 and chrF ask for precision as well, and see through it.
#
# A metric that can be raised without being better will be raised, sooner or later, by somebody or by a training loop. Always ask what the silliest possible model would get.
#
# ## 5. How sure are we? Wilson's interval
#
# A model answered 18 of 20 questions. Is it right nine times out of ten? With 20 other questions it might have been 16, or 20.
# Let the true rate be `p`. The observed rate `r` of `n` questions is spread around it with the standard deviation
#
# ```math
# \sqrt{\frac{p (1 - p)}{n}}
# ```
#
# and in about 95 cases of 100 it lies within 1.96 standard deviations of `p`, if there are many questions.
# The textbook now puts `r` in the place of `p`. That is an error. See what it does with 20 of 20:

# %%
def textbook(right, n, z=1.96):
    r = right / n
    half = z * math.sqrt(r * (1 - r) / n)
    return r - half, r + half

for correct in (10, 18, 20):
    low, high = textbook(correct, 20)
    print(f"{correct} of 20: textbook {low:.2f} to {high:.2f}")

# %% [markdown]
# After 20 questions we would be *certain* that the model is never wrong.
#
# Wilson asked the right question in 1927: for which true rates `p` would what we saw be no surprise? They are those with
#
# ```math
# (r - p)^2 \le z^2 \, \frac{p (1 - p)}{n}
# ```
#
# This is a quadratic inequality in `p`. Its two ends are the roots of `(1 + z²/n) p² - (2 r + z²/n) p + r² = 0`:

# %%
from minigpt.evaluate.metrics import wilson

def our_wilson(right, n, z=1.96):
    r, share = right / n, z * z / n
    roots = np.roots([1 + share, -(2 * r + share), r * r])
    return float(roots.min()), float(roots.max())

for correct in (0, 10, 18, 20):
    assert np.allclose(our_wilson(correct, 20), wilson(correct, 20), atol=1e-7)
    print(f"{correct:2d} of 20: Wilson", " to ".join(f"{end:.2f}" for end in wilson(correct, 20)))

# %% [markdown]
# An interval keeps its promise if it contains the truth in 95 of 100 cases, *whatever the truth is*. That can be computed without any chance:
# for a true rate `p`, add up the probabilities of all results whose interval contains `p`.

# %%
def coverage(interval, p, n):
    chances = [math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(n + 1)]
    holds = [interval(k, n)[0] <= p <= interval(k, n)[1] for k in range(n + 1)]
    return sum(itertools.compress(chances, holds))

rates = np.linspace(0.5, 0.995, 100)
covered = {name: [100 * coverage(interval, p, 20) for p in rates]
           for name, interval in (("textbook", textbook), ("Wilson", wilson))}
for p in (0.7, 0.9, 0.98):
    print(f"truth {p:.2f}: textbook holds in {100 * coverage(textbook, p, 20):3.0f} %, "
          f"Wilson in {100 * coverage(wilson, p, 20):3.0f} % of all cases")

# %%
figure, axes = new_figure(height=3.2)
axes.plot(100 * rates, covered["textbook"], "--", label="textbook")
axes.plot(100 * rates, covered["Wilson"], label="Wilson")
axes.axhline(95, color="black", linestyle=":", label="what was promised")
axes.set(xlabel="true rate of right answers (%)", ylabel="interval holds (%)", ylim=(0, 104))
axes.legend(loc="lower left")
save_svg(figure, FIGURES / "coverage.svg", "How often two intervals from 20 questions contain the "
         "truth. Wilson's is near 95 percent for most truths, and at 84 or more for all. The "
         "textbook's falls towards 0 as the true rate nears 100.")

# %% [markdown]
# The better the model, the worse the textbook's interval. And good models are what we want to measure.
#
# How many questions do we need? The interval shrinks with the root of `n` only:

# %%
for n in (20, 100, 500, 2500, 12500):
    low, high = wilson(round(0.8 * n), n)
    print(f"{n:5d} questions, 80 % right: {100 * low:4.1f} to {100 * high:4.1f} %")

# %% [markdown]
# To tell 80 % from 81 % takes more than ten thousand questions. Many differences between models that are reported are smaller than their intervals.
#
# ## 6. The bootstrap: an interval for anything
#
# chrF is no proportion, so Wilson does not help. The **bootstrap** (Efron 1979) helps with almost any number. Our questions are a sample of all possible questions.
# How would the mean have come out with another sample? We have no other. So we draw one *from our own*, with replacement: some questions twice, some not at all. Two thousand times.

# %% tolerance=0.05
def bootstrap(scores, draws=2000, seed=0):
    chosen = np.random.default_rng(seed).integers(0, len(scores), (draws, len(scores)))
    means = np.asarray(scores)[chosen].mean(axis=1)  # (draws,)
    return np.quantile(means, [0.025, 0.975])

both = {"chrF": [METRICS["chrF"](i, answer) for i, answer in enumerate(systems["tuned"])],
        "exact match": right["tuned"]}
for name, scores in both.items():
    low, high = 100 * bootstrap(scores)
    print(f"tuned, {name:11s}: {100 * np.mean(scores):.1f}, bootstrap {low:.1f} to {high:.1f}")
low, high = wilson(sum(right["tuned"]), len(questions))
print(f"tuned, {'exact match':11s}: by Wilson {100 * low:.1f} to {100 * high:.1f}")

# %% [markdown]
# For the proportion both methods agree, and neither knew of the other. That is a good test of both. (With 20 of 20 right the bootstrap fails like the textbook: every sample of ours has all right.)
#
# ## 7. The same questions for both: paired comparison
#
# Now we want to know whether a model is worse if its weights are rounded to few bits. Here is the tuned model with its matrices rounded to 4 bits: at most 15 different values in each column instead of up to one for each row.

# %% tolerance=0.05
def rounded(assistant, bits):
    model = assistant.model.copy()
    for weight in model.params.values():
        if weight.ndim == 2:
            step = np.abs(weight).max(axis=0) / (2 ** (bits - 1) - 1)  # (columns,)
            weight[...] = np.rint(weight / step) * step
    return InstructGPT(model, assistant.tokenizer)

for bits in (4, 3):
    systems[f"{bits} bits"] = answers_of(rounded(tuned, bits))
    right[f"{bits} bits"] = tasks.score(questions, systems[f"{bits} bits"])
for name in ("tuned", "4 bits", "3 bits"):
    low, high = wilson(sum(right[name]), len(questions))
    print(f"{name:6s}: {sum(right[name])} of {len(questions)} right, "
          f"{100 * low:.1f} to {100 * high:.1f} %")

# %% [markdown]
# Here the intervals do not even touch, and nobody doubts the difference. Had they overlapped, that would not have meant that there is none.
# For they answer another question: how would each model do on *other* questions? But both models had the *same* questions.
# A hard one is hard for both, and that part of the chance cancels.
#
# So look at the questions one by one. Where both are right or both wrong, there is nothing to learn. Only the others count: `a` questions that only the first got right, and `b` that only the second did.
# If neither were better, each of these would be a toss of a coin. How often would `a + b` tosses fall as unevenly as ours, or more? This is the **sign test**, here also called McNemar's.

# %% tolerance=0.05
from minigpt.evaluate.metrics import paired

def our_paired(first, second):
    a = sum(x and not y for x, y in zip(first, second))
    b = sum(y and not x for x, y in zip(first, second))
    tail = sum(math.comb(a + b, k) for k in range(min(a, b) + 1)) / 2 ** (a + b)
    return a, b, min(1.0, 2 * tail)  # both sides

for name in ("4 bits", "3 bits"):
    assert our_paired(right["tuned"], right[name]) == paired(right["tuned"], right[name])
    a, b, chance = paired(right["tuned"], right[name])
    print(f"only tuned right: {a}, only {name} right: {b}; chance {chance:.2g}")

# %% [markdown]
# How much does pairing help? We make two models up. One is right in 80 % of cases, the other in 84 %, and most questions are easy or hard for both.
# We test them 300 times on 100, on 400 and on 1600 questions. How often do we notice that the second is better?

# %%
def noticed(n, times=300):
    rng, apart, by_pairs = np.random.default_rng(0), 0, 0
    for _ in range(times):
        first = rng.random(n) < 0.80
        flip = rng.random(n)
        second = np.where(first, flip >= 0.025, flip < 0.30)  # 0.8 * 0.975 + 0.2 * 0.3 = 0.84
        apart += wilson(int(first.sum()), n)[1] < wilson(int(second.sum()), n)[0]
        a, b, chance = paired(first.tolist(), second.tolist())
        by_pairs += chance < 0.05 and b > a
    return 100 * apart / times, 100 * by_pairs / times

for n in (100, 400, 1600):
    apart, by_pairs = noticed(n)
    print(f"{n:4d} questions: intervals apart in {apart:3.0f} %, pairs notice in {by_pairs:3.0f} %")

# %% [markdown]
# Look at the line of 400 questions. In the same data, the paired test usually sees what the intervals hardly ever see. Most of that is due to the pairing.
# The rest is due to the intervals: to demand that two of them do not overlap is to demand more than 95 % certainty. (The last edit of section 11 shows how much is which.)
#
# ## 8. Win rates
#
# For long free answers there is not even a reference. Then a **judge** sees two answers and says which is better: a person, or another model. The **win rate** is the share of wins, and a tie counts half.
#
# It depends on the judge. Ours are two lines of code. One prefers what is nearer to the reference, the other prefers what is longer. (Human judges and large models are known to like length, too.)

# %% tolerance=0.05
JUDGES = {"nearer to the reference": lambda i, answer: chrf(answer, questions[i].answer),
          "longer": lambda i, answer: len(answer)}

def win_rate(judge, first, second):
    x, y = (np.array([judge(i, answer) for i, answer in enumerate(systems[name])])
            for name in (first, second))
    return np.mean(0.5 * (x == y) + (x > y))

for name, judge in JUDGES.items():
    for other in ("base", "copy", "3 bits"):
        print(f"{name}: tuned wins {100 * win_rate(judge, 'tuned', other):3.0f} % against {other}")

# %% [markdown]
# A win rate has a second trap. It counts *how often*, never *how much*. And it need not even be an order.
# Three models, three kinds of questions, and each model has its own strength:

# %%
grades = {"A": (3, 1, 2), "B": (2, 3, 1), "C": (1, 2, 3)}  # on three kinds of questions
for first, second in ("AB", "BC", "CA"):
    wins = sum(x > y for x, y in zip(grades[first], grades[second]))
    print(f"{first} against {second}: wins {wins} of 3; mean grades "
          f"{np.mean(grades[first]):.0f} and {np.mean(grades[second]):.0f}")

# %% [markdown]
# A beats B, B beats C, and C beats A, though all have the same mean. "The best model" is a question without an answer here. So always give the rates of all pairs, with intervals.
#
# ## 9. The best of twenty
#
# You train a model with 20 different seeds and keep the one with the best score. All 20 are really equal: each is right in 70 % of cases. What score will you report?

# %%
rng = np.random.default_rng(14)
for n in (50, 200, 1000):
    best = (rng.binomial(n, 0.7, size=(2000, 20)) / n).max(axis=1)  # of 20 equal models
    print(f"{n:4d} questions: the best of 20 scores {100 * best.mean():.1f} % on average")

# %%
figure, axes = new_figure(height=3.0)
for n, style in ((50, "o-"), (200, "s--"), (1000, "^:")):
    tries = rng.binomial(n, 0.7, size=(2000, 50)) / n
    axes.plot(range(1, 51), 100 * np.maximum.accumulate(tries, axis=1).mean(axis=0), style,
              markevery=7, label=f"{n} questions")
axes.axhline(70, color="black", label="the truth")
axes.set(xlabel="models tried, all equally good", ylabel="score of the best (%)", ylim=(68, 90))
axes.legend(ncols=2, loc="upper left")
save_svg(figure, FIGURES / "best_of.svg", "Average score of the best of 1 to 50 equal models. It "
         "rises from 70 percent to 84 with 50 questions, to 73 with 1000.")

# %% [markdown]
# Nobody lied, and still the number is wrong. Choosing is a kind of training on the test.
# Therefore the project has two sets: `dev` for every choice, `test` for one look at the end. `python -m minigpt eval` uses `dev` unless you ask.
#
# ## 10. Contamination: the test was in the book
#
# A model that was trained on the whole internet may have read the test. We play this through with a model that only remembers. It looks for the training question that shares most words with yours, and repeats its answer:

# %%
def remember(pairs):
    rows_of = {}  # word -> the questions in which it occurs
    for row, (question, _) in enumerate(pairs):
        for word in set(question.split()):
            rows_of.setdefault(word, []).append(row)
    def answer(question):
        common = Counter()
        for word in set(question.split()):
            common.update(rows_of.get(word, ()))
        best = max(sorted(common), key=common.get)  # of equals the first
        return pairs[best][1]
    return answer

memory = remember([("how old is the cat", "seven"), ("where is the dog", "here")])
print(memory("and where is my dog ?"))

# %%
def as_pairs(group):
    return [(example.messages[-1]["content"], example.answer) for example in group]

def score_of_memory(leaked):
    memory = remember(as_pairs(train) + as_pairs(asked["question"][:leaked]))
    said = [memory(question) for question, _ in as_pairs(asked["question"])]
    outcome = tasks.score(asked["question"], said)
    return 100 * np.mean(outcome), 100 * np.mean(outcome[leaked:] or [0])

train = examples(world, "answer", "train", 1500, seed=14, kind="reading")
print(len(train), "training questions")

# %%
for leaked in (0, 6, 30):
    every, clean = score_of_memory(leaked)
    print(f"{leaked:2d} of 60 leaked: {every:3.0f} % right, {clean:3.0f} % without the leaked ones")

# %% [markdown]
# It understands nothing. Yet each leaked question is a point. Only the score of the questions that did not leak stays honest.
#
# How do we find them? The makers of GPT-3 looked for runs of words that occur in both sets. How long must a run be to be no accident?

# %%
def runs_of(text, n=8):
    words = text.lower().split()
    return {tuple(words[i:i + n]) for i in range(len(words) - n + 1)}

def suspects(train, test, n):
    known = set().union(*(runs_of(text, n) for text in train))
    return [i for i, text in enumerate(test) if runs_of(text, n) & known]

test_texts = [question for question, _ in as_pairs(asked["question"])]
train_texts = [question for question, _ in as_pairs(train)]
for n in (4, 8, 16, 24):
    clean = len(suspects(train_texts, test_texts, n))
    leaky = len(suspects(train_texts + test_texts[:6], test_texts, n))
    print(f"runs of {n:2d} words: {clean:2d} of 60 suspected, {leaky:2d} after 6 leaked")

# %% [markdown]
# The length of the run matters. Our texts are made from patterns, so short runs are shared by honest questions too: false alarms. Long runs find the six.
# A run that is too long misses a leak in which a single word was changed.
#
# Our world is better off than the internet. Its splits are made *before* the text: every invented name and certain pairs of words belong to one split only. A quarter of the facts can be read in training but are never asked about; half of the test questions about facts are about these.
#
# ## 11. Break it
#
# A model can lose points without getting worse. Somebody sets the longest answer to 8 tokens, to save time. What will happen to each kind of question?

# %% tolerance=0.05
for name, group in asked.items():
    for longest in (104, 8):
        said = tuned.answers([example.messages for example in group], max_new_tokens=longest)
        score = 100 * np.mean(tasks.score(group, said))
        print(f"{name:11s} at most {longest:3d} tokens: {score:5.1f} % right")

# %% [markdown]
# Questions have short answers and notice little. Summaries are cut and become wrong, all of them. The report says "this model cannot summarise".
# Before you believe a low score, read ten of the answers. Before you believe a high one, too.
#
# Other edits to try, each with the result to expect:
#
# * Section 1: test on `seen` instead of `unseen`. The model of tokens gains much, the model of bytes hardly anything: whoever has more to remember gains more from having seen the test.
# * Section 3: leave out `.lower()`. *Roles exchanged* falls from 0.78 to 0.56 in ROUGE-2: `The old` is no longer `the old`. And in section 4 the copy loses the answers that stand in the text with a small letter: its recall is 81 instead of 97.
# * Section 6: draw without replacement: `rng = np.random.default_rng(seed)`, then `chosen = np.array([rng.permutation(len(scores)) for _ in range(draws)])`. Every sample is the same set, and the interval has no width.
# * Section 7: in `noticed`, give `paired` the list `np.roll(second, 1).tolist()`. The pairs are gone: of 400 questions the test now notices the difference in 14 % of cases instead of 79. It needs the same question at the same place.
#
# ## 12. Exercises
