"""Twenty prompts per family that come from no template: they say how far a model really goes, and are reported without a target."""

from minigpt.files import data_folder
from minigpt.world.family import Example, turns
from minigpt.world.text import read_table
from minigpt.world.write import story_wants, vocabulary


def handwritten(world, family):
    """The hand-written examples of a family, from data/handwritten. -> list of Example; verify() checks them like all others"""
    rows = read_table(data_folder() / "handwritten" / f"{family}.tsv")
    return [read_example(world, family, row) for row in rows]


def read_example(world, family, row):
    """One row: kind, prompt with turns separated by " | ", and answers separated by " / " or the constraints of a text. -> Example"""
    messages = turns(row["prompt"].replace("\\n", "\n"))
    facets = {"phrasing": "handwritten"}
    if family == "write":
        wants = story_wants(world, row["kind"], split_list(row["names"]), split_list(row["words"]), row["ending"] or None,
                            int(row["number"]) if row["number"] else None)
        return Example(family, row["kind"], messages, "", facets, wants=wants, vocabulary=vocabulary(world))
    answer, *accept = row["answers"].split(" / ")
    return Example(family, row["kind"], messages, answer, facets, accept=tuple(accept), wants={"refused": row["kind"] == "harmful"})


def split_list(cell):
    """ "boat, river" -> ("boat", "river")"""
    return tuple(item.strip() for item in cell.split(",") if item.strip())
