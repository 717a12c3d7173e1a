"""The authored tables in data/, read once into a World."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from minigpt.world.names import listed_name
from minigpt.world.text import parse_choices, plural, read_table, verb_forms

NOUN_TABLES = ("objects", "animals", "foods", "places", "people")
WORD_TABLES = NOUN_TABLES + ("verbs", "adjectives", "numbers", "times")


@dataclass(frozen=True)
class World:
    """Everything the generator draws from. Words are dicts: the columns of their table, plus `table`, `tags` and `takes` as tuples."""
    words: dict            # tag -> tuple of words
    names: tuple           # listed names
    avoid: dict            # what an invented name must not be or contain
    facts: tuple           # facts.Fact
    relations: dict        # relation -> {"state": (...), "ask": (...), ...}
    plots: dict            # plot -> stories.Plot
    patterns: tuple        # parallel.Pattern
    phrasings: dict        # table name -> tuple of rows; "parts" holds the parsed alternatives
    cache: dict = field(default_factory=dict, compare=False)   # (tag, noun) -> words that go with it


def data_folder(data_dir=None):
    """The folder of the tables: the argument, else MINIGPT_DATA, else data/ beside the package."""
    folder = Path(data_dir or os.environ.get("MINIGPT_DATA") or Path(__file__).resolve().parents[2] / "data")
    if not (folder / "lexicon").is_dir():
        raise ValueError(f"no world tables in {folder}: it has no folder lexicon; set MINIGPT_DATA to the project's data folder")
    return folder


def read_word(row, table):
    """Give a lexicon row its regular forms where the table leaves them out."""
    word = {**row, "table": table, "tags": tuple(row.get("tags", "").split()), "takes": tuple(row.get("takes", "").split())}
    if table in NOUN_TABLES:
        word["plural"] = row.get("plural") or plural(row["en"])
    if table == "verbs":
        for form, regular in verb_forms(row["en"]).items():
            word[form] = row.get(form) or regular
    return word


def read_words(folder):
    """All lexicon tables -> tag -> tuple of words; a table's name is a tag of each of its words."""
    by_tag = {}
    for table in WORD_TABLES:
        for row in read_table(folder / f"{table}.tsv"):
            word = read_word(row, table)
            for tag in (table, *word["tags"]):
                by_tag.setdefault(tag, []).append(word)
    return {tag: tuple(words) for tag, words in by_tag.items()}


def read_phrasings(folder):
    """All phrasing tables -> name -> tuple of rows with their alternatives parsed into "parts"."""
    return {path.stem: tuple({**row, "parts": parse_choices(row["text"])} for row in read_table(path))
            for path in sorted(folder.glob("*.tsv"))}


def load_world(data_dir=None):
    """Read the tables of the world (see data/README.md). data_dir -> World; ValueError where a table is missing or malformed."""
    from minigpt.world import facts, parallel, stories
    folder = data_folder(data_dir)
    words = read_words(folder / "lexicon")
    english = {word["en"].lower() for group in words.values() for word in group}
    avoid = {"words": frozenset(english), "groups": tuple(row["letters"] for row in read_table(folder / "lexicon" / "avoid.tsv"))}
    relations, all_facts = facts.read_facts(folder / "facts")
    return World(words=words, names=tuple(listed_name(row) for row in read_table(folder / "lexicon" / "names.tsv")), avoid=avoid,
                 facts=all_facts, relations=relations, plots=stories.read_plots(folder / "stories"),
                 patterns=parallel.read_patterns(folder / "parallel"), phrasings=read_phrasings(folder / "phrasings"))
