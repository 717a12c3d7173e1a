"""The task families, and examples of them for every split."""

import random
from dataclasses import replace
from itertools import islice

from minigpt.world import answer, chat, refuse, summarise, translate, write
from minigpt.world.careless import typed_carelessly
from minigpt.world.shares import is_due
from minigpt.world.splits import SPLITS, split_of

FAMILIES = {module.FAMILY.name: module.FAMILY for module in (summarise, translate, answer, write, chat, refuse)}
HELD_OUT_CELLS = 0.1     # the share of evaluation examples from held-out cells, where the kind has such


def examples(world, family, split, n, seed, kind=None):
    """n examples of a family, the same for the same seed; no two evaluated ones have the same prompt.

    kind: one kind of the family only. Training examples are from seen cells only. ValueError for an unknown family, kind or split.
    """
    check(family, split, kind)
    return list(islice(example_stream(world, family, split, seed, kind), n))


def example_stream(world, family, split, seed, kind=None):
    """The examples of `examples` one after the other, for readers that keep only a part of each. -> endless iterator of Example"""
    record = FAMILIES[family]
    rng = random.Random(f"{family}/{kind}/{split}/{seed}")
    kinds = weights_of(world, family, split)
    prompts = set()
    while True:
        example = one_example(world, record, kind or rng.choices(list(kinds), kinds.values())[0], split, rng)
        if split == "train":
            yield example
        elif (prompt := prompt_text(example)) not in prompts:
            prompts.add(prompt)
            yield example


def weights_of(world, family, split="train"):
    """The kinds of a family and their weights: training practises what is hard more often. -> dict"""
    kinds = FAMILIES[family].kinds
    return {kind: world.weights.get(kind, weight) for kind, weight in kinds.items()} if split == "train" else kinds


def mix(world, n):
    """How many of n training examples each family of the world has, at least one. -> {family: count}"""
    shares = {name: sum(weights_of(world, name).values()) for name in world.families}
    return {name: max(1, round(n * share / sum(shares.values()))) for name, share in shares.items()}


def one_example(world, record, kind, split, rng):
    """An example that may be in the split: from a held-out cell where one is due, and with a prompt of the split where no pair of
    words tells."""
    due = split != "train" and has_held_out_cells(world, record.name, kind) and rng.random() < HELD_OUT_CELLS
    while True:
        example = record.make(world, rng, split, kind)
        if (example.facets["cell"] == "held-out") != due:
            continue
        if kind not in record.hashed or split_of("prompt", prompt_text(example), percent=10) == split:
            pairs = "none" if kind in record.hashed else "seen" if split == "train" else "held-out"
            example = replace(example, facets={**example.facets, "combination": pairs})
            return typed_carelessly(world, rng, example) if is_due(world, rng, split, "careless") else example


def prompt_text(example):
    """All that the model is given: the contents of the messages, one a line."""
    return "\n".join(message["content"] for message in example.messages)


def has_held_out_cells(world, family, kind):
    """Does training leave out any combination of this kind with a language or format?"""
    return any(name == family and cell.startswith(f"{kind}/") for name, cell in world.held_out_cells)


def check(family, split, kind):
    """Refuse what does not exist, in one line."""
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}, but must be one of {', '.join(FAMILIES)}")
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, but must be one of {', '.join(SPLITS)}")
    if kind is not None and kind not in FAMILIES[family].kinds:
        raise ValueError(f"kind is {kind!r}, but {family} has {', '.join(FAMILIES[family].kinds)}")


def verify(example, output):
    """Is the output a right answer to the example? -> bool"""
    return FAMILIES[example.family].verify(example, output)
