"""Encoding a text that arrives in chunks, and decoding ids that arrive one by one."""
import codecs

from minigpt.text.splitting import replace_surrogates

ROUND = 2**14  # characters to collect before a round of encoding


def encode_iterable(tok, chunks, allowed, forbidden):
    """Chunks of one text -> its ids one by one, the same wherever the chunks are cut.

    allowed, forbidden: sets of special tokens (see Tokenizer.encode). A piece is certain once the buffer reaches far enough
    beyond its end: one character decides about white space, two about a contraction, a special token needs its length more.
    """
    margin = 2 + max(map(len, allowed | forbidden), default=0)
    waiting, length, wanted = [], 0, ROUND
    for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length < wanted:
            continue
        text = "".join(waiting)
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""  # half a surrogate pair, to be judged with the next
        text = replace_surrogates(text[:len(text) - len(half)])
        done = 0
        for part, ids in tok.parts(text, allowed, forbidden):
            if done + len(part) > len(text) - margin:
                break
            done += len(part)
            yield from ids
        waiting, length = [text[done:], half], len(text) - done + len(half)
        wanted = max(ROUND, 2 * length)  # a long run without an end is not gone through again for each chunk
    for _, ids in tok.parts(replace_surrogates("".join(waiting)), allowed, forbidden):
        yield from ids


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
