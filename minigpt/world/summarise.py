"""Summarise: a story of one or two paragraphs in, its gist in one sentence out."""

from minigpt.world.family import Example, Family, add_aside, draw_language, draw_phrasing, make_facets, user, verify_exact
from minigpt.world.stories import draw_scene, tell


def make(world, rng, split, kind):
    """Draw a story and ask for its gist. -> Example"""
    story = tell(world, rng, split, draw_scene(world, rng, split), paragraphs=1 if kind == "one-paragraph" else 2)
    wording, phrasing, language = draw_phrasing(world, "summarise", rng, split, language=draw_language(world, rng, split))
    wording = add_aside(world, rng, split, wording, phrasing, language)
    facets = make_facets(world, "summarise", f"{kind}/{language}", story.words, phrasing, language, plot=story.plot.name)
    return Example("summarise", kind, (user(wording.replace("{story}", story.text)),), story.gist, facets,
                   natural=f" {story.text}\n In short,")


FAMILY = Family("summarise", {"one-paragraph": 0.06, "two-paragraph": 0.05}, make, verify_exact)
