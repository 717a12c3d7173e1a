"""One measurement in a process of its own: python -m minigpt.bench.child step SHAPE [OPTIONS] | decode KIND [OPTIONS] | text FILE [OPTIONS], prints JSON."""
import json
import sys

from minigpt.bench import recipe, steps


def main(what, name, options="{}"):
    """-> the measurement as a dict. options: JSON, of steps.training_steps, steps.decoding or recipe.run"""
    if what == "text":
        return recipe.run(name, **json.loads(options))
    if what == "step":
        return {"samples": steps.training_steps(name, 3, **json.loads(options))}
    return {"samples": steps.decoding(name, 3, **json.loads(options))}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
