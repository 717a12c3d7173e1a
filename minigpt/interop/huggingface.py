"""Model folders that transformers reads and writes: config.json, model.safetensors, tokenizer files, generation_config.json.

Every checkpoint of ours is such a folder. What cannot be read as exactly the same function is refused by name: transformers
fills a tensor that is missing with random numbers and warns; we stop.
"""
import re
from pathlib import Path

import numpy as np

from minigpt import files
from minigpt.interop import families, safetensors
from minigpt.nn.gpt import transformer_specs
from minigpt.text import template

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MODEL_FILES = ("config.json", WEIGHTS)  # where either lies, somebody has a model
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.ckpt")
LARGEST_HALF = 65504.0                  # what float16 can hold


def read_config(folder):
    """folder -> GPTConfig of its config.json. ValueError names the file and the setting that we cannot follow."""
    return _read_config(Path(folder))[1]


def read_stop(folder):
    """folder -> set of ids that end a text: eos_token_id of generation_config.json, else of config.json; empty where neither says."""
    for name in ("generation_config.json", "config.json"):
        path = Path(folder) / name
        data = files.read_json(path) if path.exists() else {}
        if not isinstance(data, dict):
            raise ValueError(f"{path}: this is {files.short(data)}, not a table of settings")
        ends = data.get("eos_token_id")
        ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
        if not all(type(i) is int and i >= 0 for i in ends):
            raise ValueError(f"{path}: eos_token_id must be an id or a list of ids, not {files.short(ends)}")
        if ends:
            return frozenset(ends)
    return frozenset()


def read_folder(folder):
    """folder -> GPTConfig, {our name: array}; BF16 and F16 are widened to float32.

    Raises ValueError (SafetensorsError is one) or OSError with one line when anything is missing, left over, of the wrong
    shape, damaged, pickled, or computed differently from what our model does.
    """
    folder = Path(folder)
    family, config = _read_config(folder)
    tensors = _with_prefix(family, _read_tensors(folder))
    if config.n_layer > len(tensors):                   # before a list of a million layers is made
        raise ValueError(f"{folder}: config.json asks for {config.n_layer} layers, but there are only {len(tensors)} tensors")
    if config.tie and f"{family.head}.weight" in tensors:
        _drop_copy(folder, tensors, f"{family.head}.weight", families.their_names(family, "wte.weight")[0])
    params = {}
    for name, shapes in _expected(family, config).items():
        parts = [_take(folder, tensors, theirs, shape) for theirs, shape in shapes.items()]
        params[name] = families.to_ours(family, config, name, parts)
    left_over = [name for name in tensors if not re.fullmatch(family.ignored, name)]
    if left_over:
        raise ValueError(f"{folder}: {files.short(left_over[0])} is no part of the model that config.json describes "
                         f"({len(left_over)} such tensors)")
    return config, params


def write_folder(folder, config, params, tokenizer=None, metadata=None, dtype="float32", portable=False, stop=()):
    """Writes a model as the folder that transformers reads: GPT-2, GPT-NeoX or Llama, whichever the model is.

    params {our name: array}; metadata {str: str} goes into model.safetensors; dtype "float32" | "float16" of the file; stop:
    ids that end a text beside the tokenizer's own. A mix that transformers does not have is written with our own model_type,
    or with portable=True refused with a ValueError that says what it would take. Each file is replaced as a whole, the
    weights first: if a disk has no room for them, the folder stays as it was.
    """
    family = families.FAMILIES[families.family_of(config, portable)]
    expected = _expected(family, config)
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype is {dtype!r}; a folder holds float32 or float16")
    if unpaired := sorted(set(params) ^ set(expected)):
        raise ValueError(f"these are not the parameters of the config: {unpaired[0]!r} is in one of them only")
    tensors = {}
    for ours, theirs in expected.items():
        parts = families.to_theirs(family, config, ours, _cast(ours, np.asarray(params[ours]), dtype))
        if [part.shape for part in parts] != list(theirs.values()):
            raise ValueError(f"{ours} has shape {np.shape(params[ours])}, which is not the config's")
        tensors |= dict(zip(theirs, parts))
    ids = _special_ids(config, tokenizer, stop)
    folder = files.make_folder(folder)
    safetensors.save_file(tensors, folder / WEIGHTS, {**(metadata or {}), "format": "pt"})      # transformers insists on "format"
    if tokenizer is not None:
        tokenizer.save(folder, model_max_length=config.block_size, chat_template=template.chat_template(tokenizer))
    files.write_json(folder / "generation_config.json", ids)
    files.write_json(folder / "config.json", {**families.to_json(config), "dtype": dtype, "bos_token_id": ids["bos_token_id"],
                                              "eos_token_id": ids["bos_token_id"]})


