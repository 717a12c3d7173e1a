# title: Predicting by counting
# question: How likely is a text, and what is that number good for?
# needs: lesson 01 (tokens), logarithms
# builds: n-gram models, the loss that all later lessons minimise, and a first network that is not trained yet
# minutes: 60
# files: nn.losses

# %% [markdown]
# ## 1. A game: guess the next word
#
# Here is a tiny text. Its full stops are words too:

# %%
tiny = "the cat sat . the cat ate . the dog sat . the cat sat .".split()
after_the = [word for before, word in zip(tiny, tiny[1:]) if before == "the"]
for word in sorted(set(after_the)):
    print(f"after 'the' comes {word}: {after_the.count(word)} of {len(after_the)} times")

# %% [markdown]
# So after *the* we guess *cat*, and we are right three times in four. We write this as a **probability**:
#
# ```math
# P(\text{cat} \mid \text{the}) = \frac{3}{4}
# ```
#
# The bar is read "given". A **language model** is anything that gives such a number for every next word, given the words before.
# The numbers for all possible next words add up to 1.
#
# What is it good for? Almost everything in this course:
#
# * **write**: draw the next word by its probability, append it, repeat;
# * **judge**: a text is likely if its words are likely one after the other;
# * **answer**: put the question before, and let it go on.
#
# ## 2. The smallest wrong version: count whole sentences
#
# To judge a sentence we could count how often exactly this sentence was seen. Let us try it on texts of the same world as in lesson 01.

# %%
import itertools

from minigpt.world import load_world, pretraining_documents, small_world

documents = list(itertools.islice(pretraining_documents(small_world(load_world()), seed=2), 5000))
seen, new = documents[:4500], documents[4500:]
old_sentences = {sentence for text in seen for sentence in text.split(". ")}
sentences = [sentence for text in new for sentence in text.split(". ")]
known = [sentence for sentence in sentences if sentence in old_sentences]
share = 100 * len(known) / len(sentences)
print(f"{len(old_sentences)} different sentences counted, {len(sentences)} new ones")
print(f"probability zero for {100 - share:.0f} % of perfectly good sentences")

# %% [markdown]
# And these are the sentences of a tiny world. In real text nearly every sentence is new. Counting sentences cannot work.
#
# ## 3. The chain rule
#
# But a sentence is made of words, one after the other. So its probability is made of small steps.
# In the tiny text, *the cat sat* happens like this: first comes *the*, then *cat* after *the*, then *sat* after *the cat*:

# %%
n_the = tiny.count("the")
n_the_cat = sum(pair == ("the", "cat") for pair in zip(tiny, tiny[1:]))
n_the_cat_sat = sum(three == ("the", "cat", "sat") for three in zip(tiny, tiny[1:], tiny[2:]))
print(f"P(the)           = {n_the}/{len(tiny)}")
print(f"P(cat | the)     = {n_the_cat}/{n_the}")
print(f"P(sat | the cat) = {n_the_cat_sat}/{n_the_cat}")
product = n_the / len(tiny) * n_the_cat / n_the * n_the_cat_sat / n_the_cat
print(f"product = {product} = {n_the_cat_sat}/{len(tiny)}, how often 'the cat sat' occurs")

# %% [markdown]
# The product of the steps *is* the probability of the whole. Numerators and denominators cancel. This is the **chain rule** of probability.
# (The chain rule of slopes, in lesson 03, is another one.)
# For a text of `T` words `w_1` to `w_T`:
#
# ```math
# P(w_1 \dots w_T) = \prod_{t} P(w_t \mid w_1 \dots w_{t-1})
# ```
#
# The sign in front means: multiply the factors for all `t` from 1 to `T`.
# Nothing was lost, and nothing assumed. One question (how likely is this text?) became `T` small ones of the same kind (what comes next?).
# A model that answers the small question well answers the large one well. GPT is trained on nothing else.
#
# ## 4. Forget all but the last words
#
# The last factor asks for the next word given *all* words before. Such long beginnings are new every time, like whole sentences.
# So we forget: only the last `n - 1` tokens count. With the token to guess that makes `n`, and the model is called an **n-gram** model.
#
# ```math
# P(w_t \mid w_1 \dots w_{t-1}) \approx P(w_t \mid w_{t-n+1} \dots w_{t-1})
# ```
#
# We use the tokens of lesson 01, with a small vocabulary of `V = 512`.

