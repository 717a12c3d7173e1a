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


def decode_stream(tok, ids, skip_special_tokens=False):
    """An iterable of ids -> pieces of text, each as soon as its characters are whole; joined they are `decode` of all ids.

    One piece per id ("" while a character is incomplete), and a last one if the ids end within a character.
    """
    special = set(tok.special_tokens.values()) if skip_special_tokens else ()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for i in ids:
        yield "" if i in special else decoder.decode(tok.decode_bytes([i]))
    if rest := decoder.decode(b"", final=True):
        yield rest
