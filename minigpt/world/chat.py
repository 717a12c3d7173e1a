"""Chat: several turns; what the user has told is remembered, what was not told is not made up; and good manners."""

from minigpt.world.draw import draw, parse_slots
from minigpt.world.family import Example, Family, assistant, draw_language, make_facets, phrasing_rows, user, verify_exact
from minigpt.world.shares import is_due
from minigpt.world.splits import seen_by
from minigpt.world.text import capital, choose, fill, tidy_chinese

NOT_TOLD = {"en": "You have not told me.", "zh": "你没有告诉我。"}


def topics(world, language, split):
    """The names of all topics that can be talked about in a language; some only in training."""
    key = ("topics", language, split == "train")
    if key not in world.cache:
        world.cache[key] = sorted({row["kind"] for row in world.phrasings["chat"] if row["language"] == language
                                   and (split == "train" or row["split"] == "train")})
    return world.cache[key]


def draw_topic(world, rng, split, topic):
    """Draw the words of a topic: names of the split, other words as in training, for it is memory that is tested. -> {slot: word}"""
    slots = parse_slots(phrasing_rows(world, "chat", "training", kind=topic, part="slots")[0]["text"])
    return draw(world, slots, rng, split, pair_split="train")


def say(world, rng, topic, part, words, language, split):
    """One wording of a part of a topic, filled; None where the topic has no such part. -> sentence"""
    rows = phrasing_rows(world, "chat", split, kind=topic, part=part, language=language)
    if not rows:
        return None
    sentence = fill(choose(rng, rng.choice(rows)["parts"]), words, language)
    return tidy_chinese(sentence) if language == "zh" else capital(sentence)


def tell_topics(world, rng, split, language, told):
    """The turns in which the user tells each topic and is answered; sometimes the user takes one back. -> (turns, {topic: words})"""
    turns, known, seen = [], {}, seen_by(split)
    for topic in told:
        known[topic] = draw_topic(world, rng, split, topic)
        turns.append(tuple(say(world, rng, topic, part, known[topic], language, seen) for part in ("tell", "reply")))
        if rng.random() < 0.12:
            other = draw_topic(world, rng, split, topic)
            change = say(world, rng, topic, "change", other, language, seen)
            if change and other != known[topic]:
                known[topic] = other
                turns.append((change, say(world, rng, topic, "reply", other, language, seen)))
    return turns, known


def conversation(world, rng, split, language, is_told):
    """A conversation that ends with a question about something told, or not told.

    -> (turns, question, answer, topic asked for, {topic: words}, "seen" or "held-out" phrasing)
    """
    names = topics(world, language, split)
    told = rng.sample(names, rng.randint(1, 3))
    asked = rng.choice(told) if is_told else rng.choice([name for name in names if name not in told])
    turns, known = tell_topics(world, rng, split, language, told)
    seen = seen_by(split)
    held_out = split if split != "train" and rng.random() < 0.5 else seen
    if is_due(world, rng, split, "more"):
        turns += asked_before(world, rng, language, known, asked)
    question = say(world, rng, asked, "ask", known.get(asked, {}), language, held_out)
    if question is None:     # a topic without held-out questions
        held_out, question = seen, say(world, rng, asked, "ask", known.get(asked, {}), language, seen)
    answer = answer_to(world, rng, asked, known, language, seen)
    return turns, question, answer, asked, known, "seen" if held_out == seen else "held-out"


def answer_to(world, rng, topic, known, language, split):
    """The answer to a question about a topic, told (in known: {topic: words}) or not. -> sentence"""
    return say(world, rng, topic, "answer", known[topic], language, split) if topic in known else NOT_TOLD[language]


def is_held_out(world, kind, language, topic):
    """Does training leave out this topic in this kind and language?"""
    return ("chat", f"{kind}/{language}/{topic}") in world.held_out_cells


def asked_before(world, rng, language, known, asked):
    """One to three earlier questions about other topics, told or not, with their answers: what was told teaches more than once.

    known: {topic: words}; asked: the topic of the question to come. -> turns
    """
    turns, told, untold = [], [], []
    for topic in topics(world, language, "train"):
        kind, names = ("memory", told) if topic in known else ("untold", untold)
        if topic != asked and not is_held_out(world, kind, language, topic):
            names.append(topic)
    for _ in range(rng.randint(1, 3)):
        names = told if told and rng.random() < 0.6 else untold
        topic = names.pop(rng.randrange(len(names)))
        question = say(world, rng, topic, "ask", known.get(topic, {}), language, "training")
        turns.append((question, answer_to(world, rng, topic, known, language, "training")))
    return turns


def transcript(turns, speaker, listener):
    """Turns as they stand in pretraining text: who speaks, what is said, a line each."""
    return "\n".join(f" {speaker}: {told}\n {listener}: {reply}" for told, reply in turns)


def make_memory(world, rng, split, kind):
    """A conversation with a question about something told (kind memory) or not told (kind untold). -> Example"""
    language = draw_language(world, rng, split)
    turns, question, answer, asked, known, phrasing = conversation(world, rng, split, language, kind == "memory")
    messages = [message for told, reply in turns for message in (user(told), assistant(reply))]
    words = {topic + slot: word for topic, drawn in known.items() for slot, word in drawn.items()}
    # a topic may occur in a held-out cell without being asked for: what counts as the cell is every topic of the conversation
    cell = next((topic for topic in (asked, *known) if is_held_out(world, kind, language, topic)), asked)
    facets = make_facets(world, "chat", f"{kind}/{language}/{cell}", words, phrasing, language, topic=asked, turns=len(turns))
    natural = transcript([*turns, (question, "")], *(name["en"] for name in world.names[:2])).rstrip()
    return Example("chat", kind, (*messages, user(question)), answer, facets, natural=natural)


def make_manners(world, rng, split, kind):
    """A greeting, thanks, a question about the assistant itself; three times in ten in the middle of a conversation. -> Example"""
    language = draw_language(world, rng, split)
    seen = seen_by(split)
    held_out = split if split != "train" and rng.random() < 0.5 else seen
    rows = phrasing_rows(world, "manners", held_out, language=language) or phrasing_rows(world, "manners", seen, language=language)
    row = rng.choice(rows)
    turns = tell_topics(world, rng, split, language, [rng.choice(topics(world, language, split))])[0] if rng.random() < 0.3 else []
    if is_due(world, rng, split, "more"):
        others = [other for other in phrasing_rows(world, "manners", seen, language=language)
                  if other["kind"] not in (row["kind"], "bye") and not is_held_out(world, kind, language, other["kind"])]
        turns += [(choose(rng, other["parts"]), other["answer"]) for other in rng.sample(others, rng.randint(1, 2))]
    messages = [message for told, reply in turns for message in (user(told), assistant(reply))]
    phrasing = "held-out" if row["split"] == split != "train" else "seen"
    facets = make_facets(world, "chat", f"{kind}/{language}/{row['kind']}", {}, phrasing, language, topic=row["kind"],
                         turns=len(turns))
    return Example("chat", kind, (*messages, user(choose(rng, row["parts"]))), row["answer"], facets)


def make(world, rng, split, kind):
    """Make an example of the kind. -> Example"""
    return (make_manners if kind == "manners" else make_memory)(world, rng, split, kind)


FAMILY = Family("chat", {"memory": 0.06, "untold": 0.04, "manners": 0.02}, make, verify_exact, hashed=("memory", "untold", "manners"))
