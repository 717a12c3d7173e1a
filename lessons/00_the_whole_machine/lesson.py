# title: The whole machine in sixty seconds
# question: What is an InstructGPT?
# needs: Python, and curiosity; every word that is new here is explained in a later lesson
# builds: a first conversation with a model, the loop with which it writes, and a table that says how likely its answer is, with and without the question
# minutes: 30
# files: model config sample.chat

# %% [markdown]
# ## 1. Ask it something
#
# Before we build the machine, we switch it on.

# %% volatile
from minigpt import InstructGPT

gpt = InstructGPT.from_pretrained("micro")
for instruction in ("What is the capital of Japan?",
                    "Please translate this into Chinese: Jack went to the park yesterday.",
                    "Hello! My name is Tom."):
    print("you:", instruction)
    print("gpt:", gpt.answer(instruction))

# %% [markdown]
# You gave instructions in plain words, and a program answered. It ran on your own computer, without a network.
#
# A program like this is called an **InstructGPT**, after a model that OpenAI described in 2022.
# ChatGPT, its better-known sibling, was made in much the same way. The largest InstructGPT had 175 billion numbers inside.
# Ours has {{gpt.model.num_parameters() / 1e6:.1f}} million. Such numbers are called **parameters**, and nobody typed them in: they were learned.
#
# Ours is tiny, and so is the world that it knows: a few names, animals, places, facts, and simple sentences in English and Chinese. Ask it about anything else and it will be wrong, or say that it does not know.
# But it has **all the parts** of the large ones. That is why it can be taken apart, down to the last multiplication. The lessons do that.
#
# ## 2. Text in, text out
#
# Three things were loaded by that one name:
#
# * a **configuration**: the sizes of the model, a dozen numbers;
# * the **model** itself: the parameters;
# * a **tokenizer**: it cuts text into pieces, called **tokens**, and gives each a number.
#
# We load them one by one, this time for the sister of our model, `micro-base`. (What distinguishes the two is the subject of section 4.)

# %%
from minigpt import GPT, GPTConfig, Tokenizer

config = GPTConfig.from_pretrained("micro-base")
model = GPT.from_pretrained("micro-base", config=config)
tok = Tokenizer.from_pretrained("micro-base")
print(f"{config.vocab_size} tokens, {config.n_layer} layers of {config.n_embd} channels")
print(f"reads at most {config.block_size} tokens, has {model.num_parameters():,d} parameters")

# %% [markdown]
# Now the four steps that every program with a language model goes through: encode, generate, decode, print.
# (In the comments `T` is the number of tokens in a text and `V` that in the vocabulary; `(1, T)` is an array of one row with `T` numbers.)

# %% volatile
import textwrap

text = " Last Sunday"
ids = tok.encode(text, return_tensors="np")  # (1, T)
out = model.generate(ids, max_new_tokens=40, temperature=0.0)  # (1, T + 40)
print("tokens: ", [tok.decode([token]) for token in ids[0]])
print("numbers:", ids[0].tolist())
print(textwrap.fill("written:" + tok.decode(out[0]), 90))

# %% [markdown]
# (Why does the text begin with a space? Because to a tokenizer "Last" and " Last" are different pieces. Lesson 01 tells the story.)
#
# ## 3. The smallest wrong idea: it looks things up
#
# Is there a list of questions with answers somewhere in the model? No. There is no sentence in it at all, only numbers.
#
# The model can do exactly one thing. Given the tokens so far, it gives **every** token of its vocabulary a score: how well would this one go on?
# A simple formula, the **softmax**, turns scores into probabilities that add up to 1.

# %% volatile
import numpy as np

def next_token(model, ids):
    """The probability of each token to come next. ids (1, T) -> (V,)"""
    logits, _ = model.forward(ids)  # (1, T, V), the scores
    scores = logits[0, -1].astype(float)
    p = np.exp(scores - scores.max())
    return p / p.sum()

p = next_token(model, ids)
print(f"{len(p)} probabilities, which add up to {p.sum():.3f}. After {text!r}:")
for token in np.argsort(-p)[:6]:
    print(f"{p[token]:7.3f}  {tok.decode([token])!r}")

# %% [markdown]
# So how does it write whole sentences? With a loop. Take the likeliest token, append it, ask again.

# %%
def write(model, ids, count):
    for _ in range(count):
        best = next_token(model, ids).argmax()
        ids = np.append(ids, [[best]], axis=1)  # (1, T + 1)
    return ids

ours = write(model, ids, count=12)
theirs = model.generate(ids, max_new_tokens=12, temperature=0.0, stop=())
assert np.array_equal(ours, theirs)
print("our loop and the package's `generate` wrote the same", ours.shape[1], "tokens")

