"""Training state in one file: weights, moments, step, and what they belong to. One file, so a crash cannot tear it apart."""
import dataclasses
import hashlib
import json
import shutil

import numpy as np

from minigpt.interop import safetensors

FILE = "checkpoint.safetensors"


def save(folder, model, state, config, about):
    """Write folder/checkpoint.safetensors, whole or not at all.

    state: OptimizerState, config: TrainConfig, about: dict of JSON values that must be the same on resume (data, tokenizer).
    """
    arrays = {f"{kind}/{name}": view for kind, params in _parts(model, state).items() for name, view in params.items()}
    metadata = {"step": str(state.step), "model": json.dumps(dataclasses.asdict(model.config)),
                "train": json.dumps(dataclasses.asdict(config)), "about": json.dumps(_belongs_to(model, about))}
    safetensors.save_file(arrays, folder / FILE, metadata)


def check_room(folder):
    """OSError where the disk has no room for a second checkpoint: the next one is written beside the one that it replaces."""
    needed, free = (folder / FILE).stat().st_size, shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"a checkpoint has {needed:,} bytes, and beside the first one {free:,} are free in {folder}; make room there or choose another --out")


def load(folder, model, state, config, about):
    """Read the file back into model and state, bit for bit. Raises ValueError that names a setting that has changed.

    A checkpoint of step 0 only proved that one can be written: it binds nobody, and model and state stay as they are.
    """
    path = folder / FILE
    arrays = safetensors.load_file(path)  # first: its checksum covers the metadata too
    metadata = safetensors.read_metadata(path)
    if not {"step", "model", "train", "about"} <= metadata.keys():
        raise ValueError(f"{path} is not the checkpoint of a training run; start anew with another --out")
    if metadata["step"] == "0":
        return
    _same(path, json.loads(metadata["model"]), dataclasses.asdict(model.config))
    _same(path, json.loads(metadata["train"]), dataclasses.asdict(config), free={"workers", "eval_every", "save_every"})
    saved, now = json.loads(metadata["about"]), _belongs_to(model, about)
    _same(path, {**saved, "matmul": saved.get("matmul", now["matmul"])}, now)  # older ones do not say whose products they are of
    for kind, params in _parts(model, state).items():
        for name in params:
            params[name] = arrays[f"{kind}/{name}"]
    state.step = int(metadata["step"])


def exists(folder):
    """Whether the folder (a Path) holds a checkpoint."""
    return (folder / FILE).exists()


def saved_step(folder):
    """Step of the folder's checkpoint; 0 where there is none."""
    return int(safetensors.read_metadata(folder / FILE).get("step", 0)) if exists(folder) else 0


def saved_shards(folder):
    """Shards of the run whose checkpoint binds the folder; 0 where none does. folder: Path, or None."""
    if folder is None or saved_step(folder) == 0:
        return 0
    return json.loads(safetensors.read_metadata(folder / FILE).get("train", "{}")).get("shards", 0)


def fingerprint(*arrays):
    """SHA-256 over arrays of data: another text or another tokenizer gives another one. None counts as nothing."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is not None:
            digest.update(str((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _parts(model, state):
    return {"params": model.params, "mean": state.mean, "variance": state.variance}


def _belongs_to(model, about):
    """Sums of the other backend, and of other products, round differently."""
    return {**about, "backend": model.backend, "matmul": model.matmul if model.backend == "fast" else None}


def _same(path, saved, now, free=frozenset()):
    for key in {**saved, **now}:
        if key not in free and saved.get(key) != now.get(key):
            raise ValueError(f"{path} was trained with {key} {_brief(saved.get(key))}, now it is {_brief(now.get(key))}; "
                             "use what it was to resume, or another --out to start anew")


def _brief(value):
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text.strip(chr(34))[:12]}..."
