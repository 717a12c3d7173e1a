"""Write: a story, a diary entry or a news item under constraints that a program can check."""

import re

from minigpt.world.draw import candidates
from minigpt.world.family import Example, Family, add_aside, draw_language, draw_phrasing, make_facets, normal, user
from minigpt.world.names import draw_name
from minigpt.world.shares import is_due
from minigpt.world.stories import ENDINGS, first_person, tell
from minigpt.world.text import all_choices, capital, choose, fill, with_article

LENGTHS = {"story": (4, 7), "diary": (3, 5), "news": (2, 4)}     # sentences, where their number is asked for
DIARY, NEWS = "Dear diary, today ", "News: "


def draw_story(world, rng, split, form, names, ending, sentences=None):
    """Tell a story about one or two people; beside a single one stands a person of the lexicon, such as "the baker". -> Story"""
    if len(names) == 1:
        plots = [plot for plot in world.plots.values() if any(slot.tag == "names|helpers" for slot in plot.slots)]
    else:     # a diary entry or a news item only tells the gist, so both must be in it
        plots = [plot for plot in world.plots.values() if form == "story" or "{friend}" in plot.gist[ending]]
    friend = names[1] if len(names) == 2 else rng.choice(candidates(world, "helpers"))
    usual = is_due(world, rng, split, "usual")
    for _ in range(1000):
        try:
            return tell(world, rng, split, rng.choice(plots).name, ending, {"name": names[0], "friend": friend},
                        sentences=sentences, usual=usual)
        except ValueError as error:     # this plot cannot be told in that many sentences
            problem = error
    raise ValueError(f"no plot can be told as a {form} of {sentences} sentences about {' and '.join(names)}: {problem}")


def react(world, rng, story, form, count):
    """`count` different reactions to a story for a diary entry or a news item, the last of them naming the feeling. -> sentences"""
    rows = [row for row in world.reactions if row["form"] == form and row["ending"] == story.ending]
    feeling = [row for row in rows if "{joy}" in row["text"] or "{grief}" in row["text"]]
    others = [row for row in rows if row not in feeling]
    chosen = [*rng.sample(others, count - 1), rng.choice(feeling)]
    return [capital(fill(choose(rng, row["parts"]), story.words)) for row in chosen]


def compose(world, rng, split, form, names, number, ending):
    """The text of the wanted form. -> (text, story)"""
    if form == "story":
        story = draw_story(world, rng, split, form, names, ending, number)
        return story.text, story
    story = draw_story(world, rng, split, form, names, ending)
    if form == "diary":
        lines = [DIARY + first_person(story), *react(world, rng, story, form, (number or rng.randint(*LENGTHS[form])) - 2)]
        return " ".join([*lines, f"Yours, {names[0]['en']}."]), story
    lines = [NEWS + story.gist, *react(world, rng, story, form, (number or rng.randint(*LENGTHS[form])) - 1)]
    return " ".join(lines), story


def draw_words(rng, text, words):
    """Words that the text must have: up to two of the story's thing, its adjective and its place, as far as the text has them."""
    tokens = set(re.findall(r"\w+", text.lower()))
    possible = [words[slot]["en"] for slot in ("obj", "place", "adj") if slot in words and words[slot]["en"] in tokens]
    return rng.sample(possible, rng.randint(1, min(2, len(possible)))) if possible else []


def draw_names(world, rng, split):
    """One or two different people. -> tuple of words"""
    names = tuple(draw_name(world, rng, split) for _ in range(1 if is_due(world, rng, split, "alone") else 2))
    return names if len({name["en"] for name in names}) == len(names) else draw_names(world, rng, split)


def request(world, rng, split, kind, names, wants, thing):
    """Word the prompt: what is to be written about whom, then the constraints in any order. -> (prompt, phrasing, language)

    thing: the story's, or None; where it is among the wanted words, it may stand beside the names: "a story about Tom and a kite".
    """
    wording, phrasing, language = draw_phrasing(world, "write", rng, split, part=kind, language=draw_language(world, rng, split))
    who = [name["en"] for name in (names if kind != "diary" else names[:1])]     # a diary has one writer
    apart = wants["words"]
    if thing and thing["en"] in apart and "about {who}" in wording and thing["en"] not in wording and is_due(world, rng, split, "title"):
        who, apart = [*who, with_article(thing["en"])], tuple(word for word in apart if word != thing["en"])
    joined, comma = (" and ", " and ") if language == "en" else (" 和 ", "、")
    values = {"who": joined.join(filter(None, (", ".join(who[:-1]), who[-1]))), "words": comma.join(apart), "friend": names[-1]["en"]}
    parts = {"company": kind == "diary" and len(names) == 2, "word": len(apart) == 1, "words": len(apart) == 2,
             wants["ending"]: wants["ending"], "number": wants["number"]}
    asked = [part for part, wanted in parts.items() if wanted]
    pieces = [wording]
    for part in rng.sample(asked, len(asked)):
        pieces.append(draw_phrasing(world, "write", rng, split, phrasing == "seen", part=part, language=language)[0])
    prompt = add_aside(world, rng, split, " ".join(pieces), phrasing, language)
    words = {slot: {"en": value, "zh": value} for slot, value in values.items()}
    words["number"] = next((word for word in world.words["numbers"] if word["digit"] == str(wants["number"])), {})
    return fill(prompt, words, language), phrasing, language


