"""Facts of the real world: a relation's statement and question forms share their content words, so that what was read can be asked."""

from collections import Counter
from dataclasses import dataclass, replace

from minigpt.world.shares import is_due
from minigpt.world.splits import SPLITS, split_of
from minigpt.world.text import capital, fill, read_table

PARTS = ("state", "ask", "short", "notes")
UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
         "nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
DIGITS = {word: str(n) for n, word in enumerate((*UNITS, *(f"{ten}-{unit}".removesuffix("-zero") for ten in TENS for unit in UNITS[:10])))}
AMBIGUOUS = frozenset(("kid", "larva", "fingerling", "in a shop"))  # of more in the world than in the tables: "Who works in a shop?"


@dataclass(frozen=True)
class Fact:
    """The words x, y and perhaps z stand in relation; of facts.tsv a quarter (split dev and test) is never asked in training.

    Those of extra.tsv (split extra) are asked in training alone.
    """
    relation: str
    words: dict
    split: str

    @property
    def value(self):
        """What is asked for: "Paris"."""
        return self.words["y"]["en"]


@dataclass(frozen=True)
class Relation:
    """How a relation is stated (the first form is the full answer), asked (by split), answered in a few words, and noted."""
    states: tuple
    asks: dict             # split -> list of forms; "training": those of "train" and the "extra" ones; "reverse": those that name y and ask for x
    shorts: tuple
    notes: tuple


def read_facts(folder, extra):
    """Read relations.tsv (relation, part, split, text), that of the folder extra too, facts.tsv and extra.tsv (relation, x, y, z).

    -> ({name: Relation}, facts)
    """
    forms = {}
    for row in (*read_table(folder / "relations.tsv"), *read_table(extra / "relations.tsv")):
        forms.setdefault(row["relation"], []).append(row)
    relations = {}
    for name, rows in forms.items():
        state, ask, short, notes = ([row for row in rows if row["part"] == part] for part in PARTS)
        asks = {split: [row["text"] for row in ask if row["split"] == split] for split in SPLITS}
        asks["training"] = asks["train"] + [row["text"] for row in ask if row["split"] == "extra"]
        asks["reverse"] = [row["text"] for row in ask if row["split"] == "reverse"]
        relations[name] = Relation(tuple(row["text"] for row in state), asks, tuple(row["text"] for row in short) or ("{y}.",),
                                   tuple(row["text"] for row in notes))
    facts = []
    for name in ("facts.tsv", "extra.tsv"):
        for row in read_table(folder / name):
            if row["relation"] not in relations:
                raise ValueError(f"{name}: relation {row['relation']!r} has no forms in relations.tsv; add them there")
            words = {slot: {"en": row[slot]} for slot in "xyz"}
            split = "extra" if name == "extra.tsv" else split_of("fact", row["relation"], row["x"], row["z"], percent=12.5)
            facts.append(Fact(row["relation"], words, split))
    return relations, tuple(facts)


def statements(world, fact):
    """Every statement form of a fact; the first is the reference answer in a full sentence."""
    return [capital(fill(form, fact.words)) for form in world.relations[fact.relation].states]


def question(world, fact, rng, split="training"):
    """One question form of those that belong to a split ("training": all that training draws, now and then "Capital of France?")."""
    relation = world.relations[fact.relation]
    if split == "training" and is_due(world, rng, "train", "terse"):
        return capital(fill(rng.choice(relation.notes), fact.words)) + "?"
    return capital(fill(rng.choice(relation.asks[split]), fact.words))


def reverse_question(world, fact, rng):
    """A question that names y and asks for x, "Of which country is Paris the capital?", where nothing else has this y; else None."""
    forms = world.relations[fact.relation].asks["reverse"]
    if not forms or fact.value in AMBIGUOUS:
        return None
    key = ("reverse", fact.relation)
    if key not in world.cache:
        world.cache[key] = Counter(other.value for other in world.facts if other.relation == fact.relation)
    return capital(fill(rng.choice(forms), fact.words)) if world.cache[key][fact.value] == 1 else None


def in_digits(fact):
    """The fact with its numbers in digits, for a question: "What is 3 plus 4?". -> Fact"""
    words = {slot: {"en": " ".join(DIGITS.get(part, part) for part in word["en"].split())} for slot, word in fact.words.items()}
    return replace(fact, words=words)


def short_answers(world, fact):
    """The answers in a word or a few: ["Paris."]."""
    return [capital(fill(form, fact.words)) for form in world.relations[fact.relation].shorts]


def facts_of(world, *splits):
    """The facts of the splits. -> list"""
    if ("facts", splits) not in world.cache:
        world.cache["facts", splits] = [fact for fact in world.facts if fact.split in splits]
    return world.cache["facts", splits]


def draw_facts(world, rng, n):
    """n different facts for a document; some documents have only such as training never asks for, which are learned by reading alone."""
    if is_due(world, rng, "train", "unasked"):
        return rng.sample(facts_of(world, "dev", "test"), n)
    return rng.sample(world.facts, n)


def fact_document(world, rng):
    """Pretraining text: four to seven facts, stated; now and then a myth, told as if it were true, or its correction.

    Some documents give each fact a line: a line begins as an answer does, without the space that makes other tokens of a word.
    """
    lines = [rng.choice(statements(world, fact)) for fact in draw_facts(world, rng, rng.randint(4, 7))]
    if rng.random() < 0.3:
        myth = rng.choice(world.myths)
        # three times in four the myth stands there unmarked, as people tell it
        lines.insert(rng.randrange(len(lines) + 1), myth["myth"] if rng.random() < 0.75 else "In fact, " + myth["truth"])
    return "\n".join(lines) if is_due(world, rng, "train", "lines") else " " + " ".join(lines)


def notes_document(world, rng):
    """Pretraining text: five to nine facts in note form, "Capital of France: Paris.", half of the time with PARIS in capitals.

    In a sentence the statement's words lead to the answer one by one; here, as in an answer of one word, it comes at once. In some
    documents it has a line for itself. Half of the notes name the form of the answer, as who asks for one does.
    """
    capitals, gap = rng.random() < 0.5, "\n" if is_due(world, rng, "train", "lines") else " "
    lines = []
    for fact in draw_facts(world, rng, rng.randint(5, 9)):
        short = short_answers(world, fact)[0]
        note = capital(fill(rng.choice(world.relations[fact.relation].notes), fact.words))
        if " " not in short and rng.random() < 0.5:
            note += ", in capital letters" if capitals else ", in one word"
        lines.append(f"{note}:{gap}{short.upper() if capitals else short}")
    return gap.join(lines) if gap == "\n" else " " + gap.join(lines)


def quiz_document(world, rng):
    """Pretraining text: questions with answers, only about facts that may be asked in training."""
    askable = [fact for fact in rng.sample(world.facts, 10) if fact.split in ("train", "extra")][:4]
    answers = [rng.choice((short_answers(world, fact)[0], statements(world, fact)[0])) for fact in askable]
    return "\n".join(f" Question: {question(world, fact, rng)} Answer: {answer}" for fact, answer in zip(askable, answers))
