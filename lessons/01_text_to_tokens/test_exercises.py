"""The tests that `python -m minigpt grade 01` runs."""
import functools


def draw_text(draw, name, alphabet, longest):
    """A text over a few characters; it gets shorter when the test input is shrunk."""
    length = draw.integer(f"length of {name}", 0, longest)
    text = "".join(alphabet[i] for i in draw.rng(name).integers(0, len(alphabet), length))
    draw.values[name] = text
    return text


def draw_merges(draw):
    """Random merges over a few bytes, of which some begin or continue a character of several bytes."""
    number, rng = draw.integer("number of merges", 0, 8), draw.rng("merges")
    merges = []
    for made in range(number):
        pool = [*"ab猫é".encode("utf-8"), *range(256, 256 + made)]
        merges.append((int(rng.choice(pool)), int(rng.choice(pool))))
    draw.values["merges"] = merges
    return merges


def test_1_values(exercises, draw):
    """the bytes of all tokens, one after the other, read as UTF-8"""
    merges = draw_merges(draw)
    count, rng = draw.integer("number of ids", 0, 6), draw.rng("ids")
    ids = [int(i) for i in rng.choice([97, 231, 140, 171, *range(256, 256 + len(merges))], count)]
    draw.values["ids"] = ids

    def expand(i):
        return bytes([i]) if i < 256 else expand(merges[i - 256][0]) + expand(merges[i - 256][1])

    expected = b"".join(map(expand, ids)).decode("utf-8", "replace")
    got = exercises.decode(list(ids), list(merges))
    assert got == expected, f"got {got!r}, expected {expected!r}"


def draw_chunks(draw, data):
    """Cuts bytes at random places."""
    cut = draw.rng("cuts").integers(0, 2, max(len(data) - 1, 0)).tolist()
    chunks, chunk = [], data[:1]
    for byte, new in zip(data[1:], cut):
        if new:
            chunks.append(chunk)
            chunk = b""
        chunk += bytes([byte])
    draw.values["chunks"] = [*chunks, chunk]
    return draw.values["chunks"]


def test_2_whole(exercises, draw):
    """all text comes, each character as soon as its last byte has come"""
    data = draw_text(draw, "text", "aé猫🙂", 6).encode("utf-8")
    chunks = draw_chunks(draw, data)
    got = []

    def arriving():
        for number, chunk in enumerate(chunks):
            assert len(got) == number, f"chunk {number + 1} was asked for after {len(got)} texts; give each text before asking for more"
            yield chunk

    for piece in exercises.stream_text(arriving()):
        got.append(piece)
    assert len(got) == len(chunks) + 1, f"{len(got)} texts for {len(chunks)} chunks; expected one for each and one at the end"
    shown, arrived = "", b""
    for chunk, text in zip(chunks, got):
        shown, arrived = shown + text, arrived + chunk
        complete = arrived.decode("utf-8", "ignore")
        assert shown == complete, f"after {arrived!r} the text should be {complete!r}, it is {shown!r}"
    assert got[-1] == "", f"nothing is incomplete, so the last text should be '', it is {got[-1]!r}"


def test_2_cut_off(exercises, draw):
    """a character that never completes becomes one \\ufffd at the end"""
    text = draw_text(draw, "text", "aé猫", 4)
    cut = draw.integer("bytes of the last character", 1, 2)
    chunks = draw_chunks(draw, text.encode("utf-8") + "猫".encode("utf-8")[:cut])
    got = "".join(exercises.stream_text(iter(chunks)))
    assert got == text + "\ufffd", f"got {got!r}, expected {text + chr(0xFFFD)!r}"


def test_3_values(exercises, draw):
    """special tokens get their ids, the rest is encoded as ordinary text"""
    special = {"<|a|>": 1000, "<|a|><|b|>": 1001, "<|b|>": 1002, "猫": 1003}
    parts = ["<|a|>", "<|b|>", "a", "<|", "|>", "猫", "b|>"]
    count = draw.integer("number of parts", 0, 7)
    text = "".join(parts[i] for i in draw.rng("text").integers(0, len(parts), count))
    draw.values["text"], draw.values["special"] = text, special

    def ordinary(piece):  # like merges, it depends on the whole piece
        return [len(piece), *piece.encode("utf-8")] if piece else []

    expected, start, i = [], 0, 0
    while i < len(text):
        found = max((token for token in special if text.startswith(token, i)), key=len, default=None)
        if found:
            expected += [*ordinary(text[start:i]), special[found]]
            start = i + len(found)
        i += len(found or text[i])
    expected += ordinary(text[start:])
    got = exercises.encode_with_special(text, dict(special), ordinary)
    assert got == expected, f"got {got}, expected {expected}"


def test_3_longest(exercises, draw):
    """of two special tokens that begin together the longest counts, in whatever order they are listed"""
    for special in ({"<|a|>": 1, "<|a|><|b|>": 2}, {"<|a|><|b|>": 2, "<|a|>": 1}):
        got = exercises.encode_with_special("<|a|><|b|>", dict(special), lambda piece: [])
        assert got == [2], f"got {got} for {list(special)}, expected [2]"


def test_4_values(exercises, draw):
    """no other cut has fewer tokens"""
    text = draw_text(draw, "text", "abc", 9)
    made = {draw_text(draw, f"token {n}", "abc", 4) for n in range(6)} - {""}
    tokens = made | set("abc")

    @functools.cache
    def fewest(rest):
        return min((1 + fewest(rest[n:]) for n in range(1, len(rest) + 1) if rest[:n] in tokens), default=0)

    got = exercises.fewest_tokens(text, set(tokens))
    assert got == fewest(text), f"got {got}, expected {fewest(text)}"


def test_4_greedy(exercises, draw):
    """taking the longest token first, from either end, is not always best"""
    count, mirrored = draw.integer("times", 1, 5), draw.choice("mirrored", [False, True])
    turn = -1 if mirrored else 1
    text, tokens = ("abcd" * count)[::turn], {token[::turn] for token in ("a", "b", "c", "d", "ab", "bcd")}
    got = exercises.fewest_tokens(text, tokens)
    assert got == 2 * count, f"{text!r} with {sorted(tokens)}: got {got}, expected {2 * count}"


def test_4_both(exercises, draw):
    """nor is the better of the two ends"""
    text, tokens = "abcddcba", {*"abcd", "ab", "bcd", "ba", "dcb"}
    got = exercises.fewest_tokens(text, set(tokens))
    assert got == 4, f"{text!r} with {sorted(tokens)}: got {got}, expected 4"


def test_4_long(exercises, draw):
    """a text of 200 characters takes no longer than a moment"""
    count = draw.integer("length", 180, 200)
    got = exercises.fewest_tokens("a" * count, {"a", "aa", "aaa"})
    assert got == (count + 2) // 3, f"got {got}, expected {(count + 2) // 3}"
