"""How many instructions of each family does a model carry out? Greedy answers, checked by the world's verifiers."""
import dataclasses

from minigpt.config import ANSWER
from minigpt.evaluate import report
from minigpt.nn.threads import worker_pool
from minigpt.sample.generate import generate
from minigpt.sample.stopping import cut_before, ends_with
from minigpt.show.progress import Progress
from minigpt.text.template import render
from minigpt.world import FAMILIES, examples, verify

BATCH = 32  # prompts side by side: with 64 the two workers' caches and activations take 150 MB more and save no time
STYLES = ("chat", "plain", "few-shot", "natural")
LONGEST = ANSWER.max_new_tokens
NOT_SHOWN = ("more", "careless", "scenes", "remarks", "digits", "reverse", "single")  # of what training practises: evaluations have none of it


def evaluation_examples(world, split, n, seed=0):
    """n examples per family from "dev" or "test" -> list of Example"""
    return [example for family in world.families for example in examples(world, family, split, n, seed)]


def answer_all(assistant, questions, style="chat", label="evaluating", shots=None):
    """The model's answer to every example -> list of texts.

    assistant: InstructGPT. style "chat": through the chat template; "plain": as Question / Answer text, which is how a model
    that has only seen text can be asked; "few-shot": the same after solved examples of the same kind, as many as fit;
    "natural": as the beginning of a text like those that it has read ("... In Chinese:"), where there are such, else "plain".
    shots: {(family, kind): list of Example} for "few-shot", from `few_shots`. label: of the progress shown; None: none.
    A conversation that is too long for the model's context has no answer: "".
    """
    if style == "chat":
        render([], assistant.tokenizer)  # refuses a tokenizer without the template's tokens
    order = sorted(range(len(questions)), key=lambda i: sum(len(m["content"]) for m in questions[i].messages))  # little padding
    chunks = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    answers = [None] * len(questions)
    too_long, progress = [], Progress(label, len(questions), unit="answers")

    def work(chunk):
        if style == "chat":
            too_long.extend(i for i in chunk if not _fits(assistant, questions[i]))
            chunk = [i for i in chunk if i not in too_long]
            texts = assistant.answers([questions[i].messages for i in chunk])
        else:
            solved = [(shots or {}).get((questions[i].family, questions[i].kind), ()) if style == "few-shot" else () for i in chunk]
            texts = _continuations(assistant, [_as_text(assistant, questions[i], examples, style == "natural")
                                               for i, examples in zip(chunk, solved)])
        for i, text in zip(chunk, texts):
            answers[i] = text
        progress.update(len(too_long) + sum(answer is not None for answer in answers))

    with worker_pool(shards=len(chunks)) as run_all:
        run_all(work, chunks)
    if label and too_long:
        print(f"{len(too_long)} of {len(questions)} prompts are too long for the context of {assistant.model.config.block_size} and count as wrong", flush=True)
    return [answer or "" for answer in answers]


def _fits(assistant, question):
    try:
        return bool(assistant.prompt(question.messages, LONGEST))  # with as much room behind it as `answers` wants
    except ValueError:
        return False


def dev_scores(assistant, world, n):
    """-> on_eval(step, model) for the trainer: shares of right answers to n dev prompts per family, their mean as "dev".

    assistant: InstructGPT around the model in training. They are drawn with another seed than those of `run` and `eval`, which
    only a few short prompts have in common with them, so that choosing a model by them flatters no table.
    """
    asked = evaluation_examples(world, "dev", n, seed=1)

    def on_eval(step, model):
        outcomes = score(asked, answer_all(assistant, asked, label=None))
        shares = {f"dev {name}": sum(o for e, o in zip(asked, outcomes) if e.family == name) / n for name in world.families}
        return {**shares, "dev": sum(shares.values()) / len(shares)}

    return on_eval


def few_shots(world, most=8):
    """Solved training examples of every kind, as short and as neat as evaluated ones -> {(family, kind): list of Example}"""
    world = dataclasses.replace(world, practice={**world.practice, **dict.fromkeys(NOT_SHOWN, 0.0)}, cache={})
    return {(name, kind): examples(world, name, "train", most, 0, kind) for name in world.families for kind in FAMILIES[name].kinds}


def best_styles(assistant, world, n=20):
    """How a base model is best asked for each kind of task, by n dev prompts of each -> {(family, kind): (style, share right)}"""
    asked, shots, best = report.questions(world, "dev", n, seed=1), few_shots(world), {}
    for style in STYLES:
        outcomes = score(asked, answer_all(assistant, asked, style, f"{style} prompts", shots))
        for kind in shots:
            share = sum(o for e, o in zip(asked, outcomes) if (e.family, e.kind) == kind) / n
            if share > best.get(kind, ("", -1.0))[1]:
                best[kind] = style, share
    return best


def answer_by_style(assistant, questions, world, styles):
    """`answer_all` with the style that `best_styles` found for each kind -> list of texts"""
    answers, shots = [None] * len(questions), few_shots(world)
    for style in STYLES:
        chosen = [i for i, q in enumerate(questions) if styles[q.family, q.kind][0] == style]
        if chosen:
            texts = answer_all(assistant, [questions[i] for i in chosen], style, f"evaluating, {style} prompts", shots)
            for i, text in zip(chosen, texts):
                answers[i] = text
    return answers


def _as_text(assistant, question, solved, natural=False):
    """The ids of a question as text, after as many solved examples as leave room for the answer, or in its natural form."""
    def written(example, answer):
        turns = [("Question: " if m["role"] == "user" else "Answer: ") + m["content"] for m in example.messages]
        return " " + "\n ".join(turns) + " Answer:" + answer

    tok, room = assistant.tokenizer, assistant.model.config.block_size - LONGEST
    if room < 1:
        raise ValueError(f"the context is {assistant.model.config.block_size}; a question as plain text needs more than the {LONGEST} of its answer")
    text = question.natural if natural and question.natural else written(question, "")
    ids = tok.encode_ordinary(text)[-room:]
    for example in solved:
        before = tok.encode_ordinary(written(example, f" {example.answer}\n"))
        if len(before) + len(ids) <= room:
            ids = before + ids
    return ids


def _continuations(assistant, prompts):
    """What a model that continues text makes of each prompt (ids), up to the end of the line -> list of texts"""
    rows = generate(assistant.model, prompts, ANSWER, assistant.stop, ends=ends_with(assistant.tokenizer, ("\n",)), vocab_size=assistant.tokenizer.vocab_size)
    return [cut_before(assistant.tokenizer.decode(row.ids, skip_special_tokens=True), ("\n",)).strip() for row in rows]


def score(questions, answers, right=verify):
    """-> list of bool, one per example"""
    return [right(question, answer) for question, answer in zip(questions, answers, strict=True)]


def summary(questions, outcomes, facet=None):
    """Right and total per family and kind, or also per value of a facet of the examples -> {"family / kind": (right, n)}"""
    counts = {}
    for question, outcome in zip(questions, outcomes, strict=True):
        key = f"{question.family} / {question.kind}" + (f" / {facet} {question.facets.get(facet, '-')}" if facet else "")
        right, n = counts.get(key, (0, 0))
        counts[key] = right + outcome, n + 1
    return dict(sorted(counts.items())) if facet else counts


def comparison(columns):
    """{"base": {"family / kind": (right, n)}, "tuned": ...} -> a table as text; the last column with its 95 % interval."""
    return report.rows_as_text(columns, first="family / kind", digits=0)
