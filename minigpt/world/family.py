"""What all task families share: the Example, the phrasing of an instruction, facets, and exact checking."""

import re
from dataclasses import dataclass, field

from minigpt.world.splits import seen_by
from minigpt.world.shares import is_due
from minigpt.world.text import choose

TEXTS = ("{story}", "{text}")     # slots of wordings that hold what an instruction is about
_BEGINNING = re.compile(r"^[a-z]|(?<=[.!?] )[a-z]|(?<=[。！？])[a-z]")


@dataclass(frozen=True)
class Example:
    """One instruction with its reference answer.

    messages end with the user's; facets say which generalisation the example tests; accept lists the right answers where
    there are several; wants holds what a verifier checks where no list could; vocabulary the words an answer may use (empty: any);
    natural the same task as the beginning of a document of the pretraining text, where there are such (else empty).
    """
    family: str
    kind: str
    messages: tuple
    answer: str
    facets: dict
    accept: tuple = ()
    wants: dict = field(default_factory=dict)
    vocabulary: frozenset = field(default=frozenset(), repr=False, compare=False)
    natural: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class Family:
    """A task family: its kinds with their weights, how to make an example, how to check an output."""
    name: str
    kinds: dict            # kind -> weight; of training a world's `weights` change some
    make: object           # (world, rng, split, kind) -> Example
    verify: object         # (example, output) -> bool
    hashed: tuple = ()     # kinds without held-out pairs of words: a hash of the whole prompt keeps their splits apart


def phrasing_rows(world, table, split, **wanted):
    """The rows of a phrasing table that belong to a split ("training": "train" and "extra") and have the wanted values."""
    splits = ("train", "extra") if split == "training" else (split,)
    key = (table, split, *wanted.items())
    if key not in world.cache:
        world.cache[key] = [row for row in world.phrasings[table] if row["split"] in splits
                            and all(row[column] == value for column, value in wanted.items())]
    return world.cache[key]


def draw_phrasing(world, table, rng, split, seen=False, **wanted):
    """Draw an instruction's wording: rows of training, in evaluation half of the time rows held out for that split.

    seen: never a held-out one. -> (wording with its {slots} unfilled, "seen" or "held-out", language)
    """
    held_out = phrasing_rows(world, table, split, **wanted) if split != "train" and not seen and rng.random() < 0.5 else []
    row = rng.choice(held_out or phrasing_rows(world, table, seen_by(split), **wanted))
    return choose(rng, row["parts"]), "held-out" if held_out else "seen", row["language"]


def add_aside(world, rng, split, wording, phrasing, language):
    """Three times in ten, put a sentence beside the point before or behind an instruction, away from its text. -> wording"""
    parts = [] if wording.startswith(TEXTS) else ["before"]
    parts += [] if wording.endswith((*TEXTS, ":", "：")) else ["after"]
    if not parts or rng.random() > 0.3:
        return wording
    part = rng.choice(parts)
    wanted = {"language": language, "part": part}
    held_out = phrasing_rows(world, "asides", split, **wanted) if phrasing == "held-out" and rng.random() < 0.5 else []
    rows = held_out or phrasing_rows(world, "asides", seen_by(split), **wanted)
    aside, glue = choose(rng, rng.choice(rows)["parts"]), "" if language == "zh" else " "
    return aside + glue + wording if part == "before" else wording + glue + aside


def draw_around(world, rng, split, language, seen=False):
    """What stands around a question for a fact: in training often nothing, for so do users ask. -> (wording with {question}, phrasing)"""
    if language == "en" and is_due(world, rng, split, "bare"):
        return "{question}", "seen"
    wording, phrasing, _ = draw_phrasing(world, "answer", rng, split, seen, kind="facts", language=language)
    return add_aside(world, rng, split, wording, phrasing, language), phrasing


def draw_language(world, rng, split):
    """The language of an instruction. -> zh or en"""
    return "zh" if is_due(world, rng, split, "chinese") else "en"


def make_facets(world, family, cell, words, phrasing, language, **others):
    """The facets of an example. cell: its combination of kind, language and format, "seen" or "held-out" from training."""
    held_out = (family, cell) in world.held_out_cells
    return {"phrasing": phrasing, "language": language, "name": name_shape(words), "cell": "held-out" if held_out else "seen",
            **others}


def name_shape(words):
    """The least familiar shape among the names in a draw: "listed", "trained shape" or "unseen shape"; "none" without names."""
    shapes = {word["shape"] for word in words.values() if "shape" in word}
    return next((shape for shape in ("unseen shape", "trained shape", "listed") if shape in shapes), "none")


def user(text):
    """A user's message, with a capital letter at every beginning of a sentence."""
    return {"role": "user", "content": _BEGINNING.sub(lambda match: match[0].upper(), text)}


def assistant(text):
    """An assistant's message."""
    return {"role": "assistant", "content": text}


def turns(prompt, say=user):
    """A conversation in one line, its turns separated by " | ", the user's first. say(text): the user's message. -> tuple of messages"""
    return tuple(assistant(turn) if i % 2 else say(turn) for i, turn in enumerate(prompt.split(" | ")))


def normal(text):
    """Text with single spaces and no space at its ends, the form in which answers are compared."""
    return " ".join(text.split())


def verify_exact(example, output):
    """True where the output is the reference or another accepted answer."""
    return normal(output) in {normal(answer) for answer in (example.answer, *example.accept)}