# %% [markdown]
# That is the secret of all these machines. **They guess the next token, and then the next.** Everything else in this course is about how to guess well.
#
# To see the guesses change, we let the model write and look at the best five candidates before each token.

# %%
from pathlib import Path

from minigpt.show.plot import new_figure, save_svg

FIGURES = Path(__file__).parent / "figures"
start = tok.encode(" Last Sunday", return_tensors="np")
print("the beginning:", [tok.decode([token]) for token in start[0]])

# %% volatile
figure, panels = new_figure(columns=4, width=8.4, height=2.8, sharex=True)
for step, axes in enumerate(panels):
    so_far = write(model, start, count=step)
    p = next_token(model, so_far)
    best = np.argsort(-p)[:5][::-1]
    words = [repr(tok.decode([t])) for t in best]  # with the space that belongs to it
    words = [w if max(w, default="") < "\u0370" else "(Chinese)" for w in words]  # for the font
    axes.barh([f"{rank}: {word}" for rank, word in zip("54321", words)], p[best])
    axes.set_axisbelow(True)
    axes.set(title=f"...{tok.decode(so_far[0])[-12:]} ?")
axes.set_xlim(0)  # shared by all
figure.supxlabel("probability of the next token", fontsize=11)
save_svg(figure, FIGURES / "guesses.svg", "Four bar charts: the five likeliest next tokens after "
         "the beginning of a sentence, and after each of the three tokens written next.")

# %% [markdown]
# ## 4. The base continues, the tuned one answers
#
# There are two models in the box, and they differ in what they were trained on.
#
# * `micro-base` has only **read**. It saw stories, facts, translations, quizzes and people talking, and learned to go on with them. This is called **pretraining** (lesson 10).
# * `micro` is the same model after a second school. There it saw **instructions with good answers**. This is called **instruction tuning** (lesson 12).
#
# We give both exactly the same tokens. Around the instruction stand special tokens that say who speaks:

# %% volatile
base = InstructGPT.from_pretrained("micro-base")
instructions = ("What is the capital of Japan?", "Hello! My name is Tom.",
                "Please translate this into Chinese: Jack went to the park yesterday.")
print(gpt.tokenizer.decode(gpt.prompt([{"role": "user", "content": instructions[0]}])))
for instruction in instructions:
    print(f"\nyou:   {instruction}")
    for name, assistant in (("base", base), ("micro", gpt)):
        print(f"{name + ':':6s}", assistant.answer(instruction).replace("\n", " / ")[:88])

# %% [markdown]
# The base model does not disobey. It has never met these special tokens, nor a chat of this form. It was made to go on with a text, and it goes on.
# Three examples prove nothing, though. So we give both models instructions that were held out: neither has seen them in training. A program checks the whole answer.

# %% volatile
import contextlib
import io

from minigpt.evaluate import tasks
from minigpt.world import load_world, small_world

questions = tasks.evaluation_examples(small_world(load_world()), "dev", n=25)
right = {}
for name, assistant in (("base", base), ("micro", gpt)):
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
        answers = tasks.answer_all(assistant, questions)
    right[name] = np.array(tasks.score(questions, answers))
    print(f"{name:5s} right answers: {100 * right[name].mean():3.0f} % of {len(questions)}")

# %% volatile
families = list(dict.fromkeys(question.family for question in questions))
figure, axes = new_figure(height=3.0)
for shift, (name, outcomes) in zip((-0.2, 0.2), right.items()):
    share = [100 * np.mean([outcome for question, outcome in zip(questions, outcomes)
                            if question.family == family]) for family in families]
    axes.bar(np.arange(len(families)) + shift, share, width=0.38, label=name)
    for place, height in enumerate(share):
        axes.text(place + shift, height + 1, f"{height:.0f}", ha="center", fontsize=9)
axes.set_xticks(range(len(families)), families)
axes.set_axisbelow(True)
axes.set(ylabel="right answers (%)", ylim=(0, 115))
axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2)
save_svg(figure, FIGURES / "base_and_tuned.svg", "Right answers of the base and of the tuned "
         "model for each family of instructions.")

# %% [markdown]
# This is the discovery behind InstructGPT. The base model is not stupid: it has read much of what the answers need, and gives many of them when the task is the beginning of a text
# to go on with (lessons 10 and 13 get them out of it). What it lacks most is the habit of answering.
# Ours was taught longer than it had read; for GPT-3 the teaching was cheap beside the reading.
# In OpenAI's study people preferred the answers of a tuned model with 1.3 billion parameters
# to those of the untuned one with 175 billion (Ouyang and others, 2022). Their tuning went further than ours: after the good answers,
# the model also learned from people's comparisons of its answers. (These lessons end before that step.)
#
# ## 5. One model, five jobs
#
# A summary, a translation, an answer, a story, a chat. Do we need five programs for that? We need one, and five instructions.

