"""People of the world: listed names, and invented ones of many shapes: names that are always from a list teach no copying."""

from minigpt.world.splits import split_of

LETTERS = {
    "C": "b d f g h j k l m n p r s t v w z".split(),
    "B": "bl br dr fl gl gr kl kr pl pr sk sl st tr".split(),
    "V": "a e i o u".split(),
    "D": "ai au ee ia io oo ou".split(),
    "E": "b d f k l m n p r s t v x z".split(),
    "N": "ld lk lm lt mb nd nk nt rd rk rm rn rt rv sk st".split(),
}
TRAINED_SHAPES = "CVE CVCV VCV CVCVE BVE BVCV CVNV CDE CVCVCV VCVE CVN BDE CVNVE CVCD".split()
EXTRA_SHAPES = "VCDE CVEBV CVCVCVE BDCV CDN VEBVC CVEDC DCV CVCDE BVEV".split()     # drawn in training only
UNSEEN_SHAPES = "BVCVE VNV CDCV BVN".split()

_FEMALE = {"he": "she", "his": "her", "him": "her"}
_MALE = {"he": "he", "his": "his", "him": "him"}


def with_pronouns(row):
    """A row with a gender, and its pronouns."""
    return {**row, **(_FEMALE if row["gender"] == "f" else _MALE)}


def invent_name(rng, split, shapes, avoid):
    """Spell a new name that belongs to `split`; `avoid` holds lower-case words and letter groups that names must not be or contain."""
    while True:
        shape = rng.choice(shapes)
        name = "".join(rng.choice(LETTERS[kind]) for kind in shape)
        if split_of("name", name, percent=10) != split:  # first: it turns most names of evaluation away
            continue
        if name not in avoid["words"] and not any(group in name for group in avoid["groups"]):
            kind = "unseen shape" if shape in UNSEEN_SHAPES else "trained shape"
            # in Chinese text an invented name stays as it is, with spaces around it
            return {"en": name.capitalize(), "zh": f" {name.capitalize()} ", "shape": kind, **rng.choice((_FEMALE, _MALE))}


def draw_name(world, rng, split):
    """Draw a person. Training: as the world has it. Evaluation: 40 % listed, 45 % of trained shapes, 15 % of unseen ones."""
    chance = rng.random()
    if chance < (1.0 - world.invented if split == "train" else 0.4):
        return rng.choice(world.names)
    shapes = world.shapes if split == "train" else UNSEEN_SHAPES if chance >= 0.85 else TRAINED_SHAPES
    return invent_name(rng, split, shapes, world.avoid)
