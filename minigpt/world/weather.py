"""Weather reports, as they stand in pretraining text."""

from minigpt.world.text import choose, fill


def weather_document(world, rng):
    """Pretraining text: what the weather is like, perhaps what it was or will be, and what to do on such a day."""
    word, other = rng.sample(world.words["weather"], 2)
    parts = ["today"] + ["other"] * (rng.random() < 0.5) + ["advice"] * (rng.random() < 0.7)
    sentences = []
    for part in parts:
        rows = [row for row in world.reports if row["part"] == part and (not row["tags"] or row["tags"] in word["tags"])]
        sentences.append(fill(choose(rng, rng.choice(rows)["parts"]), {"w": word, "other": other}))
    return " " + " ".join(sentences)
