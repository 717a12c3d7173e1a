"""Drawing words for the slots of a story or sentence, with the held-out pairs kept apart."""

from minigpt.world.names import draw_name
from minigpt.world.splits import pairs_allowed


def parse_slots(text):
    """Parse a slot list: "name=names obj=toy adj=adjectives@obj" -> (("name", "names", ""), ("obj", "toy", ""), ("adj", "adjectives", "obj")).

    `x=tag` draws a word with that tag; `x=tag@y` one whose column `takes` names a tag of y; `x=a|b` from either tag.
    """
    slots = []
    for item in text.split():
        slot, source = item.split("=")
        tag, _, partner = source.partition("@")
        slots.append((slot, tag, partner))
    return tuple(slots)


def candidates(world, tag, partner=None):
    """The words with a tag ("a|b": with either), or those of them that go with the word `partner`."""
    key = (tag, partner["en"] if partner else None)
    if key not in world.cache:
        words = [word for one in tag.split("|") for word in world.words.get(one, ())]
        if partner:
            words = [word for word in words if set(word["takes"]) & {*partner["tags"], partner["table"], partner["en"]}]
        world.cache[key] = tuple(words)
    return world.cache[key]


def draw_once(world, slots, rng, split, given):
    """One try: (words by slot, pairs), or None where two slots hold the same word or nothing fits."""
    words, pairs = dict(given), []
    for slot, tag, partner in slots:
        if slot not in words:
            if tag == "names":
                words[slot] = draw_name(world, rng, split)
            else:
                fitting = candidates(world, tag, words[partner] if partner else None)
                if not fitting:
                    return None
                words[slot] = rng.choice(fitting)
        if partner:
            pairs.append((words[slot]["en"], words[partner]["en"]))
    if len({word["en"] for word in words.values()}) < len(words):
        return None
    return words, pairs


def draw(world, slots, rng, split, given=(), label=None):
    """Draw words for parsed slots so that their pairs are allowed in `split`. -> {slot: word}

    given: slots that are already decided. label: a plot; (label, obj) then counts as a pair.
    Slots without any pair count all their words except names as one.
    ValueError after 5000 tries, which means that the tables leave no choice.
    """
    for _ in range(5000):
        drawn = draw_once(world, slots, rng, split, given)
        if drawn is None:
            continue
        words, pairs = drawn
        if label and "obj" in words:
            pairs = [*pairs, (label, words["obj"]["en"])]
        elif not pairs:
            pairs = [tuple(word["en"] for word in words.values() if "shape" not in word)]
        if pairs_allowed(pairs, split):
            return words
    raise ValueError(f"no words for the slots {slots} in split {split!r} after 5000 tries; the tables need more words that fit")
