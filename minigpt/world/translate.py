"""Translate: one sentence from English into Chinese or back."""

from minigpt.world.family import Example, Family, draw_phrasing, name_facet, user, verify_exact
from minigpt.world.parallel import sentence_pair


def make(world, rng, split, kind):
    """Draw a sentence pair and ask for one side. -> Example"""
    pair = sentence_pair(world, rng, split)
    source, target = (pair.english, pair.chinese) if kind == "en-zh" else (pair.chinese, pair.english)
    wording, facets = draw_phrasing(world, "translate", rng, split, kind)
    facets.update(name=name_facet(pair.words), pattern=pair.pattern)
    return Example("translate", kind, (user(wording.replace("{text}", source[0])),), target[0], facets, accept=target[1:])


FAMILY = Family("translate", {"en-zh": 0.13, "zh-en": 0.12}, make, verify_exact)
