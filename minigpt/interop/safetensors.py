"""The safetensors format (https://github.com/huggingface/safetensors), read and written with NumPy alone.

    8 bytes    N, the length of the header, little-endian
    N bytes    the header, JSON: {"__metadata__": {str: str}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    the rest   the numbers of all tensors, row by row, little-endian, without gaps

A file may come from anywhere, so nothing in the header is believed before it is checked, and memory is only asked for when
the header as a whole agrees with the size of the file. What we write carries a SHA-256 of the whole file in its metadata;
one flipped bit anywhere is then noticed on loading.
"""
import hashlib
import itertools
import json
import math
import os

import numpy as np

from minigpt import files
from minigpt.files import short

# Smallest first. The reference writer starts at the end of this list, so that each tensor lies at a multiple of its item size.
DTYPES = {"BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2", "BF16": "<u2", "I32": "<i4",
          "U32": "<u4", "F32": "<f4", "C64": "<c8", "F64": "<f8", "I64": "<i8", "U64": "<u8"}  # BF16: NumPy has no such type
MAX_HEADER = 5_000_000                  # bytes: 40,000 tensors. The format allows 100 MB, which Python could read for 20 s
MAX_DIMENSIONS = 64                     # NumPy's own limit
CHECKSUM = "minigpt.checksum"           # metadata key
ALGORITHM = "minigpt-sha256:"           # its value begins so: one flipped bit in the key cannot hide that there is a checksum
BLANK = ALGORITHM + 64 * "0"            # what the checksum is while the checksum is computed

