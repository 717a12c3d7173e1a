"""The world as files: pretraining text and JSONL of instructions, for reading and for other programs."""

import itertools
import json

from minigpt.files import atomic_write, make_folder
from minigpt.world.corpus import pretraining_documents
from minigpt.world.splits import SPLITS
from minigpt.world.tasks import FAMILIES, examples

SAMPLES = {"documents": 150, "per_kind": 15, "seed": 0}     # what stands in data/samples


def record(example):
    """An example as a line of JSONL: the conversation with its answer as "messages", and what a verifier needs. -> dict

    Only the words that a text may have are left out: they are the same for all, write.vocabulary(world).
    """
    return {"family": example.family, "kind": example.kind,
            "messages": [*example.messages, {"role": "assistant", "content": example.answer}], "accept": list(example.accept),
            "wants": example.wants, "facets": example.facets}


def jsonl(world, split, per_kind, seed):
    """per_kind examples of every kind of every family. -> text with a JSON object a line"""
    return "".join(json.dumps(record(example), ensure_ascii=False) + "\n" for name, family in FAMILIES.items() for kind in family.kinds
                   for example in examples(world, name, split, per_kind, seed, kind))


def build(world, folder, documents, per_kind, seed):
    """Write pretraining.txt (documents are separated by an empty line) and train, dev, test.jsonl to a folder. -> {file: bytes}

    ValueError where one of them is there with other content: it may be a user's own.
    """
    folder = make_folder(folder)
    text = "\n\n".join(itertools.islice(pretraining_documents(world, seed), documents)) + "\n"
    files = {"pretraining.txt": text, **{f"{split}.jsonl": jsonl(world, split, per_kind, seed) for split in SPLITS}}
    files = {name: content.encode("utf-8") for name, content in files.items()}
    for name, content in files.items():
        if (folder / name).exists() and (folder / name).read_bytes() != content:
            raise ValueError(f"{folder / name} is there with other content; build into another folder, or remove it")
    for name, content in files.items():
        atomic_write(folder / name, content)
    return {name: len(content) for name, content in files.items()}
