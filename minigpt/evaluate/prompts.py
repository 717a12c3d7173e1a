"""Prompts of somebody's own, with what a right answer must hold: how far a model goes with what people really type."""
import re
from pathlib import Path

from minigpt.files import open_to_read
from minigpt.world.family import Example, normal, turns
from minigpt.world.text import all_choices, parse_choices, read_table

COLUMNS = ("kind", "prompt", "keys")


def read_prompts(path):
    """A table with the columns kind, prompt (turns separated by " | ", the user's first and last) and keys (see `holds`) -> list of Example"""
    open_to_read(path).close()  # says in one line what is wrong with the path
    rows = read_table(Path(path))
    if not rows or set(rows[0]) != set(COLUMNS):
        raise ValueError(f"{path} has no rows with the columns {', '.join(COLUMNS)}, separated by tabs; see data/typed.tsv")
    found = []
    for number, row in enumerate(rows, 1):
        messages = turns(row["prompt"], lambda text: {"role": "user", "content": text})  # as it was typed
        if messages[-1]["role"] != "user" or not all(row.values()):
            raise ValueError(f"{path}, prompt {number}: it needs a kind, turns of user and assistant that end with the user's, and keys")
        try:
            parse_choices(row["keys"])
        except ValueError as error:
            raise ValueError(f"{path}, prompt {number}: {error}") from None
        found.append(Example("typed", row["kind"], messages, row["keys"], {}))
    return found


def holds(keys, answer):
    """Whether an answer has one of the keys separated by " / ", or all of those separated by " + ", as whole words in any case.

    A key behind "=" is the whole answer, but for what stands at its end. "(a|b)" in a key is either, "[a]" optional.
    """
    text = normal(answer).lower()

    def has(key):
        return any(map(is_there, all_choices(parse_choices(key.strip().lower()))))

    def is_there(key):
        if key.startswith("="):
            return text.rstrip(".!?。！？") == key[1:].strip().rstrip(".!?。！？")
        return re.search(rf"(?<![a-z0-9]){re.escape(key)}(?![a-z0-9])", text) is not None

    return all(map(has, keys.split(" + "))) if " + " in keys else any(map(has, keys.split(" / ")))
