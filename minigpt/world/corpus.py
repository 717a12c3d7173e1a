"""The pretraining mixture: which kinds of text, and how much of each."""

import random

from minigpt.world.dialogue import dialogue_document
from minigpt.world.facts import fact_document, notes_document, quiz_document
from minigpt.world.parallel import parallel_document
from minigpt.world.refuse import howto_document
from minigpt.world.shares import is_due
from minigpt.world.skills import skill_document
from minigpt.world.stories import story_document
from minigpt.world.weather import weather_document


def advice_document(world, rng):
    """Pretraining text: how to do something, or what the weather is like, where the world has such reports."""
    return weather_document(world, rng) if world.reports and rng.random() < 0.3 else howto_document(world, rng)


def knowledge_document(world, rng):
    """Pretraining text: facts, stated in sentences or noted."""
    return notes_document(world, rng) if is_due(world, rng, "train", "notes") else fact_document(world, rng)


# kind -> (share of the UTF-8 bytes, generator of one document); in the place of some stories stand facts (`PRACTICE["knowledge"]`)
MIXTURE = {
    "stories": (0.38, story_document),
    "parallel": (0.20, parallel_document),
    "facts": (0.18, knowledge_document),
    "quiz": (0.04, quiz_document),
    "dialogue": (0.10, dialogue_document),
    "howto": (0.03, advice_document),
    "skills": (0.07, skill_document),
}


def pretraining_documents(world, seed):
    """Endless stream of training documents in the shares of MIXTURE, measured in UTF-8 bytes. -> iterator of str"""
    rng = random.Random(f"pretraining/{seed}")
    written = dict.fromkeys(MIXTURE, 1000.0)
    while True:
        # the kind that is furthest behind its share comes next; a little noise keeps the order from being a pattern
        kind = min(MIXTURE, key=lambda name: written[name] / MIXTURE[name][0] * (1 + rng.random()))
        due = kind == "stories" and is_due(world, rng, "train", "knowledge")
        document = MIXTURE["facts" if due else kind][1](world, rng)
        written[kind] += len(document.encode())
        if document:
            yield document
