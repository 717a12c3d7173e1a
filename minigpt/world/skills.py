"""Pattern skills that no instruction uses: copy, reverse, sort, count. Preference learning and lessons find them in the base model."""

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def draw_items(world, rng):
    """Three to six different things of one sort: nouns, letters or numbers. -> (items, key that sorts them)"""
    sort, count = rng.randrange(3), rng.randint(3, 6)
    if sort == 0:
        return [word["en"] for word in rng.sample(world.words["nouns"], count)], str
    if sort == 1:
        return rng.sample(LETTERS, count), str
    return rng.sample(NUMBERS, count), NUMBERS.index


def skill_line(world, rng, skill):
    """One exercise with its result: " Reverse: kite, box, cup. Result: cup, box, kite."."""
    items, key = draw_items(world, rng)
    if skill == "Count":
        times = rng.randint(2, 9)
        return f" Count: {' '.join(items[:1] * times)}. Result: {NUMBERS[times - 1]}."
    result = {"Copy": items, "Reverse": items[::-1], "Sort": sorted(items, key=key)}[skill]
    return f" {skill}: {', '.join(items)}. Result: {', '.join(result)}."


def skill_document(world, rng):
    """Pretraining text: two to four exercises of one skill."""
    skill = rng.choice(("Copy", "Reverse", "Sort", "Count"))
    return "\n".join(skill_line(world, rng, skill) for _ in range(rng.randint(2, 4)))
