"""Figures about the world: how large it is, how varied, and how much of an evaluation stands in the training text."""

import itertools
import re
from collections import Counter

from minigpt.world.corpus import MIXTURE, pretraining_documents
from minigpt.world.tasks import FAMILIES, examples, mix, prompt_text
from minigpt.world.text import all_choices


def tokens(text):
    """Words, Chinese characters and punctuation marks of a text, in lower case. -> list"""
    return re.findall(r"[a-z']+|[0-9]+|[^\sa-z0-9]", text.lower())


def ngrams(text, n):
    """The set of the n-grams of a text."""
    words = tokens(text)
    return set(zip(*(words[i:] for i in range(n))))


def distinct_ngrams(texts, n=4):
    """(how many different n-grams, how many in all) in texts: the floor below which the world must not shrink."""
    counts = Counter(gram for text in texts for gram in zip(*(tokens(text)[i:] for i in range(n))))
    return len(counts), sum(counts.values())


def whole_text(example):
    """Prompt and answer of an example."""
    return f"{prompt_text(example)}\n{example.answer}"


def overlap(world, family, split, kind, trained, n=8, count=100):
    """The share of the evaluated n-grams of a kind that stand somewhere in `trained` (a set of n-grams). -> float"""
    shares = []
    for example in examples(world, family, split, count, seed=0, kind=kind):
        grams = ngrams(whole_text(example), n)
        shares.append(len(grams & trained) / max(len(grams), 1))
    return sum(shares) / len(shares)


def training_ngrams(world, n=8, documents=10000, instructions=10000):
    """The n-grams of a stretch of training text: documents and instructions as a model sees them. -> set"""
    grams = set()
    for document in itertools.islice(pretraining_documents(world, 0), documents):
        grams |= ngrams(document, n)
    for name, count in mix(world, instructions).items():
        for example in examples(world, name, "train", count, seed=0):
            grams |= ngrams(whole_text(example), n)
    return grams


def phrasing_counts(world):
    """How many wordings each family's instructions have. -> {table: {split: count}}"""
    return {table: {split: sum(len(all_choices(row["parts"])) for row in rows if row["split"] == split) for split in ("train", "extra", "dev", "test")}
            for table, rows in world.phrasings.items() if "split" in rows[0]}


def print_stats(world):
    """Print size, mixture, splits and overlap."""
    tags = ("objects", "animals", "foods", "places", "people", "verbs", "activities", "adjectives")
    words = {tag: len(world.words[tag]) for tag in tags}
    print(", ".join(f"{count} {tag}" for tag, count in {"names": len(world.names), **words}.items()))
    asked = Counter(fact.split for fact in world.facts)
    print(f"{len(world.facts)} facts (asked in training {asked['train']}, in training alone {asked['extra']}, "
          f"only in dev {asked['dev']}, only in test {asked['test']}), {len(world.myths)} myths, {len(world.plots)} plots, "
          f"{len(world.patterns)} sentence patterns and {len(world.extra_patterns)} of training alone")
    documents = list(itertools.islice(pretraining_documents(world, 0), 10000))
    size = sum(len(document.encode()) for document in documents)
    different, total = distinct_ngrams(documents)
    print(f"\n10000 documents: {size:,} bytes, {sum(len(tokens(document)) for document in documents):,} words and characters, "
          f"{different:,} different 4-grams of {total:,}; wanted shares of the bytes: "
          + ", ".join(f"{kind} {100 * share:.0f} %" for kind, (share, _) in MIXTURE.items()))
    print("\nwordings of instructions (train / extra: shown in training only / dev / test)")
    for table, counts in phrasing_counts(world).items():
        print(f"  {table:10} {counts['train']:6} {counts['extra']:6} {counts['dev']:4} {counts['test']:4}")
    trained = training_ngrams(world)
    print("\nshare of the 8-grams of evaluated prompts and answers that stand in the training text, %")
    for name, family in FAMILIES.items():
        for kind in family.kinds:
            print(f"  {name:10} {kind:14} dev {100 * overlap(world, name, 'dev', kind, trained):5.1f}  test "
                  f"{100 * overlap(world, name, 'test', kind, trained):5.1f}")
