"""Answer: questions about a story, questions that the story does not answer, and facts without any text."""

from minigpt.world import facts
from minigpt.world.family import (Example, Family, add_aside, draw_around, draw_language, draw_phrasing, make_facets, phrasing_rows,
                                  user, verify_exact)
from minigpt.world.names import draw_name
from minigpt.world.remarks import ask_remarks
from minigpt.world.shares import is_due
from minigpt.world.splits import seen_by
from minigpt.world.stories import ask, ask_unknown, draw_scene, tell
from minigpt.world.text import capital, choose, with_article

UNKNOWN = "I don't know."
FORMATS = {"reading": ("plain", "sentence", "word"), "facts": ("plain", "sentence", "word", "capitals")}
# of training only: who can follow these looks for what is asked
PRACTICE_FORMATS = {"reading": ("small", "twice", "loud", "capitals"), "facts": ("small", "twice", "loud")}
# forms that give the short answer alone, to be practised besides; in Chinese not word and capitals, which are held-out cells
SHORT_FORMATS = {"en": ("word", "capitals"), "zh": ("small", "twice")}
# how words are spelt -> of how many, at least and at most
SPELLINGS = {"letters": (1, 1), "copy": (1, 1), "article": (1, 1), "subject": (1, 1), "mention": (1, 2), "lines": (3, 5)}
UNCOUNTED = ("chess", "glue", "soap")     # the frozen facts put an article before them, which is wrong and is not practised


def answers(form, shorts, fulls, short_first=False):
    """The right answers in a format, the reference first; where no format is asked for, short and full ones are right. -> tuple"""
    if form == "plain":
        return (*shorts, *fulls) if short_first else (*fulls, *shorts)
    if form == "sentence":
        return tuple(fulls)
    short = shorts[0]
    return ({"word": short, "capitals": short.upper(), "small": short.lower(), "twice": f"{short} {short}",
             "loud": fulls[0].removesuffix(".") + "!"}[form],)


def draw_format(world, rng, split, kind, short):
    """The form that an answer should have; one word can only be asked for where the answer is one. -> a format"""
    form = "plain"
    if is_due(world, rng, split, "format"):
        form = rng.choice((PRACTICE_FORMATS if is_due(world, rng, split, "variety") else FORMATS)[kind])
    return fitting_format(form, short)


def fitting_format(form, short):
    """The form, or plain where a word or capital letters are wanted of an answer of several words. -> a format"""
    return "plain" if form in ("word", "capitals") and " " in short else form


def add_format(world, rng, prompt, form, language, split):
    """Add the request for a format to a prompt, mostly behind it."""
    if form == "plain":
        return prompt
    request = choose(rng, rng.choice(phrasing_rows(world, "formats", seen_by(split), language=language, format=form))["parts"])
    return f"{prompt} {request}" if rng.random() < 0.8 else f"{request} {prompt}"


def make_reading(world, rng, split, kind):
    """Draw a story and a question that it answers, or (kind unanswerable) one that it does not. -> Example"""
    if is_due(world, rng, split, "remarks"):
        text, question, short, full, words = ask_remarks(world, rng, kind == "reading")
        plot = "remarks"
    else:
        scene, details = draw_scene(world, rng, split), is_due(world, rng, split, "details")
        story = tell(world, rng, split, scene, paragraphs=rng.choice((1, 1, 1, 2)), details=details)
        question, short, full = (ask_unknown(story, rng), None, None) if kind == "unanswerable" else ask(story, rng, details)
        text, words, plot = story.text, story.words, story.plot.name
    short, full = short or UNKNOWN, full or UNKNOWN
    form = draw_format(world, rng, split, "reading", short)
    language = draw_language(world, rng, split)
    wording, phrasing, _ = draw_phrasing(world, "answer", rng, split, kind="reading", language=language)
    wording = add_aside(world, rng, split, wording, phrasing, language)
    prompt = add_format(world, rng, wording.replace("{story}", text).replace("{question}", question), form, language, split)
    whole = language == "zh" and is_due(world, rng, split, "whole")
    right = answers(form, (short,), (full,), short_first=not whole)
    facets = make_facets(world, "answer", f"{kind}/{language}/{form}", words, phrasing, language, format=form, plot=plot)
    natural = f" {text}\n Question: {question} Answer:"
    return Example("answer", kind, (user(prompt),), right[0], facets, accept=right[1:], natural=natural)


