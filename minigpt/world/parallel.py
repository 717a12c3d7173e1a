"""Parallel English-Chinese sentences from a synchronous grammar: one draw of words fills both sides of a pattern."""

import random
from collections import Counter
from dataclasses import dataclass

from minigpt.world.draw import draw, parse_slots
from minigpt.world.shares import is_due
from minigpt.world.text import capital, fill, read_table, tidy_chinese


FORMS = (" {english} In Chinese: {chinese}", " {chinese} In English: {english}", " English: {english}\n Chinese: {chinese}",
         " Chinese: {chinese}\n English: {english}")
WORD_LISTS = ("objects", "animals", "foods", "places", "people")


@dataclass(frozen=True)
class Pattern:
    """One row of patterns.tsv or extra.tsv. The first English and Chinese wordings are the reference, all of them are right."""
    name: str
    slots: tuple
    english: tuple
    chinese: tuple


@dataclass(frozen=True)
class Pair:
    """A sentence in both languages: reference, everything acceptable, and the words it was made from."""
    pattern: str
    english: tuple
    chinese: tuple
    words: dict


def read_patterns(path):
    """Read patterns.tsv or extra.tsv; wordings of one side are separated by " / ". -> tuple of Pattern"""
    return tuple(Pattern(row["pattern"], parse_slots(row["slots"]), tuple(row["english"].split(" / ")),
                         tuple(row["chinese"].split(" / "))) for row in read_table(path))


def sentence_pair(world, rng, split):
    """Draw one sentence pair whose word pairs belong to `split`. Training has plain ones too and may prefer rare words. -> Pair"""
    pattern = rng.choice(world.extra_patterns if is_due(world, rng, split, "plain") else world.patterns)
    words = draw(world, pattern.slots, rng, split)
    if is_due(world, rng, split, "rare"):
        draws = [words, *(draw(world, pattern.slots, rng, split) for _ in range(3))]
        words = min(draws, key=lambda words: min((word_counts(world)[key] for key in word_keys(words)), default=0))
    english = tuple(capital(fill(wording, words)) for wording in pattern.english)
    chinese = tuple(tidy_chinese(fill(wording, words, "zh")) for wording in pattern.chinese)
    return Pair(pattern.name, english, chinese, words)


def word_counts(world):
    """How often each word is drawn when nothing is preferred (a car 20 times as often as a tent). -> Counter"""
    if "word counts" not in world.cache:
        rng = random.Random(0)
        draws = [draw(world, rng.choice(world.patterns).slots, rng, "train") for _ in range(10_000)]
        world.cache["word counts"] = Counter(key for words in draws for key in word_keys(words))
    return world.cache["word counts"]


def word_keys(words):
    """The words of a draw that stand in the lexicon, each as (English, Chinese)."""
    return [(word["en"], word["zh"]) for word in words.values() if "shape" not in word]


def parallel_document(world, rng):
    """Pretraining text: one to three sentences with their translation, or a few single words, in a form that can be continued."""
    if rng.random() < 0.25:
        words = [rng.choice(world.words[rng.choice(WORD_LISTS)] if rng.random() < 0.85 else world.names) for _ in range(4)]
        if rng.random() < 0.6:
            return " " + " ".join(f"In Chinese, {word['en']} is {word['zh']}." for word in words)
        return " " + " ".join(f"In English, {word['zh']} is {word['en']}." for word in words)
    form, pairs = rng.choice(FORMS), [sentence_pair(world, rng, "train") for _ in range(rng.randint(1, 3))]
    return "\n".join(form.format(english=pair.english[0], chinese=pair.chinese[0]) for pair in pairs)
