"""Small tools for building sentences: tables, slots, alternatives. They know no word of the world."""

import re

_SLOT = re.compile(r"\{(a )?([a-z0-9_]+)(?:\.([a-z_]+))?(?: ([a-z0-9_]+)(?:\.([a-z_]+))?)?\}")


def read_table(path):
    """Read a TSV table: a header line, then rows; blank lines and lines that start with # are left out. path -> list of dicts."""
    try:
        text = path.read_text(encoding="utf-8-sig")    # some editors put a mark in front
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    rows, header = [], None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if header is None:
            header = cells
            continue
        if len(cells) > len(header):
            raise ValueError(f"{path}:{number}: {len(cells)} cells, but the header has {len(header)}; remove a tab")
        rows.append(dict(zip(header, cells + [""] * (len(header) - len(cells)))))
    return rows


def with_article(phrase):
    """Put the right indefinite article before an English phrase: "apple" -> "an apple"."""
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(("uni", "use", "eu", "one"))
    return ("an " if vowel or phrase.startswith("hour") else "a ") + phrase


def fill(template, words, language="en"):
    """Fill a template's slots from words: "{name} has {a adj obj}" and {"name": {"en": "Tom"}, ...} -> "Tom has a red kite".

    {slot} is the word in `language`, {slot.column} another column of its row, {a x y} puts the English article before both.
    """
    def _phrase(match):
        article, slot, column, second, second_column = match.groups()
        phrase = words[slot][column or language]
        if second:
            phrase += " " + words[second][second_column or language]
        return with_article(phrase) if article else phrase
    return _SLOT.sub(_phrase, template)


def capital(sentence):
    """Make the first letter upper case: "the cat sleeps." -> "The cat sleeps."."""
    return sentence[:1].upper() + sentence[1:]


def tidy_chinese(text):
    """Keep one space around Latin words inside Chinese text and none beside punctuation."""
    text = re.sub(r" +", " ", text)
    return re.sub(r" ?([。，？！：；、]) ?", r"\1", text).strip()


def parse_choices(line):
    """Parse an authored line: (a|b) is either, [a|b] either or nothing, nested at will. line -> sequence

    A sequence is a tuple of strings and of choices; a choice is a list of sequences.
    """
    try:
        sequence, rest = _parse_sequence(line, ")]")
    except ValueError as error:
        raise ValueError(f"{error} in {line!r}; close it") from None
    if rest:
        raise ValueError(f"unbalanced bracket in {line!r} before {rest!r}; close what is open")
    return sequence


def _parse_sequence(rest, closing):
    """Parse up to one of the closing characters. -> (sequence, what is left)"""
    sequence, text = [], ""
    while rest and rest[0] not in closing:
        character, rest = rest[0], rest[1:]
        if character not in "([":
            text += character
            continue
        options, end = ([()] if character == "[" else []), "|"
        while end == "|":
            option, rest = _parse_sequence(rest, "|)" if character == "(" else "|]")
            if not rest:
                raise ValueError(f"a {character} is never closed")
            end, rest = rest[0], rest[1:]
            options.append(option)
        sequence, text = [*sequence, text, options], ""
    return tuple(part for part in (*sequence, text) if part != ""), rest


def choose(rng, sequence):
    """Take one alternative of every choice in a parsed line."""
    return "".join(part if isinstance(part, str) else choose(rng, rng.choice(part)) for part in sequence)


def all_choices(sequence):
    """List every wording that `choose` can make."""
    wordings = [""]
    for part in sequence:
        options = [part] if isinstance(part, str) else [wording for option in part for wording in all_choices(option)]
        wordings = [head + option for head in wordings for option in options]
    return wordings


def plural(noun):
    """Regular English plural: "box" -> "boxes", "berry" -> "berries"."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def verb_forms(verb):
    """Regular forms of an English verb: "carry" -> {"third": "carries", "past": "carried", "ing": "carrying"}."""
    if verb.endswith("e"):
        return {"third": verb + "s", "past": verb + "d", "ing": verb[:-1] + "ing"}
    past = verb[:-1] + "ied" if verb.endswith("y") and verb[-2] not in "aeiou" else verb + "ed"
    return {"third": plural(verb), "past": past, "ing": verb + "ing"}
