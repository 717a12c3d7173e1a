"""Texts of a few remarks about a few people, in any order, and questions about them: who has learned plots alone finds nothing here."""

from dataclasses import dataclass

from minigpt.world.draw import draw
from minigpt.world.names import draw_name
from minigpt.world.text import capital, choose, fill, parse_choices, read_table

MOST = 5        # remarks in a text
HINTS = {"have": {"did", "give"}, "can": {"now", "often"}}     # topic -> others that answer its questions: what somebody bought he has


@dataclass(frozen=True)
class Question:
    """What may be asked about a sentence of a pattern; questions of one topic might answer each other."""
    topic: str
    ask: tuple             # parsed alternatives
    short: str
    full: str


@dataclass(frozen=True)
class Remark:
    """One sentence of a text, and the words and questions of its pattern; subject: the slot of the person it is about, or None."""
    sentence: str
    subject: str | None
    words: dict
    questions: tuple


def read_questions(path):
    """A table with the columns pattern, topic, ask, short and full -> {pattern: tuple of Question}"""
    found = {}
    for row in read_table(path):
        found.setdefault(row["pattern"], []).append(Question(row["topic"], parse_choices(row["ask"]), row["short"], row["full"]))
    return {name: tuple(questions) for name, questions in found.items()}


def patterns_of(world):
    """The patterns about which there are questions. -> list"""
    if "asked patterns" not in world.cache:
        world.cache["asked patterns"] = [pattern for pattern in (*world.patterns, *world.extra_patterns) if pattern.name in world.questions]
    return world.cache["asked patterns"]


def person_slots(pattern):
    """The names of its slots for people, the one that the sentence is about first."""
    return [slot.name for slot in pattern.slots if slot.tag.startswith("names")]


def is_about_one(remark):
    """Whether "he" or "she" in the next sentence can be nobody but its subject."""
    return remark.subject and sum("he" in word for word in remark.words.values()) == 1 and remark.questions[0].topic not in ("family", "met")


def remark(world, rng, pattern, people, before):
    """A sentence of the pattern about one of the people, by a pronoun where the one before was about the same. -> Remark"""
    slots = person_slots(pattern)
    given = dict(zip(slots, rng.sample(people, min(len(slots), len(people)))))
    words = draw(world, pattern.slots, rng, "train", given)
    subject, wording = slots[0] if slots else None, rng.choice(pattern.english)
    told = words
    if before and subject and is_about_one(before) and before.words[before.subject]["en"] == words[subject]["en"] and f"{{{subject}}}'s" not in wording:
        told = {**words, subject: {"en": words[subject]["he"]}} if rng.random() < 0.7 else words
    return Remark(capital(fill(wording, told)), subject, words, world.questions[pattern.name])


def make_remarks(world, rng):
    """Two to five remarks about one to three people: no two of a topic about the same person, no thing or place twice. -> list of Remark"""
    people = [draw_name(world, rng, "train") for _ in range(rng.randint(1, 3))]
    found, topics, used = [], set(), {person["en"] for person in people}
    if len(used) < len(people):
        return make_remarks(world, rng)
    for _ in range(rng.randint(2, MOST)):
        new = remark(world, rng, rng.choice(patterns_of(world)), people, found[-1] if found else None)
        mine = {(new.questions[0].topic, word["en"]) for slot, word in new.words.items() if "he" in word} or {(new.questions[0].topic, None)}
        things = {word["en"] for slot, word in new.words.items() if "he" not in word}
        if not (mine & topics or things & used):
            found, topics, used = [*found, new], topics | mine, used | things
    return found if len(found) > 1 else make_remarks(world, rng)


def ask_remarks(world, rng, answered):
    """A text of remarks with a question about it, answered in it or not. -> (text, question, short answer, full answer, {slot: word})

    short and full: None where the text has no answer.
    """
    remarks = make_remarks(world, rng)
    words = {f"{slot}{i}": word for i, one in enumerate(remarks) for slot, word in one.words.items()}
    text = " ".join(one.sentence for one in remarks)
    if answered:
        about = rng.choice(remarks)
        question = rng.choice(about.questions)
        return text, *(capital(fill(form, about.words)) for form in (choose(rng, question.ask), question.short, question.full)), words
    told = {one.questions[0].topic for one in remarks}
    topics = {pattern: world.questions[pattern.name][0].topic for pattern in patterns_of(world) if person_slots(pattern)}
    pattern = rng.choice([pattern for pattern, topic in topics.items() if not ({topic} | HINTS.get(topic, set())) & told])
    people = [word for one in remarks for word in one.words.values() if "he" in word] or [draw_name(world, rng, "train")]
    drawn = draw(world, pattern.slots, rng, "train", {person_slots(pattern)[0]: rng.choice(people)})
    return text, capital(fill(choose(rng, rng.choice(world.questions[pattern.name]).ask), drawn)), None, None, words