def _read_config(folder):
    path = folder / "config.json"
    if not path.exists():
        raise FileNotFoundError(f"no model in {folder}: it has no config.json")
    data = files.read_json(path)
    try:
        config = families.from_json(data)
        return families.FAMILIES[data["model_type"]], config
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_tensors(folder):
    """The folder's tensors under the file's names, from one file or from shards."""
    if (folder / WEIGHTS).exists():
        return safetensors.load_file(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return _read_shards(folder)
    pickles = [name for name in PICKLES if (folder / name).exists()]
    if pickles:
        raise ValueError(f"{folder}: {pickles[0]} is a pickle, which can run any code when it is opened, so it is not: "
                         "load it with transformers and save it with save_pretrained, which writes model.safetensors")
    raise FileNotFoundError(f"no weights in {folder}: it has neither {WEIGHTS} nor {INDEX}")


def _read_shards(folder):
    index = files.read_json(folder / INDEX)
    where = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(where, dict) or not all(isinstance(shard, str) for shard in where.values()):
        raise ValueError(f"{folder / INDEX}: weight_map must say for every tensor which file it is in")
    tensors = {}
    for shard in sorted(set(where.values())):
        if shard != Path(shard).name or "\\" in shard:  # "../other" or "/etc/x"
            raise ValueError(f"{folder / INDEX}: {files.short(shard)} is not the name of a file in this folder")
        loaded = safetensors.load_file(folder / shard)
        if set(loaded) != {name for name in where if where[name] == shard}:
            wrong = sorted(set(loaded) ^ {name for name in where if where[name] == shard})[0]
            raise ValueError(f"{folder / INDEX}: {files.short(wrong)} is only in one of weight_map and {shard}")
        tensors |= loaded
    return tensors


def _with_prefix(family, tensors):
    """A model that was saved without its output layer has names without the prefix."""
    if any(name.startswith(family.prefix) for name in tensors):
        return tensors
    return {name if name.startswith(family.head) else family.prefix + name: array for name, array in tensors.items()}


def _drop_copy(folder, tensors, head, embedding):
    """Some files keep a tied output layer twice."""
    if embedding not in tensors or not np.array_equal(tensors.pop(head), tensors[embedding]):
        raise ValueError(f"{folder}: tie_word_embeddings is true, but {head} is not the same as {embedding}")


def _expected(family, config):
    """-> {our name: {their name: shape}} of every tensor."""
    return families.their_shapes(family, config, {spec.name: spec.shape for spec in transformer_specs(config)})


def _take(folder, tensors, name, shape):
    if name not in tensors:
        raise ValueError(f"{folder}: the tensor {name} is missing")
    array = tensors.pop(name)
    if array.shape != shape or array.dtype.kind != "f":
        raise ValueError(f"{folder}: {name} is {array.dtype} of shape {array.shape}, config.json asks for float of shape {shape}")
    return array


def _cast(name, array, dtype):
    if dtype == "float16" and array.size and np.abs(array).max() > LARGEST_HALF:
        raise ValueError(f"{name} has a value of {np.abs(array).max():g}, float16 ends at {LARGEST_HALF:g}; save it as float32")
    return array.astype(dtype, copy=False)


def check_pair(config, tokenizer):
    """ValueError where the tokenizer has ids that the model does not know -> config"""
    if tokenizer.vocab_size > config.vocab_size:
        raise ValueError(f"the tokenizer has {tokenizer.vocab_size} tokens, the model {config.vocab_size}: they are not a pair; use the tokenizer that it was trained with")
    return config


def _special_ids(config, tokenizer, stop):
    """generation_config.json: where a text begins and what ends an answer: the tokenizer's end tokens, and the ids in `stop`."""
    if tokenizer is None:
        return {"bos_token_id": None, "eos_token_id": _one_or_many(sorted(stop))}
    check_pair(config, tokenizer)
    ids = tokenizer.special_tokens
    ends = [ids[text] for text in ("<|endoftext|>", "<|end|>") if text in ids]
    ends += sorted(set(stop).difference(ends))
    return {"bos_token_id": ids.get("<|endoftext|>"), "eos_token_id": _one_or_many(ends), "pad_token_id": ids.get("<|endoftext|>")}


def _one_or_many(ids):
    return ids if len(ids) > 1 else ids[0] if ids else None
