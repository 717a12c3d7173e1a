"""One measurement in a process of its own: python -m minigpt.bench.child step SHAPE | decode KIND | text FILE, prints JSON."""
import json
import sys

from minigpt.bench import recipe, steps


def main(what, name):
    """-> the measurement as a dict"""
    if what == "text":
        return recipe.run(name)
    return {"samples": {"step": steps.training_steps, "decode": steps.decoding}[what](name, 3)}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:3])))
