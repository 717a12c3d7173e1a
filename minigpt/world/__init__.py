"""A small world written by a program: text to pretrain on, instructions with verifiable answers, and their splits."""

from minigpt.world.corpus import pretraining_documents
from minigpt.world.family import Example
from minigpt.world.small import small_world
from minigpt.world.tables import World, load_world
from minigpt.world.tasks import FAMILIES, example_stream, examples, verify

__all__ = ["FAMILIES", "Example", "World", "example_stream", "examples", "load_world", "pretraining_documents", "small_world", "verify"]