def make_fact(world, rng, split, kind):
    """Ask for a fact; in evaluation half of the facts were never asked in training. -> Example

    A held-out phrasing is either the question's own form or what stands around it.
    """
    wanted = split if split != "train" and rng.random() < 0.5 else "train"
    fact = rng.choice(facts.facts_of(world, "extra" if is_due(world, rng, split, "extra") else wanted))
    shorts = facts.short_answers(world, fact)
    form = draw_format(world, rng, split, "facts", shorts[0])
    new_form = split != "train" and rng.random() < 0.25
    language = draw_language(world, rng, split)
    if is_due(world, rng, split, "short"):     # in place of the form drawn; plain where the answer has several words
        form = fitting_format(rng.choice(SHORT_FORMATS[language]), shorts[0])
    wording, phrasing = draw_around(world, rng, split, language, new_form)
    phrasing = "held-out" if new_form else phrasing
    asked = facts.in_digits(fact) if is_due(world, rng, split, "digits") else fact
    question = facts.question(world, asked, rng, split if new_form else seen_by(split))
    if form == "plain" and is_due(world, rng, split, "reverse") and (reverse := facts.reverse_question(world, fact, rng)):
        question, shorts = reverse, ()     # the answer in a word would be another one
    prompt = add_format(world, rng, wording.replace("{question}", question), form, language, split)
    right = answers(form, shorts, facts.statements(world, fact))
    facets = make_facets(world, "answer", f"{kind}/{language}/{form}", {}, phrasing, language, format=form, relation=fact.relation,
                         fact="asked in training" if wanted == "train" else "never asked")
    natural = f" Question: {question} Answer:"
    return Example("answer", kind, (user(prompt),), right[0], facets, accept=right[1:], natural=natural)


def make_spelling(world, rng, split):
    """Write a word or a short phrase in capital letters, as it is, behind its article, first or last in a sentence, or a few in lines. -> Example

    Training practises how answers begin: their first word has a capital letter and no space before it, and so other tokens than in
    the question; who can read " smoke" cannot yet write "Smoke". In a Chinese question a word has no space before it either, in the
    sentence of the answer it has one.
    """
    form = rng.choice(list(SPELLINGS))
    words = [draw_spelled(world, rng, split, form) for _ in range(rng.randint(*SPELLINGS[form]))]
    write = {"letters": str.upper, "article": lambda word: capital(with_article(word)), "mention": str}.get(form, capital)
    spelt = [write(word) for word in words]
    sentences = {"subject": f"{spelt[0]} is a word.", "mention": f"The word{'s are' if len(words) > 1 else ' is'} {' and '.join(spelt)}.",
                 "lines": "\n".join(spelt)}
    answer = sentences.get(form, f"{spelt[0]}.")
    wording, phrasing, language = draw_phrasing(world, "formats", rng, split, format=form, language=draw_language(world, rng, split))
    facets = make_facets(world, "answer", f"{form}/{language}", {}, phrasing, language, format=form)
    comma = ", " if language == "en" else "、"
    return Example("answer", "facts", (user(wording.replace("{word}", comma.join(words))),), answer, facets)


def draw_spelled(world, rng, split, form):
    """A name or a word to be spelt: behind an article only what has one, in a sentence no phrase, as its subject no name. -> str"""
    if form not in ("article", "subject") and rng.random() < 0.25:
        return draw_name(world, rng, split)["en"]
    word = rng.choice(rng.choice(spelled_words(world, form == "article")))
    return draw_spelled(world, rng, split, form) if form in ("subject", "mention") and " " in word else word


def spelled_words(world, countable):
    """What is spelt besides names: words of facts, most often those that begin no asked answer, and words of the lexicon.

    countable: only such as have an article. -> tuple of lists; one that stands there twice is drawn from twice as often
    """
    if ("spelled", countable) not in world.cache:
        stated = {name: relation.states[0] for name, relation in world.relations.items()}
        known = {word["en"] for fact in world.facts for slot, word in fact.words.items()
                 if word["en"] and (not countable or f"{{a {slot}}}" in stated[fact.relation] and word["en"] not in UNCOUNTED)}
        replies = [text.split() for fact in facts.facts_of(world, "train", "extra")
                   for text in (facts.statements(world, fact)[0], *facts.short_answers(world, fact))]
        beginnings = {" ".join(words[:n]).removesuffix(".").lower() for words in replies for n in range(1, len(words) + 1)}
        unpractised = [word for word in known if not {word.lower(), with_article(word).lower()} & beginnings]
        lexicon = [[word["en"] for word in world.words[tag]] for tag in (("objects", "animals") if countable else ("nouns", "adjectives"))]
        world.cache["spelled", countable] = (*[sorted(known)] * 2, *[sorted(unpractised)] * 6, *lexicon)
    return world.cache["spelled", countable]


def make(world, rng, split, kind):
    """Make an example of the kind. -> Example"""
    if kind == "facts" and is_due(world, rng, split, "spelling"):
        return make_spelling(world, rng, split)
    return (make_fact if kind == "facts" else make_reading)(world, rng, split, kind)


FAMILY = Family("answer", {"reading": 0.14, "unanswerable": 0.06, "facts": 0.12}, make, verify_exact, hashed=("facts",))
