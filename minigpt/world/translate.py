"""Translate: a sentence, now and then two, from English into Chinese or back."""

import re

from minigpt.world.draw import candidates
from minigpt.world.family import Example, Family, add_aside, draw_language, draw_phrasing, make_facets, user, verify_exact
from minigpt.world.parallel import sentence_pair
from minigpt.world.shares import is_due
from minigpt.world.text import capital

WORDS = ("nouns", "people", "family", "hue")     # what kinds of words are translated alone; of a place the table has "in it"
GLUE = {"en-zh": (" ", ""), "zh-en": ("", " ")}     # what stands between two sentences of the source and of the target


def make_word(world, rng, split, kind):
    """Ask for a single word: "How do you say dog in Chinese?", half of the time with the word between quotation marks. -> Example"""
    word = rng.choice(candidates(world, rng.choice(WORDS)))
    chinese = word.get("bare", word["zh"])
    source, target = (word["en"], chinese + "。") if kind == "en-zh" else (chinese, capital(word["en"]) + ".")
    language = draw_language(world, rng, split)
    wording = "sentence"
    while re.search("sentence|句", wording):     # which a word is not
        wording, phrasing, _ = draw_phrasing(world, "translate", rng, split, kind=kind, language=language)
    text = wording.replace("{text}", source if rng.random() < 0.5 or set(wording) & set('"“') else f'"{source}"')
    facets = make_facets(world, "translate", f"{kind}/{language}/word", {}, phrasing, language)
    return Example("translate", kind, (user(text),), target, facets)


def make(world, rng, split, kind):
    """Draw a sentence pair, or in training now and then a word, and ask for one side. -> Example"""
    if is_due(world, rng, split, "single"):
        return make_word(world, rng, split, kind)
    pairs = [sentence_pair(world, rng, split) for _ in range(2 if rng.random() < 0.08 else 1)]
    sides = [(pair.english, pair.chinese) if kind == "en-zh" else (pair.chinese, pair.english) for pair in pairs]
    source = GLUE[kind][0].join(source[0] for source, _ in sides)
    accept = [""]
    for _, target in sides:
        accept = [(head + GLUE[kind][1] + sentence).strip() for head in accept for sentence in target]
    language = draw_language(world, rng, split)
    wording, phrasing, _ = draw_phrasing(world, "translate", rng, split, kind=kind, language=language)
    wording = add_aside(world, rng, split, wording, phrasing, language)
    words = {f"{slot}{i}": word for i, pair in enumerate(pairs) for slot, word in pair.words.items()}
    facets = make_facets(world, "translate", f"{kind}/{language}/{'two' if len(pairs) == 2 else 'one'}", words, phrasing, language,
                         pattern=pairs[0].pattern)
    return Example("translate", kind, (user(wording.replace("{text}", source)),), accept[0], facets, accept=tuple(accept[1:]),
                   natural=f" {source} In {'Chinese' if kind == 'en-zh' else 'English'}:")


FAMILY = Family("translate", {"en-zh": 0.13, "zh-en": 0.09}, make, verify_exact)
