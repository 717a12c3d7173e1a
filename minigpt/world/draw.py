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
    key = (tag, partner["en"], partner["zh"]) if partner else tag
    if key not in world.cache:
        words = [word for one in tag.split("|") for word in world.words[one]]
        if partner:
            words = [word for word in words if takes(word, partner) or takes(partner, word)]
        world.cache[key] = tuple(words)
    return world.cache[key]


def takes(word, noun):
    """Does the verb or adjective `word` go with the noun? Its column `takes` names the noun itself, one of its tags, or its table."""
    return not word["takes"].isdisjoint(noun["kinds"])


def draw_things(world, slots, rng, given):
    """One try at the slots that are no people. -> (words by slot, pairs), or None where nothing fits"""
    words, pairs = dict(given), []
    for slot, tag, partner in slots:
        if slot not in words:
            fitting = candidates(world, tag, words[partner] if partner else None)
            if not fitting:
                return None
            words[slot] = rng.choice(fitting)
        if partner:
            taker, noun = (slot, partner) if takes(words[slot], words[partner]) else (partner, slot)
            pairs.append((words[taker]["en"], words[noun]["en"]))
    return words, pairs


def draw_person(world, tag, rng, split):
    """Draw a person for a slot: "names" a name; "names|x" mostly a name, else a word with the tag x. -> word"""
    other = tag.partition("|")[2]
    return rng.choice(candidates(world, other)) if other and rng.random() < 0.3 else draw_name(world, rng, split)


def draw(world, slots, rng, split, given=(), label=None, pair_split=None):
    """Draw words for parsed slots so that their pairs are allowed in `split`. -> {slot: word}

    given: slots that are already decided. label: a plot; (label, obj) then counts as a pair. Slots without any pair count all
    their words as one. pair_split: where pairs are from, when not from `split` (names always are).
    ValueError after 5000 tries, which means that the tables leave no choice.
    """
    people = [(slot, tag) for slot, tag, _ in slots if tag.startswith("names")]
    things = [slot for slot in slots if not slot[1].startswith("names")]
    for _ in range(5000):
        drawn = draw_things(world, things, rng, given)
        if drawn is None:
            continue
        words, pairs = drawn
        if label and "obj" in words:
            pairs.append((label, words["obj"]["en"]))
        if pairs and not pairs_allowed(pairs, pair_split or split):
            continue
        words |= {slot: draw_person(world, tag, rng, split) for slot, tag in people if slot not in words}
        if len({word["en"] for word in words.values()}) < len(words):
            continue
        if pairs or len(words) == 1 or pairs_allowed([tuple(word["en"] for word in words.values())], pair_split or split):
            return words
    raise ValueError(f"no words for the slots {slots} in split {split!r} after 5000 tries; the tables need more words that fit")
