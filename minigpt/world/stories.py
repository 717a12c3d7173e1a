"""Stories told from an event state: the drawn words, the plot and its ending give the sentences, the gist, and the questions."""

from dataclasses import dataclass

from minigpt.world.draw import draw, parse_slots
from minigpt.world.text import capital, fill, read_table

ENDINGS = ("happy", "sad")


@dataclass(frozen=True)
class Plot:
    """A plot: its slots and, per ending, the wordings of each part ("1", "2", ... in order, "gist", "ask", "unknown")."""
    name: str
    slots: tuple
    parts: dict            # (ending, part) -> tuple of rows


@dataclass(frozen=True)
class Story:
    """One told story and the state it was told from."""
    plot: str
    ending: str
    words: dict
    paragraphs: tuple      # each a tuple of sentences
    gist: str
    questions: tuple       # (question, short answer, full answer)
    unknowns: tuple        # questions that the story does not answer

    @property
    def text(self):
        """The story with a line for each paragraph."""
        return "\n ".join(" ".join(sentences) for sentences in self.paragraphs)


def read_plots(folder):
    """Read plots.tsv (plot, slots) and tellings.tsv (plot, ending, part, text, short, full). folder -> {name: Plot}"""
    parts = {}
    for row in read_table(folder / "tellings.tsv"):
        for ending in ENDINGS if row["ending"] == "both" else (row["ending"],):
            parts.setdefault(row["plot"], {}).setdefault((ending, row["part"]), []).append(row)
    return {row["plot"]: Plot(row["plot"], parse_slots(row["slots"]), {key: tuple(rows) for key, rows in parts[row["plot"]].items()})
            for row in read_table(folder / "plots.tsv")}


def tell(world, rng, split, plot=None, ending=None, given=(), paragraphs=1):
    """Draw a state and tell it in one or two paragraphs; a part with a trailing "?" is left out half of the time. -> Story"""
    plot = world.plots[plot or rng.choice(sorted(world.plots))]
    ending = ending or rng.choice(ENDINGS)
    words = draw(world, plot.slots, rng, split, given, label=plot.name)
    steps = sorted(part for end, part in plot.parts if end == ending and part[0].isdigit())
    sentences, turn = [], None
    for step in steps:
        if step.endswith("?") and rng.random() < 0.5:
            continue
        if step >= "4" and turn is None:
            turn = len(sentences)
        sentences.append(capital(fill(rng.choice(plot.parts[ending, step])["text"], words)))
    split_at = [tuple(sentences)] if paragraphs == 1 else [tuple(sentences[:turn]), tuple(sentences[turn:])]
    gist = capital(fill(plot.parts[ending, "gist"][0]["text"], words))
    questions = tuple(tuple(capital(fill(row[column], words)) for column in ("text", "short", "full")) for row in plot.parts[ending, "ask"])
    unknowns = tuple(capital(fill(row["text"], words)) for row in plot.parts[ending, "unknown"])
    return Story(plot.name, ending, words, tuple(split_at), gist, questions, unknowns)


def story_document(world, rng):
    """Pretraining text: a story; a third of them are followed by their gist or by questions with answers."""
    story = tell(world, rng, "train", paragraphs=rng.choice((1, 1, 2)))
    chance = rng.random()
    if chance < 0.17:
        opening = rng.choice(("In short,", "TL;DR:", "Summary:"))
        return f" {story.text}\n {opening} {story.gist}"
    if chance < 0.34:
        asked = rng.sample(story.questions, min(2, len(story.questions)))
        lines = [f" Question: {question} Answer: {rng.choice((short, full))}" for question, short, full in asked]
        if rng.random() < 0.3:
            lines.insert(rng.randrange(len(lines) + 1), f" Question: {rng.choice(story.unknowns)} Answer: I don't know.")
        return f" {story.text}\n" + "\n".join(lines)
    return " " + story.text
