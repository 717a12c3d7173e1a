"""One solution for each exercise of lesson 01. Yours may be another."""
import codecs


def decode(ids, merges):
    """ids, merges -> str"""
    vocabulary = [bytes([number]) for number in range(256)]
    for left, right in merges:
        vocabulary.append(vocabulary[left] + vocabulary[right])
    return b"".join(vocabulary[i] for i in ids).decode("utf-8", "replace")


def stream_text(chunks):
    """iterator of bytes -> iterator of str"""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def encode_with_special(text, special, encode_ordinary):
    """text, {special text: id}, function -> list of ids"""
    longest_first = sorted(special, key=len, reverse=True)
    ids, start, i = [], 0, 0
    while i < len(text):
        found = next((token for token in longest_first if text.startswith(token, i)), None)
        if found is None:
            i += 1
            continue
        ids += encode_ordinary(text[start:i]) + [special[found]]
        i += len(found)
        start = i
    return ids + encode_ordinary(text[start:])


def fewest_tokens(text, tokens):
    """text, set of str -> int"""
    best = [0]  # best[end]: the fewest tokens for text[:end]
    for end in range(1, len(text) + 1):
        best.append(1 + min(best[start] for start in range(end) if text[start:end] in tokens))
    return best[-1]
