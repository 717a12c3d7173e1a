"""One measurement in a process of its own: python -m minigpt.bench.child step SHAPE [OPTIONS] | decode KIND [OPTIONS] |
tokenizer train|encode [OPTIONS] | text FILE [OPTIONS], prints JSON."""
import json
import sys

from minigpt.bench import recipe, steps, tokenizers

MEASUREMENTS = {"step": steps.training_steps, "decode": steps.decoding, "tokenizer": tokenizers.measured}  # name, options -> samples


def main(what, name, options="{}"):
    """-> the measurement as a dict. options: JSON, of the function that measures"""
    options = json.loads(options)
    return recipe.run(name, **options) if what == "text" else {"samples": MEASUREMENTS[what](name, 3, **options)}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
