"""The task families, and examples of them for every split."""

import random

from minigpt.world import answer, chat, summarise, translate
from minigpt.world.family import check_split

FAMILIES = {module.FAMILY.name: module.FAMILY for module in (summarise, translate, answer, chat)}


def examples(world, family, split, n, seed, kind=None):
    """n examples of a family, in the same order for the same seed; no two evaluated ones have the same prompt.

    kind: one kind of the family only. ValueError for an unknown family, kind or split.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}, but must be one of {', '.join(FAMILIES)}")
    check_split(split)
    record = FAMILIES[family]
    if kind is not None and kind not in record.kinds:
        raise ValueError(f"kind is {kind!r}, but {family} has {', '.join(record.kinds)}")
    rng = random.Random(f"{family}/{kind}/{split}/{seed}")
    kinds, weights = list(record.kinds), list(record.kinds.values())
    found, seen = [], {}
    while len(found) < n:
        example = record.make(world, rng, split, kind or rng.choices(kinds, weights)[0])
        prompt = "\n".join(message["content"] for message in example.messages)
        if split != "train" and seen.setdefault(prompt, len(found)) != len(found):
            continue
        found.append(example)
    return found


def verify(example, output):
    """Is the output a right answer to the example? -> bool"""
    return FAMILIES[example.family].verify(example, output)