# %%
from minigpt.text.tokenizer import Tokenizer

V = 512
tok = Tokenizer.train(seen[:1000], vocab_size=V, split="han")
train_ids = [i for text in seen for i in tok.encode(text + "\n")]
new_ids = [i for text in new for i in tok.encode(text + "\n")]
print(f"{len(train_ids)} tokens to count, {len(new_ids)} new ones to be tested on")

# %%
def count_ngrams(ids, n):
    """{the n - 1 tokens before: {next token: how often}}"""
    table = {}
    for t in range(n - 1, len(ids)):
        before = tuple(ids[t - n + 1:t])
        row = table.setdefault(before, {})
        row[ids[t]] = row.get(ids[t], 0) + 1
    return table

tables = {n: count_ngrams(train_ids, n) for n in range(1, 8)}
the = tuple(tok.encode(" the"))
best = sorted(tables[2][the].items(), key=lambda item: -item[1])[:6]
print("after ' the':", [(tok.decode([i]), count) for i, count in best])

# %% [markdown]
# Now the model can write. We draw each next token with the probability that it had in the counts.

# %%
import random

def write(table, n, length, seed):
    rng = random.Random(seed)
    ids = list(rng.choice([before for before in table if n == 1 or tok.decode(before[:1]) == "\n"]))
    while len(ids) < length:
        row = table.get(tuple(ids[len(ids) - n + 1:]), {10: 1})  # nothing known: end the line
        ids += rng.choices(list(row), weights=row.values())
    return tok.decode(ids).replace("\n", " / ")

for n in (1, 2, 3, 5):
    print(f"n = {n}: {write(tables[n], n, 34, seed=9)}")

# %% [markdown]
# (A slash stands for a new line.) With `n = 1` it is a salad of tokens, some of them only a part of a Chinese character. With `n = 2` neighbours fit. With `n = 3` phrases fit. With `n = 5` you might take it for the real text.
# Is a larger `n` always better? To answer that, we need a number.
#
# ## 5. Surprise as a number
#
# A good model gives high probability to what really comes. The probability of a long text is a product of many small numbers:

# %%
print("half to the power 100: ", 0.5 ** 100)
print("half to the power 2000:", 0.5 ** 2000)

# %% [markdown]
# That is soon too small for a computer. So we take logarithms, which turn the product into a sum.
# We change the sign, so that the numbers are positive, and divide by the number of tokens. The result is the **cross-entropy**, or just the **loss**:
#
# ```math
# L = - \frac{1}{T} \sum_{t} \ln P(w_t \mid \text{before})
# ```
#
# It is the average surprise for each token, in a unit called nat. A model that is certain and right has loss 0.
# A model that gives all `V` tokens the same probability has loss `ln V`.
#
# Two other units say the same. The **perplexity** is `e` to the power `L`: among how many equally likely tokens does the model seem to choose?
# And `L` divided by `ln 2` is the surprise in bits.

# %%
import math

for name, probabilities in [("sure and right", [1.0, 1.0]), ("sometimes sure", [0.5, 0.9, 0.25]),
                            ("knows nothing", [1 / V, 1 / V])]:
    loss = sum(math.log(1 / p) for p in probabilities) / len(probabilities)
    bits, perplexity = loss / math.log(2), math.exp(loss)
    print(f"{name}: loss {loss:.2f} nats = {bits:.2f} bits, perplexity {perplexity:.1f}")

