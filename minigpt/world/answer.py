"""Answer: questions about a story, questions that the story does not answer, and facts without any text."""

from minigpt.world import facts
from minigpt.world.family import Example, Family, draw_phrasing, name_facet, user, verify_exact
from minigpt.world.stories import tell
from minigpt.world.text import capital

UNKNOWN = "I don't know."


def make_reading(world, rng, split, kind):
    """Draw a story and a question that it answers, or (kind unanswerable) one that it does not. -> Example"""
    story = tell(world, rng, split)
    wording, facets = draw_phrasing(world, "answer", rng, split, "reading")
    facets["name"] = name_facet(story.words)
    if kind == "unanswerable":
        question, short, full = rng.choice(story.unknowns), UNKNOWN, UNKNOWN
    else:
        question, short, full = rng.choice(story.questions)
    prompt = wording.replace("{story}", story.text).replace("{question}", question)
    answer = full if facets["format"] == "sentence" else short
    accept = (short, full) if facets["format"] == "plain" else ()
    return Example("answer", kind, (user(prompt),), answer, facets, accept=accept)


def make_fact(world, rng, split, kind):
    """Ask for a fact; in evaluation half of the facts were never asked in training. -> Example"""
    wanted = split if split != "train" and rng.random() < 0.5 else "train"
    pool = world.cache.setdefault(("facts", wanted), [fact for fact in world.facts if fact.split == wanted])
    fact = rng.choice(pool)
    wording, facets = draw_phrasing(world, "answer", rng, split, "facts")
    facets.update(fact="asked in training" if wanted == "train" else "never asked", relation=fact.relation)
    stated = facts.statements(world, fact)
    prompt = wording.replace("{question}", rng.choice(facts.questions(world, fact)))
    if facets["format"] == "word":
        return Example("answer", kind, (user(prompt),), capital(fact.y) + ".", facets)
    accept = (*stated, facts.short_answer(fact)) if facets["format"] == "plain" else tuple(stated)
    return Example("answer", kind, (user(prompt),), stated[0], facets, accept=accept)


def make(world, rng, split, kind):
    """Make an example of the kind. -> Example"""
    return (make_fact if kind == "facts" else make_reading)(world, rng, split, kind)


FAMILY = Family("answer", {"reading": 0.17, "unanswerable": 0.05, "facts": 0.10}, make, verify_exact)
