"""Dialogues between two people, as they stand in pretraining text: things are told, and later remembered."""

from minigpt.world.chat import NOT_TOLD, draw_person, say, topics
from minigpt.world.draw import draw, parse_slots
from minigpt.world.names import draw_name


def dialogue_document(world, rng):
    """Pretraining text: two people talk, one tells one to three things and asks for one of them at the end."""
    speaker, listener = draw_name(world, rng, "train")["en"], draw_name(world, rng, "train")["en"]
    names = sorted(topics(world))
    told = rng.sample(names, rng.randint(1, min(3, len(names) - 1)))
    lines, everything = [], {}
    for topic in told:
        slots = parse_slots(topics(world)[topic]["slots"][0]["text"])
        has_name = any(tag == "names" for _, tag, _ in slots)
        words = draw_person(world, slots, rng, "train") if has_name else draw(world, slots, rng, "train")
        everything[topic] = words
        lines += [f" {speaker}: {say(world, rng, topic, 'tell', words)}", f" {listener}: {say(world, rng, topic, 'reply', words)}"]
    asked = rng.choice(told) if rng.random() < 0.8 else rng.choice([name for name in names if name not in told])
    answer = say(world, rng, asked, "answer", everything[asked]) if asked in told else NOT_TOLD
    lines += [f" {speaker}: {say(world, rng, asked, 'ask', everything.get(asked, {}))}", f" {listener}: {answer}"]
    return "\n".join(lines)
