"""Who may be seen in training: every name, pair of words and fact belongs to exactly one split, decided by a hash of its text."""

import zlib

SPLITS = ("train", "dev", "test")
SALT = "345"     # of 400 numbers tried the one that gives each plot the most held-out pairs, at least five for dev and for test


def seen_by(split):
    """The split of the wordings that an example of `split` may have seen: training also draws the "extra" ones, which no
    evaluation shows, so that wordings can be added without touching the frozen evaluations."""
    return "training" if split == "train" else "train"


def split_of(*key, percent=8):
    """The split of a key, the same on every machine: `percent` of all keys are dev, as many test, the rest train."""
    bucket = zlib.crc32("|".join((SALT, *key)).encode()) % 1000
    return "dev" if bucket < 10 * percent else "test" if bucket < 20 * percent else "train"


def pairs_allowed(pairs, split):
    """May these pairs stand in one text? In training only training pairs; in an evaluation at least one of its own split and none
    of the other evaluation's."""
    found = [split_of(*pair) for pair in pairs]
    if split == "train":
        return all(name == "train" for name in found)
    return split in found and all(name in ("train", split) for name in found)