# %% volatile
story = ("Last Sunday there was a race by the river. Jack ran against Melda. The prize was a "
         "blue kite. Melda came first and won. Melda went home with the kite and was so happy.")
jobs = {"summarise": "Summarise this story in one sentence: " + story,
        "translate": "Translate this into English: 昨天杰克去了公园。",
        "answer": "What is the opposite of hot?",
        "write": "Write a story about Jack. Use the word kite. Let it end happily.",
        "chat": "Good morning! How are you?"}
for job, instruction in jobs.items():
    print(f"{job + ':':11s}{gpt.answer(instruction)}")

# %% [markdown]
# There is no switch for the job. The instruction is part of the text, and the most likely continuation of *Summarise this ...* is a summary.
#
# Check them against their instructions: who won the race in the story, and who wins in the summary? Some of the jobs are hard for so small a model, and an answer that sounds right can be false. Never judge a model by five samples that somebody picked. Lesson 14 is about that.
#
# A chat needs a memory. Where is it?

# %% volatile
messages = []
for line in ("Hello! My name is Tom.", "I have a black cat.", "What is my name?"):
    messages.append({"role": "user", "content": line})
    reply = gpt.chat(messages)
    messages.append({"role": "assistant", "content": reply})
    print(f"you: {line}\ngpt: {reply}")
print("\nwhat it read before the last answer:")
print(gpt.tokenizer.decode(gpt.prompt(messages[:-1])).replace("<|end|>", "<|end|>\n"))

# %% [markdown]
# The memory is in the list `messages`, not in the model. For each answer the model reads the whole conversation again, from the first word.
# Once that is longer than the context of 256 tokens, the oldest turns are left out (exercise 4). What is not in the text that it reads does not exist for it.
#
# ## 6. How likely is an answer?
#
# Each token of an answer has a probability, given the instruction and the tokens before. Their product is the probability of the whole answer:
#
# ```math
# P(w_1 \dots w_T \mid \text{instruction}) = \prod_t P(w_t \mid \text{instruction}, w_1 \dots w_{t-1})
# ```
#
# Read it as: the first token given the instruction, times the second given the instruction and the first, and so on. If you understand this line, you understand what an InstructGPT computes.
# We take logarithms, so that the product becomes a sum.

# %%
def log_probabilities(model, prompt, answer):
    """log P of each token of an answer, given the prompt and the tokens before. -> (T,)"""
    logits, _ = model.forward(np.array([prompt + answer]))  # (1, n + T, V)
    scores = logits[0, len(prompt) - 1:-1].astype(float)  # (T, V), what was said before each token
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))  # (T, V)
    return log_p[np.arange(len(answer)), answer]

question = [{"role": "user", "content": "What is the capital of Japan?"}]
written = gpt.generations([question])[0]  # ids, and the log-probabilities that the sampler saw
answer = written.ids + written.stopped  # with <|end|>, by which the model says that it is done
ours = log_probabilities(gpt.model, written.prompt, answer)
assert np.allclose(ours, written.logprobs, atol=1e-3)
print(f"log P of {len(ours)} tokens, from one forward and from the sampler: the same")

# %% [markdown]
# Now the same answer, word for word, after three different instructions: the right one, none at all, and a wrong one.

# %% volatile
wrong = [{"role": "user", "content": "What is the opposite of hot?"}]
given = {"the instruction": question, "nothing": [], "a wrong instruction": wrong}
log_p = {label: log_probabilities(gpt.model, gpt.prompt(messages), answer)
         for label, messages in given.items()}
print(f"{'token':12s}", *(f"{label:>20s}" for label in given))
for t, token in enumerate(answer):
    print(f"{gpt.tokenizer.decode([token]):12s}",
          *(f"{np.exp(log_p[label][t]):20.4f}" for label in given))
print(f"{'all of it':12s}", *(f"{np.exp(log_p[label].sum()):20.1e}" for label in given))

# %% volatile
figure, axes = new_figure(height=3.6)
pieces = [f"{t + 1}: {gpt.tokenizer.decode([token]).strip()}" for t, token in enumerate(answer)]
for (label, values), style in zip(log_p.items(), ("o-", "s--", "^:")):
    axes.plot(range(len(answer)), np.cumsum(values) / np.log(10), style, label=f"given {label}")
