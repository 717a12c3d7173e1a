"""What all task families share: the Example, the phrasing of an instruction, and exact checking."""

from dataclasses import dataclass, field

from minigpt.world.splits import SPLITS
from minigpt.world.text import capital, choose


@dataclass(frozen=True)
class Example:
    """One instruction with its reference answer.

    messages end with the user's; facets say which generalisation the example tests; accept lists the right answers where
    there are several; wants holds what a verifier checks where no list could.
    """
    family: str
    kind: str
    messages: tuple
    answer: str
    facets: dict
    accept: tuple = ()
    wants: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A task family: its kinds with their weights in the tuning mix, how to make an example, how to check an output."""
    name: str
    kinds: dict            # kind -> weight; the weights of all kinds of all families sum to 1
    make: object           # (world, rng, split, kind) -> Example
    verify: object         # (example, output) -> bool


def draw_phrasing(world, table, rng, split, kind=None):
    """Draw an instruction's wording. Training: training rows only; evaluation: half of the time rows held out for that split.

    -> (wording with its {slots} unfilled, facets phrasing, language and format)
    """
    wanted = split if split != "train" and rng.random() < 0.5 else "train"
    rows = world.cache.get((table, kind, wanted))
    if rows is None:
        rows = [row for row in world.phrasings[table] if row["split"] == wanted and (kind is None or row["kind"] == kind)]
        world.cache[table, kind, wanted] = rows
    row = rng.choice(rows)
    facets = {"phrasing": "seen" if wanted == "train" else "held-out", "language": row["language"], "format": row["format"]}
    return choose(rng, row["parts"]), facets


def name_facet(words):
    """The least familiar shape among the names in a draw: "listed", "trained shape" or "unseen shape"; "none" without names."""
    shapes = {word["shape"] for word in words.values() if "shape" in word}
    return next((shape for shape in ("unseen shape", "trained shape", "listed") if shape in shapes), "none")


def user(text):
    """A user's message, with a capital letter."""
    return {"role": "user", "content": capital(text)}


def assistant(text):
    """An assistant's message."""
    return {"role": "assistant", "content": text}


def normal(text):
    """Text with single spaces and no space at its ends, the form in which answers are compared."""
    return " ".join(text.split())


def verify_exact(example, output):
    """True where the output is the reference or another accepted answer."""
    return normal(output) in {normal(answer) for answer in (example.answer, *example.accept)}


def check_split(split):
    """Refuse a split that does not exist."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, but must be one of {', '.join(SPLITS)}")
