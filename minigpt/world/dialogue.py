"""Dialogues between two people, as they stand in pretraining text: greetings, things told and later remembered, small talk."""

from minigpt.world.chat import conversation, transcript
from minigpt.world.names import draw_name
from minigpt.world.text import choose, fill, parse_choices

RUDE = 0.1     # the share of dialogues with an unfriendly listener; preference learning will need them


def dialogue_document(world, rng):
    """Pretraining text: two people talk; one tells one to three things and asks for one of them, or for another, at the end, often after other questions."""
    people = {"speaker": draw_name(world, rng, "train"), "listener": draw_name(world, rng, "train")}
    language = "zh" if rng.random() < 0.15 else "en"
    turns, question, answer, *_ = conversation(world, rng, "train", language, is_told=rng.random() < 0.75)
    turns = [*turns, (question, answer)]
    if language == "en" and rng.random() < RUDE:
        turns = [*((told, rude(world, rng, "reply")) for told, _ in turns[:-1]), (question, rude(world, rng, "answer"))]
    elif language == "en":
        turns = [*small_talk(world, rng, "open", people), *turns, *small_talk(world, rng, "close", people)]
    return transcript(turns, people["speaker"]["en"], people["listener"]["en"])


def small_talk(world, rng, part, people):
    """Nothing, or one exchange with which people begin or end to talk. -> list of (said, reply)"""
    if rng.random() < 0.7:
        return []
    row = rng.choice([row for row in world.phrasings["smalltalk"] if row["part"] == part])
    return [tuple(fill(choose(rng, sequence), people) for sequence in (row["parts"], parse_choices(row["reply"])))]


def rude(world, rng, part):
    """An unfriendly reply or answer."""
    return choose(rng, rng.choice([row for row in world.phrasings["rude"] if row["part"] == part])["parts"])
