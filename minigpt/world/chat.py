"""Chat: several turns; what the user has told is remembered, what was not told is not made up."""

from minigpt.world.draw import draw, parse_slots
from minigpt.world.family import Example, Family, assistant, draw_phrasing, name_facet, user, verify_exact
from minigpt.world.names import draw_name
from minigpt.world.text import capital, choose, fill

NOT_TOLD = "You have not told me."


def topics(world):
    """The rows of chat.tsv by topic and part (slots, tell, reply, ask, answer). -> {topic: {part: [rows]}}"""
    if "topics" not in world.cache:
        found = {}
        for row in world.phrasings["chat"]:
            found.setdefault(row["kind"], {}).setdefault(row["part"], []).append(row)
        world.cache["topics"] = found
    return world.cache["topics"]


def say(world, rng, topic, part, words, split="train"):
    """One wording of a part of a topic, filled; rows of `split` only. -> sentence"""
    rows = [row for row in topics(world)[topic][part] if row["split"] == split]
    return capital(fill(choose(rng, rng.choice(rows)["parts"]), words))


def make_memory(world, rng, split, kind):
    """Tell one to three things, then ask for one of them (kind memory) or for another (kind untold). -> Example"""
    names = sorted(topics(world))
    told = rng.sample(names, rng.randint(1, min(3, len(names) - 1)))
    asked = rng.choice(told) if kind == "memory" else rng.choice([name for name in names if name not in told])
    messages, everything = [], {}
    for topic in told:
        slots = parse_slots(topics(world)[topic]["slots"][0]["text"])
        words = draw(world, slots, rng, "train") if not any(tag == "names" for _, tag, _ in slots) else draw_person(world, slots, rng, split)
        everything[topic] = words
        messages += [user(say(world, rng, topic, "tell", words)), assistant(say(world, rng, topic, "reply", words))]
    held_out = split != "train" and rng.random() < 0.5
    question = say(world, rng, asked, "ask", everything.get(asked, {}), split if held_out else "train")
    answer = say(world, rng, asked, "answer", everything[asked]) if kind == "memory" else NOT_TOLD
    words = {topic + slot: word for topic in told for slot, word in everything[topic].items()}
    facets = {"phrasing": "held-out" if held_out else "seen", "language": "en", "format": "plain", "name": name_facet(words), "topic": asked}
    return Example("chat", kind, (*messages, user(question)), answer, facets)


def draw_person(world, slots, rng, split):
    """Draw the slots of a topic about a name; names carry their own split and need no pair. -> {slot: word}"""
    return {slot: draw_name(world, rng, split) for slot, _, _ in slots}


FAMILY = Family("chat", {"memory": 0.08, "untold": 0.02}, make_memory, verify_exact)
