"""The evaluation is frozen: the dev and test files have the hashes written here, and the committed samples are what the generator writes.

Who changes the world changes these hashes knowingly, and every figure measured before is void.
"""

import hashlib

import pytest

from minigpt.files import data_folder
from minigpt.world import FAMILIES, load_world, verify
from minigpt.world.build import SAMPLES, build, jsonl
from minigpt.world.handwritten import handwritten
from minigpt.world.write import constraints

SHA256 = {
    ("dev", 20): "2157d0ca80460d478c0b99054a1d4ff13e7843f9e70a2cf8ee7e85e6c5c810d7",
    ("test", 20): "3fe638107b882d7769b6f57a65a3425c9cba30086f5556daef006487f07b6b13",
    ("dev", 500): "ab6a323db121059d71f00732afe193591f5b81755bd174bb84a2cab5fb1781c8",
    ("test", 500): "cfac144d8d230dfc959633f3568ffecadee8610de08f5bc88d493560e7a6be3c",
}


def digest(world, split, per_kind):
    return hashlib.sha256(jsonl(world, split, per_kind, seed=0).encode("utf-8")).hexdigest()


@pytest.fixture(scope="module")
def world():
    return load_world()


@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_first_examples_of_the_evaluation_are_frozen(world, split):
    assert digest(world, split, 20) == SHA256[split, 20]


@pytest.mark.slow
@pytest.mark.parametrize("split", ["dev", "test"])
def test_the_evaluation_is_frozen(world, split):
    assert digest(world, split, 500) == SHA256[split, 500]


def test_committed_samples_are_the_generators_output(world, tmp_path):
    sizes = build(world, tmp_path, **SAMPLES)
    assert 200_000 < sum(sizes.values()) <= 1_000_000
    for name in sizes:
        assert (tmp_path / name).read_bytes() == (data_folder() / "samples" / name).read_bytes(), name
    assert {path.name for path in (data_folder() / "samples").iterdir()} == set(sizes)


@pytest.mark.parametrize("family", FAMILIES)
def test_twenty_handwritten_prompts_per_family(world, family):
    examples = handwritten(world, family)
    assert len(examples) == 20
    for example in examples:
        assert example.kind in FAMILIES[family].kinds
        assert [message["role"] for message in example.messages] == ["user", "assistant"] * (len(example.messages) // 2) + ["user"]
        if family == "write":
            assert not all(constraints(example, "A cat sat. A dog ran.").values())
        else:
            assert all(verify(example, answer) for answer in (example.answer, *example.accept))
            assert not verify(example, "Bananas are purple.")
