"""safetensors: the format by hand, round trips, every refusal, fuzz and bit flips. The reference library is asked in tests/oracle."""
import copy
import io
import json
import os
import pickle
import random
import tracemalloc

import numpy as np
import pytest
from runs import put

from minigpt.interop import safetensors
from minigpt.interop.safetensors import SafetensorsError, load_file, read_metadata, save_file


def by_hand(header, data=b"", length=None):
    """A file's bytes from a header (dict or bytes), as the format's description says, without any of our code."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def refusal(path, data):
    """Loads `data` as a file -> the one line with which it is refused."""
    put(path, data)
    with pytest.raises(SafetensorsError) as raised:
        load_file(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < len(str(path)) + 400
    return text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_golden_file(path):
    """Computed by hand: 1.0 = 0x3f800000, -2.0 = 0xc0000000, 0.5 as F16 = 0x3800, as BF16 = 0x3f00."""
    header = {"w": entry("F32", [1, 2], [0, 8]), "half": entry("F16", [1], [8, 10]), "brain": entry("BF16", [2], [10, 14]),
              "yes": entry("BOOL", [2], [14, 16]), "none": entry("U8", [0, 3], [16, 16]), "__metadata__": {"a": "龙"}}
    path.write_bytes(by_hand(header, bytes.fromhex("0000803f 000000c0 0038 003f 00bf 00 02")))
    tensors = load_file(path)
    assert {name: array.tolist() for name, array in tensors.items()} == {
        "w": [[1.0, -2.0]], "half": [0.5], "brain": [0.5, -0.5], "yes": [False, True], "none": []}
    assert [str(array.dtype) for array in tensors.values()] == ["float32", "float32", "float32", "bool", "uint8"]
    assert load_file(path, widen=False)["half"].dtype == np.float16 and tensors["none"].shape == (0, 3)
    assert tensors["yes"].tobytes() == b"\0\1" and all(array.flags.writeable for array in tensors.values())
    assert read_metadata(path) == {"a": "龙"}


def test_golden_bytes(path):
    """The checksum is sha256sum's of this very file with 64 zeros in the checksum's place."""
    save_file({"b": np.array([1.0, -2.0], np.float32), "a": np.array(3, np.uint8), "c": np.zeros(1, np.float32)}, path, {"k": "v"})
    data = path.read_bytes()
    text = ('{"__metadata__":{"k":"v","minigpt.checksum":"minigpt-sha256:d20d2b3d4135e95f7499860d7c27ba43b577b0209806b8f9e93b86e1cbe72d76"},'
            '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"c":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},'
            '"a":{"dtype":"U8","shape":[],"data_offsets":[12,13]}}')
    text += " " * (-len(text) % 8)
    assert data == by_hand(text.encode(), bytes.fromhex("0000803f 000000c0 00000000 03"))


def some_tensors():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(4, 6)).astype(np.float32)
    tensors = {"plain": grid, "transposed": grid.T, "strided": grid[::2, 1::3], "reversed": grid[::-1], "fortran": np.asfortranarray(grid),
               "1-d strided": grid[0, ::2], "1-d reversed": grid[0, ::-1],
               "big-endian": grid.astype(">f4"), "0-d": np.array(1.5), "empty": np.zeros((3, 0, 2), np.int16), "bool": grid > 0,
               "名": np.arange(3, dtype=">u8"), "broadcast": np.broadcast_to(np.float64(2.5), (2, 3)), "scalar": np.float32(7),
               "nan": np.array([np.nan, np.inf, -0.0], np.float16)}
    return tensors | {code: rng.integers(0, 100, 5).astype(dtype) for code, dtype in safetensors.DTYPES.items()}


def test_round_trip_keeps_values_shapes_and_types(path):
    tensors = some_tensors()
    save_file(tensors, path, {"step": "3"})
    loaded = load_file(path, widen=False)
    assert set(loaded) == set(tensors) and read_metadata(path) == {"step": "3"}
    for name, array in tensors.items():
        assert loaded[name].dtype == array.dtype.newbyteorder("=") and loaded[name].shape == array.shape, name
        np.testing.assert_array_equal(loaded[name], array)
    assert np.signbit(loaded["nan"][2])


def test_equal_input_gives_equal_bytes(path):
    tensors = some_tensors()
    save_file(tensors, path, {"a": "b"})
    first = path.read_bytes()
    save_file(dict(reversed(tensors.items())), path, {"a": "b"})
    assert path.read_bytes() == first
    save_file(load_file(path, widen=False), path, read_metadata(path))
    assert path.read_bytes() == first and int.from_bytes(first[:8], "little") % 8 == 0


@pytest.mark.parametrize("tensors, metadata, reason", [
    ({"x": np.array(["text"])}, None, "tensor 'x'"), ({"x": np.array([None])}, None, "object"), ({"x": np.zeros(2, "c16")}, None, "complex128"),
    ({"__metadata__": np.zeros(2)}, None, "cannot be the name"), ({3: np.zeros(2)}, None, "3 cannot be the name"),
    ({"\ud800": np.zeros(2)}, None, "UTF-8"), ({}, {"step": 3}, "must be strings"), ({}, {3: "step"}, "must be strings"),
    ({}, {"a": "\udcff"}, "UTF-8")])
def test_what_cannot_be_stored_is_refused(path, tensors, metadata, reason):
    with pytest.raises(SafetensorsError) as raised:
        save_file(tensors, path, metadata)
    assert reason in str(raised.value) and str(path) in str(raised.value) and not path.exists()


TWO = bytes(8)
REFUSED = {
    "empty": (b"", "0 bytes are too few"),
    "7 bytes": (b"\x02\0\0\0\0\0\0", "7 bytes are too few"),
    "header beyond the file": (by_hand({}, length=3), "the header would take 3 bytes"),
    "header over the limit": (by_hand({}, length=2**64 - 1), "limit is 5000000"),
    "longest header": (by_hand(b"{" + b" " * 5_000_000), "the header would take 5000001 bytes"),
    "no brace": (by_hand(b" {}"), "does not begin with a brace"),
    "no header": (by_hand(b""), "does not begin with a brace"),
    "not UTF-8": (by_hand(b'{"\xff": 1}'), "not UTF-8 at byte 2"),
    "not JSON": (by_hand(b"{x}"), "not JSON"),
    "text after the JSON": (by_hand(b"{}{}"), "not JSON"),
    "too deep": (by_hand(b'{"a":' + b"[" * 200_000), "too deep"),
    "NaN": (by_hand(b'{"a": NaN}'), "NaN"),
    "duplicate tensor": (by_hand(b'{"a": {}, "a": {}}'), "'a' is given twice"),
    "duplicate field": (by_hand(b'{"a": {"dtype": "F32", "dtype": "F32"}}'), "'dtype' is given twice"),
    "half a surrogate pair": (by_hand(b'{"\\ud800": {}}'), "half a surrogate pair"),
    "entry is no object": (by_hand({"a": [1]}), "tensor 'a': needs dtype"),
    "field missing": (by_hand({"a": {"dtype": "F32", "shape": [2]}}, TWO), "tensor 'a': needs dtype"),
    "field too many": (by_hand({"a": {**entry(), "x": 1}}, TWO), "tensor 'a': needs dtype"),
    "unknown dtype": (by_hand({"a": entry("O")}, TWO), "tensor 'a': unknown dtype 'O'"),
    "dtype is a list": (by_hand({"a": entry(["F32"])}, TWO), "unknown dtype ['F32']"),
    "fraction": (by_hand({"a": entry(shape=[2.0])}, TWO), "shape must be whole numbers"),
    "boolean": (by_hand({"a": entry(shape=[True, 2])}, TWO), "shape must be whole numbers"),
    "negative size": (by_hand({"a": entry(shape=[-1, -2])}, TWO), "shape must be whole numbers"),
    "shape is a number": (by_hand({"a": entry(shape=2)}, TWO), "shape must be whole numbers"),
    "huge size": (by_hand({"a": entry(shape=[2**63])}, TWO), "shape must be whole numbers"),
    "huge product": (by_hand({"a": entry(shape=[2**62, 2**62])}, TWO), "does not fill"),
    "product that wraps around to 8": (by_hand({"a": entry(shape=[2**62 + 1, 2])}, TWO), "does not fill"),
    "empty but huge": (by_hand({"a": entry(shape=[0, 2**62], offsets=[0, 0])}), "too big"),
    "65 dimensions": (by_hand({"a": entry(shape=[1] * 65, offsets=[0, 4])}, TWO), "65 dimensions"),
    "offsets of 1": (by_hand({"a": entry(offsets=[8])}, TWO), "must be a begin and an end"),
    "offsets of 3": (by_hand({"a": entry(offsets=[0, 8, 8])}, TWO), "must be a begin and an end"),
    "offsets backwards": (by_hand({"a": entry(offsets=[8, 0])}, TWO), "must be a begin and an end"),
    "negative offset": (by_hand({"a": entry(offsets=[-8, 0])}, TWO), "data_offsets must be whole numbers"),
    "length is wrong": (by_hand({"a": entry(shape=[3])}, TWO), "does not fill data_offsets [0, 8]"),
    "does not start at 0": (by_hand({"a": entry(offsets=[8, 16])}, TWO + TWO), "starts at byte 8"),
    "hole": (by_hand({"a": entry(), "b": entry(offsets=[16, 24])}, 3 * TWO), "tensor 'b': starts at byte 16"),
    "overlap": (by_hand({"a": entry(), "b": entry(offsets=[4, 12])}, TWO + TWO), "tensor 'b': starts at byte 4"),
    "the same bytes twice": (by_hand({"a": entry(), "b": entry()}, TWO), "tensor 'b': starts at byte 0"),
    "empty tensor inside another": (by_hand({"a": entry(), "b": entry(shape=[0], offsets=[4, 4])}, TWO), "starts at byte 4"),
    "data too short": (by_hand({"a": entry()}, TWO[:-1]), "end at byte 8 of the data, but the file holds 7"),
    "data too long": (by_hand({"a": entry()}, TWO + b"x"), "end at byte 8 of the data, but the file holds 9"),
    "data but no tensor": (by_hand({}, b"x"), "end at byte 0"),
    "metadata is a list": (by_hand({"__metadata__": []}), "__metadata__ must be strings"),
    "metadata is nested": (by_hand({"__metadata__": {"a": {}}}), "__metadata__ must be strings"),
    "metadata is a number": (by_hand({"__metadata__": {"a": 1}}), "__metadata__ must be strings"),
    "very long name": (by_hand({"n\n" * 500_000: 1}), "needs dtype"),
    "very long shape": (by_hand({"a": entry(shape=[1] * 500_000)}, TWO), "500000 dimensions"),
    "zip": (b"PK\x03\x04" + bytes(100), "a zip archive"),
    "pickle": (pickle.dumps({"a": list(range(10**5))}), "a Python pickle"),
    "html": (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
    "git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "json": (b'{"weight_map": {}}', "a JSON text"),
}


def test_more_names_than_can_be_read_are_not_written(path):
    with pytest.raises(SafetensorsError, match="the names of 80000 tensors would take"):
        save_file({f"{n:06}": np.zeros(1, np.float32) for n in range(80_000)}, path)
    assert not path.exists()


@pytest.mark.parametrize("length", [0x80, 0x0480, 0x3C20, 0x80 + 0x200 * 256])
def test_a_length_is_not_taken_for_another_format(path, length):
    """Its first byte is that of a pickle, or of a web page behind a space."""
    reason = refusal(path, by_hand(b'{"' + b" " * 50, length=length))
    assert "this is" not in reason and "would take" in reason


@pytest.mark.parametrize("data, reason", REFUSED.values(), ids=REFUSED)
def test_hostile_file_is_refused(path, data, reason):
    assert reason in refusal(path, data)


def test_npy_and_npz_are_recognised(path):
    for save, kind in ((np.save, "a NumPy .npy file"), (np.savez, "a zip archive")):
        buffer = io.BytesIO()
        save(buffer, np.zeros(9))
        assert kind in refusal(path, buffer.getvalue())


def test_nothing_is_allocated_before_the_header_is_checked(path):
    tera = 2**40
    hostile = [by_hand({"a": entry(shape=[tera], offsets=[0, 4 * tera])}, TWO), by_hand({}, length=2_000_000),
               by_hand({"a": entry("F64", [tera], [0, 8]), "b": entry(shape=[tera, 0], offsets=[8, 8])}, TWO)]
    for data in hostile:
        tracemalloc.start()
        refusal(path, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


def test_missing_file_and_folder(tmp_path):
    for place, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error, match="cannot read") as raised:
            load_file(place)
        assert str(place) in str(raised.value)
    with pytest.raises(FileNotFoundError, match="make its folder first"):
        save_file({}, tmp_path / "none" / "a")


def test_every_truncation_is_refused(path):
    save_file({"a": np.arange(5), "b": np.ones((2, 3), np.float32)}, path)
    data = path.read_bytes()
    for length in range(len(data)):
        refusal(path, data[:length])


def test_500_of_500_bit_flips_are_detected(path):
    """Half of them in the header, which holds the checksum itself and the key that announces it."""
    save_file({"a": np.random.default_rng(1).normal(size=(50, 40)).astype(np.float16), "flag": np.array([True])}, path, {"step": "12"})
    data, rng = path.read_bytes(), random.Random(2)
    start = 8 + int.from_bytes(data[:8], "little")
    for trial in range(500):
        flipped = bytearray(data)
        flipped[rng.randrange(start) if trial % 2 else rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)
        refusal(path, bytes(flipped))


def test_every_bit_of_the_header_is_guarded(path):
    save_file({"w": np.ones(2, np.float32)}, path)
    data = path.read_bytes()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refusal(path, bytes(flipped))


HOSTILE = [None, True, False, -1, 0, 1, 3, 2.0, 8, 1e300, 2**31, 2**62, 2**63, 2**64, 10**400, "", "F32", "F16", "O", "I64", [], [0], [[]], {},
           {"dtype": "F32"}, "\ud800", "__metadata__", [0, 0], [0, 8], [8, 0], [1] * 70]


def mutate_tree(header, rng):
    """Replaces, drops, renames or copies one random place of a header."""
    places = [(header, key) for key in header]
    for node, key in places:
        node = node[key]
        places += [(node, inner) for inner in (node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ())]
    node, key = rng.choice(places)
    action = rng.randrange(4)
    if action == 0 and isinstance(node, dict):
        node[str(rng.choice(HOSTILE))] = node.pop(key)
    elif action == 1:
        del node[key]
    elif action == 2:
        other, place = rng.choice(places)
        node[key] = copy.deepcopy(other[place])
    else:
        node[key] = copy.deepcopy(rng.choice(HOSTILE))


def mutate_bytes(data, rng):
    """Changes, drops, doubles or moves a few bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at, length = rng.randrange(len(data)), rng.randint(1, 6)
        piece = bytes(data[at:at + length])
        data[at:at + rng.choice([0, length])] = rng.choice([b"", piece, bytes([rng.randrange(256)]), piece[::-1]])
    return bytes(data)


