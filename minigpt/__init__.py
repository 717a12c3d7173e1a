"""minigpt: InstructGPT from scratch. The public names, loaded when first used so that `import minigpt` costs nothing."""
import importlib

_HOME = {"GPT": "minigpt.model", "InstructGPT": "minigpt.model", "GPTConfig": "minigpt.config", "TrainConfig": "minigpt.config",
         "SampleConfig": "minigpt.config", "Tokenizer": "minigpt.text.tokenizer", "render": "minigpt.text.template",
         "load_world": "minigpt.world"}
__all__ = list(_HOME)
__version__ = "0.1.0"  # as in pyproject.toml


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"minigpt has no {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
    return __all__