# %% [markdown]
# One problem is left. A token that never followed in the counts has probability 0, and the logarithm of 0 is minus infinity.
# One such token makes the loss of a whole book infinite. So nothing may be impossible.
# We pretend that, whatever came before, each token was seen there a little more often than it was: `a = 0.001` is added to every count.
#
# ```math
# P(w \mid \text{before}) = \frac{\text{count}(\text{before}, w) + a}{\text{count}(\text{before}) + a V}
# ```

# %%
def loss_of(table, n, ids, a=0.001):
    total = 0.0
    sums = {before: sum(row.values()) for before, row in table.items()}
    for t in range(n - 1, len(ids)):
        before = tuple(ids[t - n + 1:t])
        count = table.get(before, {}).get(ids[t], 0)
        total -= math.log((count + a) / (sums.get(before, 0) + a * V))
    return total / (len(ids) - n + 1)

loss = loss_of(tables[2], 2, new_ids)
print(f"n = 2 on new text: loss {loss:.2f}, perplexity {math.exp(loss):.1f} of {V}")

# %% [markdown]
# ## 6. Longer memory, and a surprise

# %%
train_losses = [loss_of(tables[n], n, train_ids) for n in tables]
new_losses = [loss_of(tables[n], n, new_ids) for n in tables]
for n, on_train, on_new in zip(tables, train_losses, new_losses):
    spots = range(n - 1, len(new_ids))
    unseen = sum(tuple(new_ids[t - n + 1:t]) not in tables[n] for t in spots) / len(spots)
    print(f"n = {n}: loss {on_train:.2f} on the counted text, {on_new:.2f} on new text; "
          f"{100 * unseen:3.0f} % of beginnings never seen")

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
figure, axes = new_figure()
axes.plot(list(tables), train_losses, "o-", label="the text that was counted")
axes.plot(list(tables), new_losses, "s--", label="new text")
axes.set(xlabel="n, tokens in a row", ylabel="loss (nats per token)", ylim=(0, None))
axes.legend()
save_svg(figure, FIGURES / "ngram_loss.svg", "Loss against n. On the text that was counted it "
         "falls and falls. On new text it falls at first and then rises.")

# %% [markdown]
# On the text that was counted, longer memory is always better: with `n = 7` the model knows much of it by heart.
# On new text the loss falls, and then it **rises**. The last column says why. The longer the beginning, the more rarely it was seen, and often it was never seen at all.
# Then the model knows nothing and must guess among all tokens.
#
# The best here is `n = {{1 + new_losses.index(min(new_losses))}}`. This is the wall of counting: to use more context it needs more text,
# and each further token of context needs many times more.
#
# The wall has a reason. For a table, *the red kite* and *the blue kite* are two different beginnings that have nothing to do with each other.
# What it learns about one is of no use for the other. A network will give similar words similar numbers, and share.
#
# ## 7. A fair unit: bits per byte
#
# Can we compare losses of models with different tokenizers? Not for each token: long tokens are harder to guess, but there are fewer of them.
# So we divide the surprise of the whole text by something that does not depend on the tokenizer, its bytes:
#
# ```math
# \text{bits per byte} = \frac{L}{\ln 2} \cdot \frac{\text{tokens}}{\text{bytes}}
# ```

# %%
new_bytes = sum(len((text + "\n").encode("utf-8")) for text in new)
for size in (256, 512, 1024):
    tokenizer = Tokenizer.train(seen[:1000], vocab_size=size, split="han")
    ids = [i for text in seen for i in tokenizer.encode(text + "\n")]
    test = [i for text in new for i in tokenizer.encode(text + "\n")]
    loss = loss_of(count_ngrams(ids, 3), 3, test)
    bits_per_byte = loss / math.log(2) * len(test) / new_bytes
    print(f"V = {size:4d}: loss {loss:.2f} nats per token, {bits_per_byte:.2f} bits per byte")