def story_wants(world, form, names, words, ending, number):
    """What `constraints` checks; ending and number may be None. feelings: the words of happy endings, and of sad ones. -> dict"""
    feelings = tuple(tuple(word["en"] for word in world.words[tag]) for tag in ("joy", "grief"))
    return {"form": form, "names": tuple(names), "words": tuple(words), "ending": ending, "number": number, "feelings": feelings}


def make_free(world, rng, split):
    """A story about whoever it may be, as people ask for first: "Tell me a story.", or one about a thing. -> Example"""
    names = rng.sample(world.names, 2)     # listed: an invented name can only be copied
    text, story = compose(world, rng, split, "story", names, None, rng.choice(ENDINGS))
    thing = story.words.get("obj", {}).get("en")
    words = (thing,) if thing in re.findall(r"\w+", text.lower()) and rng.random() < 0.5 else ()
    wording, phrasing, language = draw_phrasing(world, "write", rng, split, part="about" if words else "anybody", language=draw_language(world, rng, split))
    prompt = fill(add_aside(world, rng, split, wording, phrasing, language), {"thing": {"en": thing, "zh": thing}}, language)
    facets = make_facets(world, "write", f"story/{language}", dict(enumerate(names)), phrasing, language, people=2, ending="free")
    return Example("write", "story", (user(prompt),), text, facets, wants=story_wants(world, "story", [name["en"] for name in names], words, None, None),
                   vocabulary=vocabulary(world))


def make(world, rng, split, kind):
    """Write a text first, then the prompt that it answers. -> Example"""
    if kind == "story" and is_due(world, rng, split, "anybody"):
        return make_free(world, rng, split)
    names, ending = draw_names(world, rng, split), rng.choice(ENDINGS)
    number = rng.randint(*LENGTHS[kind]) if is_due(world, rng, split, "number") else None
    text, story = compose(world, rng, split, kind, names, number, ending)
    words = draw_words(rng, text, story.words) if is_due(world, rng, split, "words") else ()
    wanted_ending = ending if is_due(world, rng, split, "ending") else None
    wants = story_wants(world, kind, [name["en"] for name in names], words, wanted_ending, number)
    prompt, phrasing, language = request(world, rng, split, kind, names, wants, story.words.get("obj"))
    cell = f"{kind}/{language}" + ("/number" if number else "")
    facets = make_facets(world, "write", cell, dict(enumerate(names)), phrasing, language, people=len(names),
                         ending=wants["ending"] or "free")
    return Example("write", kind, (user(prompt),), text, facets, wants=wants, vocabulary=vocabulary(world))


def vocabulary(world):
    """Every lower-case word that a text of this family may use, apart from the names in the prompt. -> frozenset"""
    if "vocabulary" not in world.cache:
        templates = [wording for plot in world.plots.values() for steps in plot.parts.values() for parts in steps.values()
                     for sequence in parts for wording in all_choices(sequence)]
        templates += [gist for plot in world.plots.values() for gist in plot.gist.values()]
        templates += [wording for row in world.reactions for wording in all_choices(row["parts"])]
        templates += [word[form] for group in world.words.values() for word in group
                      for form in ("en", "plural", "in", "to", "past", "ing", "third") if word.get(form)]
        texts = [re.sub(r"\{[^}]*\}", " ", template) for template in templates] + [DIARY, NEWS, "Yours I my an a he she his her him"]
        world.cache["vocabulary"] = frozenset(word for text in texts for word in re.findall(r"[a-z]+", text.lower()))
    return world.cache["vocabulary"]


def split_sentences(text):
    """Cut a text after every full stop, question or exclamation mark. -> list of sentences"""
    return [sentence.strip() for sentence in re.findall(r"[^.!?]+[.!?]", text)]


def constraints(example, output):
    """Check an output constraint by constraint. -> {constraint: bool}; all of them together make a good answer"""
    wants, text = example.wants, normal(output)
    words = re.findall(r"[A-Za-z]+", text)
    lower = {word.lower() for word in words}
    sentences = split_sentences(text)
    form = "diary" if text.startswith(DIARY) else "news" if text.startswith(NEWS) else "story"
    checks = {
        "form": form == wants["form"] and (form != "diary" or text.endswith(f"Yours, {wants['names'][0]}.")),
        "names": all(name in words for name in wants["names"]),
        "words": all(word in lower for word in wants["words"]),
        "number": wants["number"] is None or len(sentences) == wants["number"],
        "no repetition": len(set(sentences)) == len(sentences) >= 2,
        "known words": not example.vocabulary or all(word in wants["names"] or word.lower() in example.vocabulary for word in words),
        "whole": text.endswith("."),
    }
    if wants["ending"]:
        end = set(re.findall(r"\w+", " ".join(sentences[-2:])))
        good, bad = wants["feelings"] if wants["ending"] == "happy" else wants["feelings"][::-1]
        checks["ending"] = not end.isdisjoint(good) and lower.isdisjoint(bad)
    return checks


def verify(example, output):
    """True where every constraint of the prompt holds and nothing is repeated or unknown."""
    return all(constraints(example, output).values())


FAMILY = Family("write", {"story": 0.06, "diary": 0.05, "news": 0.05}, make, verify)
