"""The small world is a part of the world, and every split of every family of it can be drawn."""
import dataclasses
import itertools
import re

import pytest

from minigpt.world import FAMILIES, examples, pretraining_documents, small_world, verify
from minigpt.world.small import FACTS, PATTERNS, PLOTS, RELATIONS, THINGS
from minigpt.world.splits import split_of


@pytest.fixture(scope="module")
def worlds(world):
    return world, small_world(world)


def test_it_is_a_part_of_the_world(worlds):
    world, small = worlds
    assert {pattern.name for pattern in small.patterns} == set(PATTERNS) and set(small.plots) == set(PLOTS)
    assert len(small.facts) == FACTS * len(RELATIONS) and all(fact in world.facts for fact in small.facts)
    assert all(set(word["en"] for word in words) <= set(word["en"] for word in world.words[tag]) for tag, words in small.words.items())


def test_training_tells_of_every_thing_that_a_dev_summary_is_about(worlds):
    """The small world's only plot about boots is held out with them: nobody could write the word but for training's other things."""
    told = {split: [example.answer for example in examples(worlds[1], "summarise", split, 400, 5)] for split in ("train", "dev")}
    things = {split: set(re.findall(r"\b[a-z]+\b", "\n".join(answers))) for split, answers in told.items()}
    nouns = {noun["en"] for noun in worlds[1].words["nouns"]}
    assert "boot" in things["dev"] and things["dev"] & nouns <= things["train"]
    assert {split_of(plot, thing) for plot, others in THINGS.items() for thing in others.split("|")} == {"train"}  # another could never be drawn
    gifts = [answer for answer in told["dev"] if "gave" in answer]
    assert gifts and not any("boot" in answer for answer in gifts)


def test_training_writes_what_its_unasked_facts_are_about(worlds):
    """A model that was never to answer with "hot" does not copy it from the question: it asks itself for the opposite of "big"."""
    bare = dataclasses.replace(worlds[1], cache={}, practice={**worlds[1].practice, "spelling": 0.0})
    unasked = {fact.words["x"]["en"].lower() for fact in bare.facts if fact.split != "train"}
    said, without = (set(re.findall("[a-z]+", " ".join(example.answer for example in examples(one, "answer", "train", 3000, 3, "facts")).lower()))
                     for one in (worlds[1], bare))
    assert len(unasked) > 10 and unasked <= said and "hot" not in without


@pytest.mark.parametrize("split", ["train", pytest.param("dev", marks=pytest.mark.slow), "test"])
def test_every_family_and_split_can_be_drawn_and_verified(worlds, split):
    for family in worlds[1].families:
        found = examples(worlds[1], family, split, 60, 0)
        assert {example.kind for example in found} == set(FAMILIES[family].kinds)
        assert all(verify(example, example.answer) for example in found)


def test_its_text_is_made_of_its_words(worlds):
    text = "\n".join(itertools.islice(pretraining_documents(worlds[1], 0), 1500))
    assert "capital" in text and "opposite" in text and "Saturn" not in text  # a planet is no fact of the small world
