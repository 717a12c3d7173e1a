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


def draw_word(world, tag, partner, rng, split):
    """Draw a word for one slot; "names|x": mostly a name, else a word with the tag x. -> word, or None where nothing fits"""
    if tag.startswith("names"):
        other = tag[6:]
        if not other or rng.random() < 0.7:
            return draw_name(world, rng, split)
        tag = other
    fitting = candidates(world, tag, partner)
    return rng.choice(fitting) if fitting else None


def draw_once(world, slots, rng, split, given):
    """One try: (words by slot, pairs), or None where two slots hold the same word or nothing fits."""
    words, pairs = dict(given), []
    for slot, tag, partner in slots:
        if slot not in words:
            words[slot] = draw_word(world, tag, words[partner] if partner else None, rng, split)
            if words[slot] is None:
                return None
        if partner:
            taker, noun = (slot, partner) if takes(words[slot], words[partner]) else (partner, slot)
            pairs.append((words[taker]["en"], words[noun]["en"]))
    if len({word["en"] for word in words.values()}) < len(words):
        return None
    return words, pairs


def draw(world, slots, rng, split, given=(), label=None, pair_split=None):
    """Draw words for parsed slots so that their pairs are allowed in `split`. -> {slot: word}

    given: slots that are already decided. label: a plot; (label, obj) then counts as a pair. Slots without any pair count all
    their words except names as one. pair_split: where pairs are from, when not from `split` (names always are).
    ValueError after 5000 tries, which means that the tables leave no choice.
    """
    for _ in range(5000):
        drawn = draw_once(world, slots, rng, split, given)
        if drawn is None:
            continue
        words, pairs = drawn
        if label and "obj" in words:
            pairs = [*pairs, (label, words["obj"]["en"])]
        if not pairs:
            together = tuple(word["en"] for word in words.values() if "shape" not in word)
            pairs = [together] if len(together) > 1 else []
        if not pairs or pairs_allowed(pairs, pair_split or split):
            return words
    raise ValueError(f"no words for the slots {slots} in split {split!r} after 5000 tries; the tables need more words that fit")
