"""Figures about the world: how large it is, how varied, and how much of an evaluation stands in the training text."""

import itertools
import random
import re
from collections import Counter

from minigpt.show.progress import table
from minigpt.text.tokenizer import Tokenizer
from minigpt.world.corpus import MIXTURE, pretraining_documents
from minigpt.world.draw import pair_of
from minigpt.world.names import draw_name
from minigpt.world.parallel import sentence_pair
from minigpt.world.splits import SPLITS, split_of
from minigpt.world.stories import tell
from minigpt.world.tasks import FAMILIES, examples, mix, prompt_text
from minigpt.world.text import all_choices

DOCUMENTS = 10000   # of pretraining that are measured
PROOFS = {"train": 2000, "dev": 500, "test": 500}   # what is drawn of each family, name, story and sentence to compare the splits
SIZED = 200         # examples of a kind whose tokens are counted


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


def contents(world, split, n):
    """What a split shows and the others must not. -> {what: set}

    Of the words of a story or sentence only the pairs that are held out for this split count: evaluations have training's ones too.
    """
    rng = random.Random(f"contents/{split}")
    phrasings = ("train", "extra") if split == "train" else (split,)
    return {
        "prompts": {prompt_text(example) for name in FAMILIES for example in examples(world, name, split, n, seed=0)},
        "wordings": {(name, row.get("kind", ""), row.get("part", ""), wording.lower()) for name, rows in world.phrasings.items()
                     for row in rows if row.get("split") in phrasings for wording in all_choices(row["parts"])},
        "questions for facts": {(name, form) for name, relation in world.relations.items()
                                for form in relation.asks["training" if split == "train" else split]},
        "facts asked": {(fact.relation, *(word["en"] for word in fact.words.values())) for fact in world.facts
                        if fact.split in phrasings},
        "invented names": {person["en"] for person in (draw_name(world, rng, split) for _ in range(n)) if person["shape"] != "listed"},
        "pairs of words": {pair for pair in drawn_pairs(world, rng, split, n) if split_of(*pair) == split},
    }


def drawn_pairs(world, rng, split, n):
    """The pairs of words that go together in n stories and n sentences. -> set"""
    slots, found = {pattern.name: pattern.slots for pattern in (*world.patterns, *world.extra_patterns)}, set()
    for _ in range(n):
        story, sentence = tell(world, rng, split), sentence_pair(world, rng, split)
        if "obj" in story.words:
            found.add((story.plot.name, story.words["obj"]["en"]))
        for drawn, words in ((story.plot.slots, story.words), (slots[sentence.pattern], sentence.words)):
            found |= {pair_of(words[slot.name], words[slot.partner]) for slot in drawn if slot.is_pair}
    return found


def shared(world, counts):
    """How much each split shows, and how much any two of them both show, which must be nothing. counts {split: draws}

    -> rows [what, in train, in dev, in test, in two of them]
    """
    found = {split: contents(world, split, n) for split, n in counts.items()}
    rows = []
    for what in found["train"]:
        sets = [found[split][what] for split in SPLITS]
        both = set().union(*(one & other for one, other in itertools.combinations(sets, 2)))
        rows.append([what, *map(len, sets), len(both)])
    return rows


def lengths(world, tok, n):
    """How long prompts and answers are. -> rows [family, kind, tokens of a prompt, of an answer, on average]"""
    rows = []
    for name, family in FAMILIES.items():
        for kind in family.kinds:
            found = examples(world, name, "train", n, seed=0, kind=kind)
            sizes = [sum(len(tok.encode_ordinary(f" {text}")) for text in texts) / n
                     for texts in (map(prompt_text, found), (example.answer for example in found))]
            rows.append([name, kind, *(f"{size:.1f}" for size in sizes)])
    return rows


def print_stats(world, tokenizer):
    """Print size, mixture, splits and overlap. tokenizer: the folder or name of the one that counts tokens."""
    tok = Tokenizer.from_pretrained(tokenizer)
    tags = ("objects", "animals", "foods", "places", "people", "verbs", "activities", "adjectives")
    words = {tag: len(world.words[tag]) for tag in tags}
    print(", ".join(f"{count} {tag}" for tag, count in {"names": len(world.names), **words}.items()))
    asked = Counter(fact.split for fact in world.facts)
    print(f"{len(world.facts)} facts (asked in training {asked['train']}, in training alone {asked['extra']}, "
          f"only in dev {asked['dev']}, only in test {asked['test']}), {len(world.myths)} myths, {len(world.plots)} plots, "
          f"{len(world.patterns)} sentence patterns and {len(world.extra_patterns)} of training alone")
    documents = list(itertools.islice(pretraining_documents(world, 0), DOCUMENTS))
    size, length = sum(len(document.encode()) for document in documents), sum(len(tok.encode_ordinary(document)) for document in documents)
    different, total = distinct_ngrams(documents)
    print(f"\n{DOCUMENTS} documents: {size:,} bytes, {length:,} tokens of {tokenizer} ({size / length:.2f} bytes each), "
          f"{sum(len(tokens(document)) for document in documents):,} words and characters, "
          f"{different:,} different 4-grams of {total:,}; wanted shares of the bytes: "
          + ", ".join(f"{kind} {100 * share:.0f} %" for kind, (share, _) in MIXTURE.items()))
    print("\nwordings of instructions; extra: shown in training only\n")
    print(table([[name, *counts.values()] for name, counts in phrasing_counts(world).items()], ["", "train", "extra", "dev", "test"],
                right=(1, 2, 3, 4)))
    print(f"\nthe splits are apart: what is in each, of what is drawn {PROOFS['train']:,} times of each family for training and "
          f"{PROOFS['dev']:,} times for the others\n")
    print(table(shared(world, PROOFS), ["", *SPLITS, "in two of them"], right=(1, 2, 3, 4)))
    print(f"\ntokens of {tokenizer} in a training example, on average\n")
    print(table(lengths(world, tok, SIZED), ["family", "kind", "prompt", "answer"], right=(2, 3)))
    trained = training_ngrams(world)
    print("\nshare of the 8-grams of evaluated prompts and answers that stand in the training text, %\n")
    print(table([[name, kind, *(f"{100 * overlap(world, name, split, kind, trained):.1f}" for split in ("dev", "test"))]
                 for name, family in FAMILIES.items() for kind in family.kinds], ["family", "kind", "dev", "test"], right=(2, 3)))
