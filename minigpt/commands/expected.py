"""Is my loss normal? What earlier runs with other seeds measured at the same steps, as bands that a run is told apart from."""
from minigpt.files import data_folder, read_json, write_json

FILE = "expected.json"


def load(settings):
    """The bands for a run with these settings -> {stage: {name: {step: (low, high)}}}; {} where none were recorded."""
    found = _read()
    if found.get("settings") != settings:
        return {}
    return {stage: {name: {int(step): band(values.values()) for step, values in steps.items()} for name, steps in names.items()}
            for stage, names in found["measured"].items()}


def band(values):
    """Where another seed may well end: what was measured, and as far again on either side (at least 3 %). -> (low, high)"""
    low, high = min(values), max(values)
    margin = max(high - low, 0.03 * abs(low + high) / 2)
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
