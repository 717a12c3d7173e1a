"""The authored tables in data/, read once into a World."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from minigpt.files import data_folder
from minigpt.world import facts, parallel, remarks, stories
from minigpt.world.names import EXTRA_SHAPES, TRAINED_SHAPES, with_pronouns
from minigpt.world.shares import PRACTICE, WEIGHTS
from minigpt.world.text import parse_choices, plural, read_table, verb_forms

THINGS = ("objects", "animals", "foods")
WORD_TABLES = (*THINGS, "places", "people", "family", "subjects", "verbs", "activities", "adjectives", "feelings", "weather",
               "numbers", "times", "materials", "positions")


@dataclass(frozen=True, repr=False)
class World:
    """Everything the generator draws from. Words are dicts: the columns of their table and what `read_word` adds."""
    words: dict            # tag -> tuple of words
    names: tuple           # listed names
    avoid: dict            # what an invented name must not be or contain
    facts: tuple           # facts.Fact
    relations: dict        # name -> facts.Relation
    myths: tuple           # rows: question, myth, truth
    plots: dict            # plot -> stories.Plot
    scenes: dict           # the same, of everyday scenes that only training has
    patterns: tuple        # parallel.Pattern
    extra_patterns: tuple  # the same, of plain sentences that only training has
    reactions: tuple       # rows: form, ending, text
    questions: dict        # pattern -> its remarks.Questions, for texts that only training has
    phrasings: dict        # table name -> tuple of rows; "parts" holds the parsed alternatives
    deeds: dict            # "howto" and "harms" -> rows: verb, takes, and for howto the text that helps
    reports: tuple         # rows: part of a weather report, tags of the weather that it suits, text
    held_out_cells: frozenset   # (family, combination of kind, language and format) that training leaves out
    invented: float = 0.7       # share of the people in training whose names are invented
    shapes: tuple = (*TRAINED_SHAPES, *EXTRA_SHAPES)     # of these names
    families: tuple = ("summarise", "translate", "answer", "write", "chat", "refuse")      # of tasks that fit this world
    practice: dict = field(default_factory=PRACTICE.copy)     # SHARES of training
    weights: dict = field(default_factory=WEIGHTS.copy)       # of kinds in training, where they are not their family's
    choice: int = 4                                           # one of so many that are alike is tuned on, the rarest
    cache: dict = field(default_factory=dict, compare=False)   # what was looked up once: words that go with a noun, rows of phrasings, ...


def read_word(row, table):
    """Give a lexicon row the forms that the table leaves out, and its tags: the authored ones and its table."""
    word = {**row, "tags": [table, *row.get("tags", "").split()], "takes": frozenset(row.get("takes", "").split())}
    if table in (*THINGS, "people", "places", "family"):
        word["plural"] = row.get("plural") or plural(row["en"])
    if table in THINGS:
        word["tags"].append("nouns")
    if table in ("verbs", "activities"):
        word.update({form: row[form] or regular for form, regular in verb_forms(row["en"]).items()})
    if table == "adjectives":
        word["bare"] = row["zh"].removesuffix("的")
    if table == "adjectives" and row["pred"]:
        word["tags"].append("described")
        word["stem"] = row["pred"].removeprefix("很")
        word["neg"] = ("没" if word["stem"].startswith("有") else "不") + word["stem"]
        if row["pred"].startswith("很"):
            word["tags"] += ["graded", "compared"] if row["er"] else ["graded"]
    if table == "feelings":     # 不不开心 is no Chinese
        word["neg"] = ("没有" if row["zh"].startswith("不") else "不") + row["zh"]
    word["kinds"] = frozenset((*word["tags"], row["en"]))
    return word


def read_words(folder):
    """All lexicon tables -> tag -> tuple of words; a table's name is a tag of each of its words."""
    by_tag = {}
    for table in WORD_TABLES:
        for row in read_table(folder / f"{table}.tsv"):
            word = read_word(row, table)
            for tag in word["tags"]:
                by_tag.setdefault(tag, []).append(word)
    by_tag["helpers"] = [{**with_pronouns(person), "en": "the " + person["en"]} for person in by_tag["people"]]
    return {tag: tuple(words) for tag, words in by_tag.items()}


def read_authored(path):
    """Read a table of wordings; each row's alternatives are parsed into "parts". -> tuple of rows, of a table that is not there none"""
    return tuple({**row, "parts": parse_choices(row["text"])} for row in read_table(path)) if path.exists() else ()


def english_words(folder):
    """Every word of the tables in folders, names, headers and comments among them, in lower case: no invented name may be one. -> frozenset

    Except those of the tables extra.tsv and of the folder extra, which came after the evaluations were frozen; a name may be one of
    them. A new word in another table ("role") bars a name, and behind that name everything is drawn anew: it changes what `make`
    trains on.
    """
    paths = [path for path in sorted(folder.glob("*/*.tsv")) if path.stem != "extra" and path.parent.name != "extra"]
    return frozenset(word for path in paths for word in re.findall("[a-z]+", path.read_text("utf-8").lower()))


def load_world(data_dir=None):
    """Read the tables of the world, which data/README.md describes. data_dir -> World

    data_dir: the project's data folder where None. ValueError where it has no tables or one of them is malformed.
    """
    folder = Path(data_dir or data_folder())
    if not (folder / "lexicon").is_dir():
        raise ValueError(f"no world tables in {folder}: it has no folder lexicon; set MINIGPT_DATA to the project's data folder")
    try:
        return _read_world(folder)
    except KeyError as error:
        raise ValueError(f"{folder}: a table lacks the column {error}; see its first line") from None


def _read_world(folder):
    words = read_words(folder / "lexicon")
    relations, all_facts = facts.read_facts(folder / "facts", folder / "extra")
    plots = stories.read_plots(folder / "stories")
    return World(
        words=words,
        names=tuple({**with_pronouns(row), "shape": "listed"} for row in read_table(folder / "lexicon" / "names.tsv")),
        avoid={"words": english_words(folder),
               "groups": tuple(row["letters"] for row in read_table(folder / "lexicon" / "avoid.tsv"))},
        facts=all_facts,
        relations=relations,
        myths=tuple(read_table(folder / "facts" / "myths.tsv")),
        plots=plots,
        scenes=stories.read_scenes(folder / "extra" / "scenes.tsv", next(iter(plots.values())).shared),
        reactions=read_authored(folder / "stories" / "reactions.tsv"),
        patterns=parallel.read_patterns(folder / "parallel" / "patterns.tsv"),
        extra_patterns=parallel.read_patterns(folder / "parallel" / "extra.tsv") + parallel.read_patterns(folder / "extra" / "patterns.tsv"),
        questions=remarks.read_questions(folder / "extra" / "remarks.tsv"),
        phrasings={path.stem: read_authored(path) + read_authored(folder / "extra" / path.name) for path in sorted((folder / "phrasings").glob("*.tsv"))},
        deeds={name: tuple(read_table(folder / "deeds" / f"{name}.tsv")) for name in ("howto", "harms")},
        reports=read_authored(folder / "weather.tsv"),
        held_out_cells=frozenset((row["family"], row["cell"]) for row in read_table(folder / "held_out_cells.tsv")))
