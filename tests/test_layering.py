"""Who may import whom: imports point down, and the rooms stay what they are."""
import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the top of the house to its foundations. A name is a module, or a package with everything in it, below minigpt;
# a module may import what stands in a lower row, and what belongs to its own name.
ROWS = (
    ("__main__",),
    ("commands",),
    ("bench", "course"),
    ("train.pretrain", "train.sft", "sample.chat", "evaluate", "model"),
    ("sample.explain",),
    ("train.trainer", "sample.generate", "interop.huggingface"),
    ("nn.gpt", "train.batches", "train.checkpoint"),
    ("nn.layers", "nn.losses", "text.template", "world"),
    ("nn.backend", "nn.gradcheck", "train.optim", "sample.sampling", "sample.stopping", "interop.families"),
    ("nn.kernels",),
    ("nn.ops", "nn.params", "nn.threads", "text", "interop.safetensors", "config", "show"),
    ("files", "jit"),
)
# The one arrow that points up: GPTConfig.from_pretrained has to read a model folder, and does so when it is called.
UPWARD = {("config", "interop.huggingface")}
# Whatever else is imported must be Python's own. None: everybody may.
THIRD_PARTY = {"numpy": None, "numba": ("jit", "nn.kernels", "text.kernels", "bench"),
               "llvmlite": ("nn.kernels",), "matplotlib": ("show.plot",)}
WITHOUT_THIRD_PARTY = ("world", "files", "config")
REFUSED = {"pickle", "shelve", "marshal", "dill", "joblib", "cloudpickle"}  # they run what they read


def modules():
    """name below minigpt ("nn.ops") -> path; packages under their own name ("nn")"""
    found = {}
    for path in sorted((ROOT / "minigpt").rglob("*.py")):
        parts = path.relative_to(ROOT / "minigpt").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(source, module, is_package):
    """-> full names of the modules that a source imports, at any depth of its functions"""
    package = ["minigpt", *module.split(".")] if module else ["minigpt"]
    package = package if is_package else package[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:  # `from minigpt.nn import ops` names a module, `from minigpt.nn.ops import x` does not
                whole = f"{base}.{alias.name}"
                found.add(whole if whole.removeprefix("minigpt.") in MODULES else base)
    return found


def owner(module):
    """-> (row, name) of the longest name in ROWS that holds the module; None when no row has it"""
    fits = [(name, row) for row, names in enumerate(ROWS) for name in names
            if module == name or module.startswith(f"{name}.")]
    return max(fits, key=lambda fit: len(fit[0]))[::-1] if fits else None


def complaints(module, imported):
    """-> a line for each import that points sideways or up, or outside the list"""
    lines = []
    for name in sorted(imported):
        top = name.split(".")[0]
        if top == "minigpt":
            target = name.removeprefix("minigpt").removeprefix(".")
            here, there = owner(module), owner(target)
            if MODULES.get(target) is not None and MODULES[target].name == "__init__.py" and there is None:
                continue  # an empty package such as minigpt.nn
            if here is None or there is None:
                lines.append(f"{module or 'minigpt'} or {target or 'minigpt'} has no row in ROWS")
            elif there != here and there[0] <= here[0] and (module, target) not in UPWARD:
                lines.append(f"{module} imports {target}, which is not below it")
        elif top in REFUSED:
            lines.append(f"{module} imports {top}")
        elif top not in sys.stdlib_module_names:
            allowed = THIRD_PARTY.get(top, ())
            if allowed is not None and not any(module == a or module.startswith(f"{a}.") for a in allowed):
                lines.append(f"{module} imports {top}")
            elif module.split(".")[0] in WITHOUT_THIRD_PARTY:
                lines.append(f"{module} imports {top}, and it needs only Python")
    return lines


def empty_package(module):
    """minigpt itself, and packages whose files stand in different rows (nn, train): their __init__ imports nothing."""
    return MODULES[module].name == "__init__.py" and owner(module) is None


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    path = MODULES[module]
    imported = imports(path.read_text("utf-8"), module, path.name == "__init__.py")
    if module == "":
        imported = {name for name in imported if owner(name.removeprefix("minigpt.")) is None}  # the public names
    elif empty_package(module):
        assert not imported, f"{module}/__init__.py must import nothing"
    else:
        assert owner(module), f"{module} has no row in ROWS: add it to the design first"
    assert complaints(module, imported) == []


def test_every_row_has_a_tenant():
    """A name that fits no file any more would let its row rot."""
    for row in ROWS:
        for name in row:
            assert any(module == name or module.startswith(f"{name}.") for module in MODULES), name


def test_exceptions_are_still_needed():
    for module, target in UPWARD:
        assert f"minigpt.{target}" in imports(MODULES[module].read_text("utf-8"), module, False)


@pytest.mark.parametrize("module, source, wrong", [
    ("nn.ops", "from minigpt.nn import gpt", True),
    ("nn.ops", "from . import gpt", True),
    ("nn.ops", "def f():\n    import minigpt.nn.layers", True),
    ("nn.ops", "import torch", True),
    ("nn.ops", "import matplotlib.pyplot", True),
    ("nn.losses", "from minigpt.nn.layers import NORMS", True),
    ("world.facts", "import numpy", True),
    ("world.facts", "import pickle", True),
    ("train.trainer", "from tests import cases", True),
    ("nn.gpt", "from minigpt.nn.layers import NORMS", False),
    ("nn.gpt", "from minigpt.nn import layers", False),
    ("world.facts", "from minigpt.world.names import x\nimport random", False),
    ("nn.kernels.attention", "from .primitives import exp\nimport numba", False),
])
def test_the_check_sees_planted_arrows(module, source, wrong):
    assert bool(complaints(module, imports(source, module, False))) == wrong


@pytest.mark.slow
def test_no_text_becomes_code():
    """Only the lessons' runner may: a lesson's cells are Python that its reader asked to run."""
    for module, path in MODULES.items():
        called = {node.func.id for node in ast.walk(ast.parse(path.read_text("utf-8")))
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert module == "course.run" or not called & {"eval", "exec", "__import__"}, module
