"""The small world: the part of the world that a model of a million parameters learns in a few minutes."""

import dataclasses

from minigpt.world.names import TRAINED_SHAPES
from minigpt.world.shares import SHARES
from minigpt.world.stories import about

PATTERNS = ("has", "has_not", "has_question", "bought", "gave", "went", "will_go", "where", "whose", "felt")
PLOTS = ("lose", "give", "race")
RELATIONS = ("capital", "opposite", "young", "home", "colour")
FACTS = 12      # of each relation
NAMES = 24      # that are listed
WORDS = 8       # of each tag, the first in their table: tables begin with common words
WHOLE = ("nouns", "people", "places")      # how-to texts speak of everything
THINGS = {"give": "boot|mask", "race": "boot"}  # what training's stories are also about: else these words stand only in held-out pairs
PRACTICE = {**SHARES, "things": 0.1, "more": 0.5, "spelling": 0.2}   # a word that no answer has is not copied from a question: "hot"
WEIGHTS = {"one-paragraph": 0.05, "two-paragraph": 0.04, "facts": 0.14, "memory": 0.09, "untold": 0.07, "manners": 0.03}
FAMILIES = ("summarise", "translate", "answer", "chat")


def small_world(world):
    """The same world with ten sentence patterns, three plots, sixty facts, fewer words, names and wordings; splits stay.

    Training has weights of its own, and tells of the things that the few plots would leave out. World -> World
    """
    facts = [fact for name in RELATIONS for fact in [fact for fact in world.facts if fact.relation == name][:FACTS]]
    return dataclasses.replace(
        world, cache={}, facts=tuple(facts), families=FAMILIES, reports=(),
        words={tag: words if tag in WHOLE else words[:WORDS] for tag, words in world.words.items()},
        patterns=tuple(pattern for pattern in world.patterns if pattern.name in PATTERNS), extra_patterns=(),
        names=world.names[:NAMES], invented=0.5, shapes=TRAINED_SHAPES, practice=PRACTICE, weights=WEIGHTS, choice=2,
        phrasings={name: tuple(row for row in rows if row.get("split") != "extra" or name == "formats")  # spelling is for training alone
                   for name, rows in world.phrasings.items()},
        relations={name: dataclasses.replace(relation, asks={**relation.asks, "training": relation.asks["train"]})
                   for name, relation in world.relations.items()},
        plots={name: dataclasses.replace(plot, extra=about(plot.slots, THINGS[name]) if name in THINGS else None)
               for name, plot in world.plots.items() if name in PLOTS})
