"""Is my loss normal? What earlier runs with other seeds measured at the same steps, as bands that a run is told apart from."""
import hashlib
import itertools
import json
import math

from minigpt.files import data_folder, read_json, write_json
from minigpt.train.sft import world_conversations
from minigpt.world import pretraining_documents

FILE = "expected.json"
SAMPLED = 1000  # documents and conversations that tell one world from another


def world_fingerprint(world):
    """What a run would read of a world: of another text, be it one wording, nothing is expected. -> hex digits"""
    text = [*itertools.islice(pretraining_documents(world, 0), SAMPLED), *world_conversations(world, SAMPLED, 0)]
    return hashlib.sha256(json.dumps(text).encode()).hexdigest()[:16]


def load(settings, prompts=None):
    """The bands for a run with these settings -> {stage: {name: {step: (low, high)}}}; {} where none were recorded.

    prompts {name: n}: these numbers are shares of n prompts.
    """
    found, prompts = _read(), prompts or {}
    if found.get("settings") != settings:
        return {}
    return {stage: {name: {int(step): band(values.values(), prompts.get(name)) for step, values in steps.items()}
                    for name, steps in names.items()}
            for stage, names in found["measured"].items()}


def band(values, prompts=None):
    """Where another seed may well end: what was measured, and as far again on either side (at least 3 %). -> (low, high)

    Shares of n prompts differ by luck alone: at least by twice the standard deviation of the difference of two such shares.
    """
    low, high = min(values), max(values)
    middle = (low + high) / 2
    luck = 2 * math.sqrt(2 * middle * (1 - middle) / prompts) if prompts else 0.0
    margin = max(high - low, 0.03 * abs(middle), luck)
    return low - margin, high + margin


def check(settings):
    """ValueError if what was recorded belongs to runs with other settings: one file, one recipe."""
    if _read().get("settings", settings) != settings:
        raise ValueError(f"{data_folder() / FILE} holds the bands of another recipe; move it away to record this one")


def record(settings, seed, logs):
    """Add a run's evaluations to the file. logs {stage: (list of log entries, name of the number)}"""
    check(settings)
    measured = _read().get("measured", {})
    for stage, (log, name) in logs.items():
        steps = measured.setdefault(stage, {}).setdefault(name, {})
        for entry in log:
            if name in entry:
                steps.setdefault(str(entry["step"]), {})[str(seed)] = round(entry[name], 4)
    write_json(data_folder() / FILE, {"settings": settings, "measured": measured})


def _read():
    path = data_folder() / FILE
    return read_json(path) if path.exists() else {}