def mutants(n, seed):
    """n hostile files from one good one: broken trees, broken bytes, broken lengths."""
    rng = random.Random(seed)
    for trial in range(n):
        header = {"__metadata__": {"format": "pt"}, "a": entry("F32", [2, 2], [0, 16]), "b": entry("I16", [3], [16, 22]),
                  "c": entry("U8", [], [22, 23]), "d": entry("F16", [0], [23, 23])}
        if trial % 3 == 0:
            for _ in range(rng.randint(1, 2)):
                mutate_tree(header, rng)
        data = by_hand(header, bytes(range(23)))
        if trial % 3 == 1:
            text = mutate_bytes(data[8:-23], rng)
            data = by_hand(text, data[-23:], rng.choice([len(text), len(text), len(data) - 31]))
        if trial % 3 == 2:
            data = mutate_bytes(data, rng)
        yield data


def test_2000_mutated_headers(path):
    """Each is refused in one line or loaded as what its header says: nothing else is raised, no byte is read twice or left over."""
    refused = 0
    for data in mutants(2_000, seed=3):
        put(path, data)
        try:
            tensors = load_file(path, widen=False)
        except SafetensorsError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        header.pop("__metadata__", None)
        assert {name: list(array.shape) for name, array in tensors.items()} == {name: header[name]["shape"] for name in header}
        assert sum(np.dtype(safetensors.DTYPES[header[name]["dtype"]]).itemsize * tensors[name].size for name in header) \
            == len(data) - 8 - int.from_bytes(data[:8], "little")
    assert 1_000 < refused < 2_000


def test_a_failed_save_keeps_the_old_file(path):
    save_file({"a": np.ones(3)}, path)
    before = path.read_bytes()
    with pytest.raises(SafetensorsError):
        save_file({"a": np.ones(3), "b": np.array(["no"])}, path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
