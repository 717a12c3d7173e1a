"""Encoding a text that arrives in chunks, and decoding ids that arrive one by one."""
import codecs

from minigpt.text.splitting import HAN, LETTER, NUMBER, SPACE, character_classes, cut_special, refuse_special, replace_surrogates

ROUND = 2**18  # characters to collect before they are encoded


def encode_iterable(tok, chunks, allowed, forbidden):
    """Chunks of one text -> its ids one by one, the same wherever the chunks are cut.

    allowed, forbidden: sets of special tokens (see Tokenizer.encode). What has come is encoded up to a place where a piece
    ends whatever comes; the rest waits, and so does anything in which a special token may have begun.
    """
    longest = max(map(len, allowed | forbidden), default=0)
    waiting, length, wanted = [], 0, ROUND
    for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length < wanted:
            continue
        text = "".join(waiting)
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""  # half a surrogate pair, to be judged with the next
        text = replace_surrogates(text[:len(text) - len(half)])
        cut = last_cut(text, len(text) - 1 - longest, character_classes(tok.split), allowed)
        refuse_special(text, forbidden)  # in all of it: one may stand across the cut
        yield from tok.encode(text[:cut], allowed, ())
        waiting, length = [text[cut:], half], len(text) - cut + len(half)
        wanted = max(ROUND, 2 * length)  # a long run without an end is not gone through again for each chunk
    yield from tok.encode("".join(waiting), allowed, forbidden)


def last_cut(text, limit, classes, allowed):
    """The last place up to `limit` where a piece ends whatever follows in the text; 0 if there is none.

    Letters and numbers end with the first other character, white space begins a piece, Chinese characters of split="han"
    stand alone; but an apostrophe may begin a contraction, and white space may give its last character to what follows.
    """
    for cut in range(limit, 0, -1):
        a, b = classes[ord(text[cut - 1])], classes[ord(text[cut])]
        if a != b and (a == LETTER or a == NUMBER or b == SPACE) or a == HAN or b == HAN:
            break
    else:
        return 0
    start = 0
    for i, part in enumerate(cut_special(text, allowed)):
        if i % 2 and start < cut < start + len(part):
            return start  # not within a special token
        start += len(part)
    return cut


class StreamDecoder:
    """Turns ids into text one by one, holding back a character until it is whole.

    All texts from `push` and the one from `finish`, joined, are tok.decode of all ids.
    """

    def __init__(self, tok, skip_special_tokens=False):
        self.tok, self.skipped = tok, set(tok.special_tokens.values()) if skip_special_tokens else ()
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, i):
        """One id -> the text that is whole now, "" within a character."""
        return "" if i in self.skipped else self.decoder.decode(self.tok.decode_bytes([i]))

    def finish(self):
        """No more ids -> U+FFFD for a character that was cut off, else ""."""
        return self.decoder.decode(b"", final=True)
