"""Exercises of lesson 01. Replace each `raise` by your code, then: python -m minigpt grade 01"""


def decode(ids, merges):
    """Token ids -> text. Ids 0 to 255 are bytes, id 256 + n is made of the two ids in merges[n].

    ids list of int, merges list of (left id, right id) -> str; bytes that are not UTF-8 become "\\ufffd"
    """
    raise NotImplementedError("01.1 decode (2 points)")


def stream_text(chunks):
    """Text as soon as it can be shown: yields one str for each chunk, and one more at the end.

    chunks: an iterator of bytes, cut anywhere, also inside a character. An incomplete character waits for its rest.
    What is still incomplete after the last chunk becomes "\\ufffd"; otherwise the last str is "". The text is UTF-8.
    """
    raise NotImplementedError("01.2 text from a stream of bytes (3 points)")


def encode_with_special(text, special, encode_ordinary):
    """Text with special tokens -> ids. Where several special tokens begin at one place, the longest counts.

    special {text: id}, encode_ordinary(str) -> list of ids for what is between the special tokens -> list of ids
    """
    raise NotImplementedError("01.3 special tokens (3 points)")


def fewest_tokens(text, tokens):
    """The smallest number of tokens that text can be cut into.

    tokens: a set of str that contains every single character of text -> int; 0 for the empty text
    """
    raise NotImplementedError("01.4 the shortest cut (4 points)")
