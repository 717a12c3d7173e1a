"""Requests as many people type them: a small letter at the beginning, nothing behind the last word."""

import re
from dataclasses import replace

STYLES = ("small", "open", "both")
_FIRST, _END = re.compile("[A-Za-z]+"), re.compile(r"\s*[.?!。？！]+$")


def is_name(world, word):
    """Whether a word may be somebody's: a listed name, or no word of the frozen tables, of which invented names are none."""
    if "listed" not in world.cache:
        world.cache["listed"] = {name["en"] for name in world.names}
    return word in world.cache["listed"] or word.lower() not in world.avoid["words"]


def typed_carelessly(world, rng, example):
    """The same example as someone types it who does not care for capital letters and full stops; the answer stays as it is.

    Half of the requests whose answer never repeats a name (facts, wishes, lone greetings) are in small letters throughout. -> Example
    """
    repeats = not ("fact" in example.facets or example.family == "refuse" or example.kind == "manners" and len(example.messages) == 1)
    style = rng.choice(STYLES) if repeats or rng.random() < 0.5 else "lower"

    def typed(text):
        first = _FIRST.match(text)
        if style == "lower":
            text = text.lower()
        elif style != "open" and first and not is_name(world, first[0]):
            text = text[0].lower() + text[1:]
        return text if style == "small" else _END.sub("", text)

    messages = tuple({**message, "content": typed(message["content"])} if message["role"] == "user" else message
                     for message in example.messages)
    return replace(example, messages=messages)
