"""Drawing words for the slots of a story or sentence, with the held-out pairs kept apart."""

import functools
import re
from typing import NamedTuple

from minigpt.world.names import draw_name
from minigpt.world.splits import pairs_allowed


class Slot(NamedTuple):
    """A gap to be filled: by a word with `tag`, one that goes with the word of the slot `partner` ("": any)."""
    name: str
    tag: str
    partner: str
    is_pair: bool          # do the two words count as a pair that may be held out?


@functools.cache
def parse_slots(text):
    """Parse a slot list such as "name=names obj=toy adj=adjectives@obj". -> tuple of Slot

    `x=tag` draws a word with that tag, `x=a|b` one from either; `x=tag@y` one that goes with y, both then being a pair;
    `x=tag~y` one that goes with y and is no pair, for there are too few of them to hold some out.
    """
    found = [re.fullmatch(r"(\w+)=([\w|]+)[@~]?(\w*)", item) for item in text.split()]
    if None in found:
        raise ValueError(f"the slot {text.split()[found.index(None)]!r} is not x=tag, x=tag@y or x=tag~y; mend it in {text!r}")
    return tuple(Slot(*match.groups(), "@" in match[0]) for match in found)


def candidates(world, tag, partner=None):
    """The words with a tag, or the noun itself ("a|b": with either), or those of them that go with the word `partner`."""
    key = (tag, partner["en"], partner["zh"]) if partner else tag
    if key not in world.cache:
        words = [word for one in tag.split("|") for word in world.words.get(one) or named(world, one)]
        if partner:
            words = [word for word in words if takes(word, partner) or takes(partner, word)]
        world.cache[key] = tuple(words)
    return world.cache[key]


def named(world, noun):
    """The thing, person or place itself, where a slot names one in place of a tag (one that is a tag too, as "dress", is the tag).

    -> list of one word; ValueError where there is none
    """
    found = [word for kind in ("nouns", "people", "places") for word in world.words[kind] if word["en"] == noun]
    if not found:
        raise ValueError(f"{noun!r} is neither a tag nor a noun of the lexicon; mend the slot, or add the word to a table there")
    return found


def takes(word, noun):
    """Does the verb or adjective `word` go with the noun? Its column `takes` names the noun itself, one of its tags, or its table."""
    return not word["takes"].isdisjoint(noun["kinds"])


def pair_of(one, other):
    """The pair of two words, the one that takes the other first: ("red", "kite"), ("fly", "kite")."""
    return (one["en"], other["en"]) if takes(one, other) else (other["en"], one["en"])


def draw_things(world, slots, rng, given):
    """One try at the slots that are no people. -> (words by slot, pairs), or None where nothing fits"""
    words, pairs = dict(given), []
    for slot in slots:
        partner = words.get(slot.partner)
        if slot.name not in words:
            fitting = candidates(world, slot.tag, partner)
            if not fitting:
                return None
            words[slot.name] = rng.choice(fitting)
        if slot.is_pair:
            pairs.append(pair_of(words[slot.name], partner))
    return words, pairs


def draw_person(world, tag, rng, split):
    """Draw a person for a slot: "names" a name, "names_she" a woman's, "names_he" a man's; "names|x" mostly one, else a word with the
    tag x. -> word"""
    kind, _, other = tag.partition("|")
    if other and rng.random() < 0.3:
        return rng.choice(candidates(world, other))
    name = draw_name(world, rng, split)
    while kind not in ("names", f"names_{name['he']}"):
        name = draw_name(world, rng, split)
    return name


def draw(world, slots, rng, split, given=(), label=None, pair_split=None):
    """Draw words for parsed slots so that their pairs are allowed in `split`. -> {slot: word}

    given: slots that are already decided. label: a plot; (label, obj) then counts as a pair. Slots without any pair count all
    their words as one. pair_split: where pairs are from, when not from `split` (names always are).
    ValueError after 5000 tries, which means that the tables leave no choice.
    """
    people = [slot for slot in slots if slot.tag.startswith("names")]
    things = [slot for slot in slots if slot not in people]
    for _ in range(5000):
        drawn = draw_things(world, things, rng, given)
        if drawn is None:
            continue
        words, pairs = drawn
        if label and "obj" in words:
            pairs.append((label, words["obj"]["en"]))
        if pairs and not pairs_allowed(pairs, pair_split or split):
            continue
        words |= {slot.name: draw_person(world, slot.tag, rng, split) for slot in people if slot.name not in words}
        if len({word["en"] for word in words.values()}) < len(words):
            continue
        if pairs or len(words) == 1 or pairs_allowed([tuple(word["en"] for word in words.values())], pair_split or split):
            return words
    raise ValueError(f"no words for the slots {slots} in split {split!r} after 5000 tries; the tables need more words that fit")
