"""Dialogues between two people, as they stand in pretraining text: things are told, and later remembered."""

from minigpt.world.chat import conversation
from minigpt.world.names import draw_name
from minigpt.world.text import choose

RUDE = 0.1     # the share of dialogues with an unfriendly listener; preference learning will need them


def dialogue_document(world, rng):
    """Pretraining text: two people talk; one tells one to three things and asks for one of them, or for another, at the end."""
    speaker, listener = draw_name(world, rng, "train")["en"], draw_name(world, rng, "train")["en"]
    language = "zh" if rng.random() < 0.15 else "en"
    turns, question, answer, *_ = conversation(world, rng, "train", language, is_told=rng.random() < 0.75)
    if language == "en" and rng.random() < RUDE:
        turns = [(told, rude(world, rng, "reply")) for told, _ in turns]
        answer = rude(world, rng, "answer")
    return "\n".join(f" {speaker}: {told}\n {listener}: {reply}" for told, reply in [*turns, (question, answer)])


def rude(world, rng, part):
    """An unfriendly reply or answer."""
    return choose(rng, rng.choice([row for row in world.phrasings["rude"] if row["part"] == part])["parts"]) + "."