axes.set_xticks(range(len(answer)), pieces, rotation=30, ha="right")
axes.set(ylabel="log10 of the probability so far", xlabel="token of the answer")
axes.legend(loc="upper right", bbox_to_anchor=(1, 0.9))
save_svg(figure, FIGURES / "given.svg", "The probability of one and the same answer, token by "
         "token, given the instruction, given nothing, and given a wrong instruction.")

# %% [markdown]
# The axis counts powers of ten: -3 is one in a thousand. Given the question, the answer is likely. Given another question or none, the very same words are far less likely.
# The question changed nothing but the text in front. This is what *conditional* means in *conditional generation*. Lesson 13 is about nothing else.
#
# ## 7. Break it
#
# So far we took the likeliest token at each step. We may also **draw** the token by its probability, like a ball from an urn. The **temperature** says how boldly: 0 always takes the likeliest,
# 1 draws by the model's own probabilities, more makes the unlikely likelier. What will happen if you turn it up?

# %% volatile
for temperature in (0.0, 0.7, 1.5, 3.0):
    reply = gpt.answer("What is the capital of Japan?", temperature=temperature, seed=1)
    print(f"temperature {temperature}: {reply.replace(chr(10), ' / ')[:84]}")

# %% [markdown]
# A hot model falls to pieces. With thousands of tokens to choose from, a few absurd ones get their chance at each step, and one absurd token is enough to lead all the following astray. Lesson 11 draws this as a picture.
#
# Other edits to try, each with the result to expect:
#
# * Section 1: call `gpt.answer(instruction, max_new_tokens=2)`. The answer stops after two tokens, in the middle of a sentence. The model does not know that it has been cut off.
# * Section 2: write `GPT.from_pretrained("macro")`. One line of error says which checkpoints there are.
# * Section 5: give the model the last question alone, `gpt.answer("What is my name?")`, without the messages before. It cannot know your name, whatever it says.
# * Section 6: take an answer that is right but that the model did not write, such as *It is Tokyo.* Its probability is small: the model has one style, and all others are unlikely to it.
#
# ## 8. The map
#
# This is the machine. The numbers are the lessons that open its parts.
#
# ```text
#            your instruction
#                   |
#                   v
#        text becomes tokens (01) <------------------------------.
#                   |                                            |
#                   v                                            |
#        vectors that know their places (04)                     |  and again,
#                   |                                            |  with the new token
#                   v                                            |
#        attention (05) and feed-forward layers,                 |
#        several times one after the other (07)                  |
#                   |                                            |
#                   v                                            |
#        a score for each token, and one is drawn (11) ----------'
#                   |
#                   v
#              the answer
# ```
#
# How did the model get its numbers? It learns by gradients (03, 06) and a rule for steps (08). This one learned in an hour, a smaller one learns in minutes, because the code is fast (09).
# It knows because it has read (10). It answers because it was shown instructions (12, 13). And we know how well because we measure (14).
# Lesson 02 builds a model without any learning, by counting. Every network has to beat that one first.
#
# If you come from an article about InstructGPT, here is where its words live:
#
# | the article says | lesson |
# |---|---|
# | word segmentation, tokens | 01 |
# | generative model, P(w_1..w_T) | 02 |
# | position encoding | 04 |
# | self-attention and long-range dependencies | 05, sections 9 and 10 |
# | pretraining | 10 |
# | softmax and sampling | 11 |
# | multi-task learning | 12, section 7, and 13, section 10 |
# | conditional generation: text for a given instruction | 13 |
# | summaries, translation, question answering, text generation, chatbot | 13, section 6, measured in section 8 |
# | challenge: data quality | 10, sections 7 and 12 (a bad order, too little text), and 14, section 10 (tests that leaked) |
# | challenge: model scale | 07, sections 6 to 8, and 10, section 12 |
# | challenge: safety | 13, section 6 (refusing what does harm), and 12, sections 2 and 3 (forged turns) |
# | challenge: interpretability | 05, section 11, 10, sections 8 and 10, and 13, sections 4 and 7 |
#
# Not in these lessons: learning from people's comparisons (reward model, PPO).

# %%
from minigpt.course.cells import find_folders, lessons_folder, read_lesson

for number, folder in find_folders(lessons_folder()).items():
    header = read_lesson(folder / "lesson.py").header
    print(f"{number}  {header['title']}\n      {header['question']}")

# %% [markdown]
# Three ways through: if you want to understand the transformer, read 01 to 07 in order. If you only want to know how a model is made to answer, read 01, 02, 10, 12 and 13.
# If you are here for speed, read 03, 05, 07 and 09. Each lesson says at its top what it needs; what a way leaves out is taken on trust. Four other ways, step by step, are in [the reading paths](../guides/reading_paths.md).
#
# ## 9. Exercises