FOREIGN = {b"PK\x03\x04": "a zip archive (a PyTorch or .npz file?)", b"\x93NUMPY": "a NumPy .npy file",
           **{bytes([0x80, protocol]): "a Python pickle, which is not opened because it can run code" for protocol in range(2, 6)},
           b"<": "a web page: the download failed",
           b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull` to get the file itself", b"{": "a JSON text",
           b"GGUF": "a GGUF file", b"\x89HDF": "an HDF5 file", b"\x1f\x8b": "a gzip file"}


class SafetensorsError(ValueError):
    """A file is not valid safetensors, or arrays cannot be stored as such. One line: file, tensor, reason."""


def load_file(path, widen=True):
    """path -> {name: array}, arrays in memory of their own. The order is that of the data in the file.

    BF16 becomes float32, and so does F16 unless widen=False. Raises SafetensorsError, also when the checksum of a file of
    ours does not fit; OSError if there is no file to read.
    """
    with files.open_to_read(path) as file:
        start, infos, metadata = _read_header(file, path)
        digest = hashlib.sha256(_with_checksum(start, metadata, BLANK))
        tensors = {}
        for name, (dtype, shape) in infos.items():
            array = np.fromfile(file, DTYPES[dtype], count=math.prod(shape))
            if array.size != math.prod(shape):
                raise SafetensorsError(f"{path}: tensor {short(name)}: the file became shorter while it was read")
            digest.update(array)
            tensors[name] = _to_native(array, dtype, widen).reshape(shape)
    claims_checksum = CHECKSUM in metadata or any(value.startswith(ALGORITHM) for value in metadata.values())
    if claims_checksum and metadata.get(CHECKSUM) != ALGORITHM + digest.hexdigest():
        raise SafetensorsError(f"{path}: the checksum does not fit: the file was damaged, or changed by a program that kept the old checksum; use another copy")
    return tensors


def save_file(tensors, path, metadata=None):
    """Writes {name: array} and {str: str} in the reference library's order, plus a checksum; equal input gives equal bytes.

    Strided, transposed, big-endian and 0-d arrays are stored right. The file is replaced as a whole or not at all.
    Raises SafetensorsError for what the format cannot hold, OSError for what the disk cannot.
    """
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items() if code != "BF16"}
    arrays, infos = {}, {}
    for name, array in tensors.items():
        array = np.asarray(array)                       # not ascontiguousarray, which makes a 0-d array 1-d
        little = array.dtype.newbyteorder("<")
        if not isinstance(name, str) or name == "__metadata__":
            raise SafetensorsError(f"{path}: {short(name)} cannot be the name of a tensor")
        if little not in codes:
            raise SafetensorsError(f"{path}: tensor {short(name)}: numbers of type {array.dtype} cannot be stored")
        arrays[name], infos[name] = array, (codes[little], array.shape)
    order = sorted(arrays, key=lambda name: (-list(DTYPES).index(infos[name][0]), name))
    metadata = {**(metadata or {}), CHECKSUM: BLANK}
    start = _write_header({name: infos[name] for name in order}, metadata, path)

    def data():                                         # twice: once to be hashed, once to be written; one array in memory at a time
        for name in order:
            yield np.asarray(arrays[name], DTYPES[infos[name][0]]).ravel().view("u1")      # ravel copies what is not in C order

    digest = hashlib.sha256(start)
    for piece in data():
        digest.update(piece)
    start = _with_checksum(start, metadata, ALGORITHM + digest.hexdigest())
    files.atomic_write(path, itertools.chain([start], data()))


def read_metadata(path):
    """path -> the {str: str} that was given to `save_file`. Only the header is read and checked, not the checksum."""
    with files.open_to_read(path) as file:
        metadata = _read_header(file, path)[2]
    return {key: value for key, value in metadata.items() if key != CHECKSUM}


def _write_header(infos, metadata, path):
    """{name: (dtype, shape)} in the order of the data -> the bytes before the data, a multiple of 8."""
    if not all(isinstance(text, str) for text in itertools.chain(*metadata.items())):
        raise SafetensorsError(f"{path}: metadata must be strings by strings, not {short(metadata)}")
    header, end = {"__metadata__": metadata}, 0
    for name, (dtype, shape) in infos.items():
        begin, end = end, end + math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    try:
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError as error:                 # a lone surrogate
        raise SafetensorsError(f"{path}: a name or metadata cannot be written as UTF-8: {error}") from None
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise SafetensorsError(f"{path}: the names of {len(infos)} tensors would take {len(text)} bytes, but the limit is {MAX_HEADER}")
    return len(text).to_bytes(8, "little") + text


def _with_checksum(start, metadata, value):
    """The bytes before the data with another checksum in the same place (unchanged if there is none)."""
    old, new = (f'"{CHECKSUM}":"{text}"'.encode() for text in (metadata.get(CHECKSUM, BLANK), value))
    return start.replace(old, new, 1)


def _read_header(file, path):
    """file -> the bytes before the data, {name: (dtype, shape)} in the order of the data, metadata. Everything is checked."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8:
        raise SafetensorsError(f"{path}: {size} bytes are too few for a safetensors file, the header's length alone takes 8")
    if length > min(MAX_HEADER, size - 8):
        raise SafetensorsError(f"{path}: {_what_it_is(file)}the header would take {length} bytes, "
                               f"but the limit is {MAX_HEADER} and the file has {size}")
    text = file.read(length)
    if text[:1] != b"{":
        raise SafetensorsError(f"{path}: {_what_it_is(file)}the header does not begin with a brace")
    try:
        header = files.parse_json(text)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError(f"__metadata__ must be strings by strings, not {short(metadata)}")
        infos = _check_infos(header, size - 8 - length)
    except ValueError as error:
        raise SafetensorsError(f"{path}: {error}") from None
    return start + text, infos, metadata


def _check_infos(header, data_size):
    """The header's entries -> {name: (dtype, shape)} in the order of the data. ValueError unless they tile the data exactly."""
    spans = []
    for name, info in header.items():
        try:
            spans.append((*_check_info(info), name))
        except ValueError as error:
            raise ValueError(f"tensor {short(name)}: {error}") from None
    infos, position = {}, 0
    for begin, end, dtype, shape, name in sorted(spans):
        if begin != position:
            raise ValueError(f"tensor {short(name)}: starts at byte {begin} of the data, but the one before it ends at {position}")
        infos[name], position = (dtype, tuple(shape)), end
    if position != data_size:
        raise ValueError(f"the tensors end at byte {position} of the data, but the file holds {data_size}")
    return infos


def _check_info(info):
    """One entry -> begin, end, dtype, shape. ValueError unless each field is what it must be and they agree."""
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"needs dtype, shape and data_offsets, not {short(info)}")
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"unknown dtype {short(dtype)}, known are {' '.join(DTYPES)}")
    for field, numbers in (("shape", shape), ("data_offsets", offsets)):
        if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError(f"{field} must be whole numbers from 0 to 2^63 - 1, not {short(numbers)}")  # True is an int, 2.0 == 2
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{len(shape)} dimensions, at most {MAX_DIMENSIONS} can be read")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"data_offsets must be a begin and an end, not {short(offsets)}")
    itemsize = np.dtype(DTYPES[dtype]).itemsize
    if math.prod(shape) * itemsize != offsets[1] - offsets[0]:
        raise ValueError(f"shape {short(shape)} of {dtype} does not fill data_offsets {short(offsets)}")
    if math.prod(max(size, 1) for size in shape) * itemsize >= 2**63:      # an empty array that is too big for NumPy all the same
        raise ValueError(f"shape {short(shape)} is too big")
    return *offsets, dtype, shape


def _to_native(array, dtype, widen):
    if dtype == "BF16":                                 # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    if dtype == "BOOL":                                 # any byte but 0 is true; NumPy compares them as if there were only 0 and 1
        return array.view(np.uint8) != 0
    if dtype == "F16" and widen:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _what_it_is(file):
    file.seek(0)
    start = file.read(64)
    if start[8:10] == b'{"':                            # a length whose bytes happen to look like something else
        return ""
    kinds = [kind for magic, kind in FOREIGN.items() if start.lstrip().startswith(magic)]
    return f"this is {kinds[0]}; " if kinds else ""
