"""Facts of the real world: a relation's statement and question forms share their content words, so that what was read can be asked."""

from dataclasses import dataclass

from minigpt.world.splits import split_of
from minigpt.world.text import capital, fill, read_table


@dataclass(frozen=True)
class Fact:
    """`x` and `y` stand in relation; a quarter of all facts (split dev and test) is never asked in training."""
    relation: str
    x: str
    y: str
    split: str

    @property
    def words(self):
        """The slots of the relation's forms."""
        return {"x": {"en": self.x}, "y": {"en": self.y}}


def read_facts(folder):
    """Read relations.tsv (relation, part state|ask|short, text) and facts.tsv (relation, x, y). folder -> (relations, facts)"""
    relations = {}
    for row in read_table(folder / "relations.tsv"):
        relations.setdefault(row["relation"], {}).setdefault(row["part"], []).append(row["text"])
    facts = []
    for row in read_table(folder / "facts.tsv"):
        if row["relation"] not in relations:
            raise ValueError(f"facts.tsv: relation {row['relation']!r} has no forms in relations.tsv; add them there")
        facts.append(Fact(row["relation"], row["x"], row["y"], split_of("fact", row["relation"], row["x"], percent=12.5)))
    return relations, tuple(facts)


def statements(world, fact):
    """Every statement form of a fact; the first is the reference answer in a full sentence."""
    return [capital(fill(form, fact.words)) for form in world.relations[fact.relation]["state"]]


def questions(world, fact):
    """Every question form of a fact."""
    return [capital(fill(form, fact.words)) for form in world.relations[fact.relation]["ask"]]


def short_answer(fact):
    """The answer in a word or two: "Paris."."""
    return capital(fact.y) + "."


def fact_document(world, rng):
    """Pretraining text: four to seven facts, stated."""
    return " " + " ".join(rng.choice(statements(world, fact)) for fact in rng.sample(world.facts, rng.randint(4, 7)))


def quiz_document(world, rng):
    """Pretraining text: questions with answers, only about facts that may be asked in training."""
    askable = [fact for fact in rng.sample(world.facts, 8) if fact.split == "train"][:4]
    return "\n".join(f" Question: {rng.choice(questions(world, fact))} Answer: "
                     + rng.choice((short_answer(fact), statements(world, fact)[0])) for fact in askable)