# %% [markdown]
# By the loss the smallest vocabulary looks best, because a byte is easier to guess than a word. By bits per byte it is the worst: there are many more bytes,
# and with `n = 3` the model sees only two of them back.
# A byte is stored in 8 bits, so this is a measure of compression too: with the last of these models the text could be stored in {{100 * bits_per_byte / 8:.0f}} % of its size.
#
# ## 8. The same thing as a network
#
# Let us write the model for `n = 2` in another way. It will look like a detour, but it is the door to everything that follows.
#
# A network gives each possible next token any number at all, called a **logit** `z`. Softmax makes probabilities of them:
#
# ```math
# P(w) = \frac{e^{z_w}}{\sum_{u} e^{z_u}}
# ```
#
# If we choose the logarithms of the counts as logits, we get back the counted model. So a network with one free logit for each pair of tokens can do at least what counting can.
# We check it against the package's cross-entropy, which takes logits:

# %%
import numpy as np

from minigpt.nn import ops

logits = np.full((V, V), math.log(0.001))  # row: the token before, column: the next token
for (before,), row in tables[2].items():
    for token, count in row.items():
        logits[before, token] = math.log(count + 0.001)
losses, _ = ops.cross_entropy_forward(logits[new_ids[:-1]], np.array(new_ids[1:]))
assert math.isclose(losses.mean(), loss_of(tables[2], 2, new_ids), rel_tol=1e-12)
print(f"loss from logits: {losses.mean():.4f}, from counts: {loss_of(tables[2], 2, new_ids):.4f}")

# %% [markdown]
# {{include minigpt.nn.ops:cross_entropy_forward}}
#
# It never makes the probabilities. The logarithm of softmax is the logit minus the logarithm of the sum, and the largest logit
# is taken out first, so that no exponential overflows.
#
# Now the network. Instead of one free number for each pair of tokens ({{V * V}} numbers) we give each token a short vector of `C = 16` numbers,
# its **embedding**. A second table turns the vector into `V` logits. That is {{2 * V * 16}} numbers. Tokens with similar vectors get similar logits: they share.

# %%
rng = np.random.default_rng(0)
C = 16
embedding = rng.normal(scale=0.02, size=(V, C))  # a vector for each token
output = rng.normal(scale=0.02, size=(C, V))

def network_loss(ids):
    x, _ = ops.embedding_forward(np.array(ids[:-1]), embedding)  # (T, C)
    logits, _ = ops.linear_forward(x, output)  # (T, V)
    losses, _ = ops.cross_entropy_forward(logits, np.array(ids[1:]))
    return losses.mean()

print(f"loss of the untrained network {network_loss(new_ids):.3f}, ln V = {math.log(V):.3f}")

# %% [markdown]
# Its numbers are random and small: all logits are close to 0, all tokens are about equally likely, and its loss is that of guessing, `ln V`. **Every** language model should start there.
# If yours does not, something is wrong: often the first numbers are too large (section 9).
#
# Counting reached {{loss_of(tables[2], 2, new_ids):.2f}}. How can the network find numbers that are as good, without counting?
# We must know in which direction to change {{2 * V * C}} numbers so that the loss falls. That is lesson 03.
#
# ## 9. Break it
#
# In section 5 set `a = 0`. The first pair of tokens that was never counted stops everything:

# %%
try:
    loss_of(tables[2], 2, new_ids, a=0.0)
except ValueError:
    print("a = 0: the logarithm of 0 has no value")
for a in (0.00001, 0.001, 0.1):
    print(f"a = {a}: loss {loss_of(tables[2], 2, new_ids, a):.2f} for n = 2, "
          f"{loss_of(tables[5], 5, new_ids, a):.2f} for n = 5")

# %% [markdown]
# Too little, and each unseen token costs dearly. Too much, and the counts drown in the pretended ones. Longer memory suffers more, because its counts are small.
#
# Other edits to try, each with the result to expect:
#
# * Section 4: count only the first 50,000 tokens (`train_ids[:50000]`). The curve on new text turns upwards earlier.
# * Section 6: test on a piece of the counted text. Now `n = 7` is the best. A model must be judged on text that it has not seen.
# * Section 8: use `scale=2.0` for both tables. The untrained loss is far above `ln V`: the network is not ignorant but wrong and sure of it.
#
# ## 10. Exercises
