"""Stories told from an event state: the drawn words, the plot and its ending give the sentences, the gist, and the questions."""

from dataclasses import dataclass

from minigpt.world.draw import draw, parse_slots
from minigpt.world.shares import is_due
from minigpt.world.text import all_choices, capital, choose, fill, parse_choices, read_table

ENDINGS = ("happy", "sad")
EVERY_PLOT = "any"     # the row of plots.tsv whose slots and parts every plot shares
LONGEST = 7            # sentences
SECOND_PARAGRAPH = "4"     # the first part after the turn of a story


@dataclass(frozen=True)
class Plot:
    """A plot: its slots and, per ending, the parts in telling order, the gist, and rows of questions."""
    name: str
    slots: tuple
    extra: tuple           # the same for stories of training about other things, or None
    shared: tuple          # the slots that every plot has: weather, age, clothes
    parts: dict            # ending -> {part: [parsed wordings]}, in telling order
    gist: dict             # ending -> template
    asks: dict             # ending -> [rows], answered where the part in `needs` was told
    unknowns: dict         # ending -> [rows], never answered


@dataclass(frozen=True)
class Story:
    """One told story and the state it was told from; `told` names the parts that it tells."""
    plot: Plot
    ending: str
    words: dict
    told: tuple
    paragraphs: tuple      # each a tuple of sentences

    @property
    def text(self):
        """The story, one line for each paragraph."""
        return "\n ".join(" ".join(sentences) for sentences in self.paragraphs)

    @property
    def gist(self):
        """What happened, in one sentence."""
        return capital(fill(self.plot.gist[self.ending], self.words))


def read_plots(folder):
    """Read plots.tsv (plot, slots), extra.tsv (plot, obj) and tellings.tsv (plot, ending, part, text, short, full, needs).

    folder -> {name: Plot}
    """
    slots = {row["plot"]: parse_slots(row["slots"]) for row in read_table(folder / "plots.tsv")}
    extra = {}
    for row in read_table(folder / "extra.tsv"):
        own = slots.get(row["plot"], ())
        if "obj" not in {slot.name for slot in own}:
            raise ValueError(f"{folder / 'extra.tsv'}: the plot {row['plot']!r} is none of plots.tsv with a slot obj; mend its name")
        extra[row["plot"]] = about(own, row["obj"])
    rows = read_tellings(folder / "tellings.tsv")
    return {name: read_plot(name, own, extra.get(name), slots[EVERY_PLOT], [row for row in rows if row["plot"] in (name, EVERY_PLOT)])
            for name, own in slots.items() if name != EVERY_PLOT}


def read_tellings(path):
    """The rows of a table of tellings, with the alternatives of their texts parsed into "parts". -> list of rows"""
    return [{**row, "parts": parse_choices(row["text"])} for row in read_table(path)]


def read_scenes(path, shared):
    """Read the scenes: plots of everyday life, told and asked as plainly as people write, which training alone has.

    path: a table like tellings.tsv in which each plot also has a row `slots`; shared: slots that every plot has. -> {name: Plot}
    """
    rows = read_tellings(path)
    slots = {row["plot"]: parse_slots(row["text"]) for row in rows if row["part"] == "slots"}
    return {name: read_plot(name, own, None, shared, [row for row in rows if row["plot"] == name]) for name, own in slots.items()}


def about(slots, things):
    """The same slots, of which obj is one of other things: a tag, or nouns ("bell|coin"). -> tuple of Slot"""
    return tuple(slot._replace(tag=things) if slot.name == "obj" else slot for slot in slots)


def read_plot(name, slots, extra, shared, rows):
    """Sort a plot's rows by ending and part; slots, extra, shared as in Plot. -> Plot"""
    parts, gist, asks, unknowns = {}, {}, {}, {}
    for ending in ENDINGS:
        mine = [row for row in rows if row["ending"] in (ending, "both")]
        steps = sorted({row["part"] for row in mine if row["part"][0].isdigit()})
        parts[ending] = {step: [row["parts"] for row in mine if row["part"] == step] for step in steps}
        gist[ending] = next(row["text"] for row in mine if row["part"] == "gist")
        asks[ending] = [row for row in mine if row["part"] == "ask"]
        unknowns[ending] = [row for row in mine if row["part"] == "unknown"]
    return Plot(name, slots, extra, shared, parts, gist, asks, unknowns)


def choose_steps(plot, ending, rng, sentences, often, early=False):
    """The parts to tell: all required ones, and optional ones by chance, or as many as make the wanted number of sentences.

    early: the first optional ones, so that a reader who knows the plot and the number knows what comes next without counting.

    -> tuple of part names, or None where the plot cannot be told in that many sentences
    """
    steps = list(plot.parts[ending])
    optional = [step for step in steps if step.endswith("?")]
    if sentences is None:
        left_out = {step for step in optional if rng.random() > (often / 2 if step.endswith("??") else often)}
        while len(steps) - len(left_out) > LONGEST:
            left_out.add(rng.choice(optional))
    else:
        surplus = len(steps) - sentences
        if not 0 <= surplus <= len(optional):
            return None
        left_out = set(optional[len(optional) - surplus:] if early else rng.sample(optional, surplus))
    return tuple(step for step in steps if step not in left_out)


def first_person(story):
    """The gist as the first character would put it: "I lost a red kite in the park, and Anna found it."."""
    gist = fill(story.plot.gist[story.ending].replace("{name} and {friend}", "{friend} and {name}").replace("{name}'s", "my"),
                {**story.words, "name": {"en": "I"}})
    return gist if gist.startswith(("I ", "my ")) else capital(gist)


def tell(world, rng, split, plot=None, ending=None, given=(), paragraphs=1, sentences=None, usual=False, details=False):
    """Draw a state and tell it in one or two paragraphs.

    plot, ending: names, drawn where None (a scene is told only where it is named); given: words of slots that are decided; sentences:
    how many (ValueError where the plot cannot be told in that many); usual: every sentence in its first wording, with the first of its
    alternatives; details: with most of what may be told besides. -> Story
    """
    plot = (world.plots | world.scenes)[plot or rng.choice(list(world.plots))]
    ending = ending or rng.choice(ENDINGS)
    often = 0.9 if details else 0.5 if paragraphs == 1 else 0.7
    told = choose_steps(plot, ending, rng, sentences, often, early=split == "train")
    if told is None:
        raise ValueError(f"the plot {plot.name!r} cannot be told in {sentences} sentences; choose another number or plot")
    # what every plot may tell is beside the point: its pairs are from training, so that the held-out pair is always told
    shared = draw(world, plot.shared, rng, split, pair_split="train")
    slots = plot.extra if plot.extra and is_due(world, rng, split, "things") else plot.slots
    words = draw(world, slots, rng, split, {**shared, **dict(given)}, label=plot.name)
    parts = [plot.parts[ending][step] for step in told]
    lines = [capital(fill(all_choices(wordings[0])[0] if usual else choose(rng, rng.choice(wordings)), words)) for wordings in parts]
    turn = next(i for i, step in enumerate(told) if step >= SECOND_PARAGRAPH)
    return Story(plot, ending, words, told, (tuple(lines),) if paragraphs == 1 else (tuple(lines[:turn]), tuple(lines[turn:])))


def draw_scene(world, rng, split):
    """The name of a scene, where one is told in place of a story; else None."""
    return rng.choice(list(world.scenes)) if is_due(world, rng, split, "scenes") else None


def answerable(story):
    """The rows of the questions that the story answers."""
    return [row for row in story.plot.asks[story.ending] if not row["needs"] or row["needs"] in story.told]


def ask(story, rng, details=False):
    """A question that the story answers; details: one that another telling would not. -> (question, short answer, full answer)"""
    rows = answerable(story)
    if details:
        rows = [row for row in rows if row["needs"]] or rows
    row = rng.choice(rows)
    question = choose(rng, row["parts"])
    return tuple(capital(fill(text, story.words)) for text in (question, row["short"], row["full"]))


def ask_unknown(story, rng):
    """A question that the story does not answer; half of the time one that another telling of the plot would answer."""
    missing = [row for row in story.plot.asks[story.ending] if row["needs"] and row["needs"] not in story.told]
    rows = missing if missing and rng.random() < 0.5 else story.plot.unknowns[story.ending]
    return capital(fill(choose(rng, rng.choice(rows)["parts"]), story.words))


def story_document(world, rng):
    """Pretraining text: a story; a third of them are followed by their gist or by questions with answers."""
    story = tell(world, rng, "train", paragraphs=rng.choice((1, 1, 2)))
    chance = rng.random()
    if chance < 0.17:
        opening = rng.choice(("In short,", "TL;DR:", "Summary:", "The gist:", "In a few words,", "In one sentence,"))
        return f" {story.text}\n {opening} {story.gist}"
    if chance < 0.34:
        lines = []
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.2:
                lines.append(f" Question: {ask_unknown(story, rng)} Answer: I don't know.")
            else:
                question, short, full = ask(story, rng)
                lines.append(f" Question: {question} Answer: {rng.choice((short, full))}")
        return f" {story.text}\n" + "\n".join(lines)
    return " " + story.text
