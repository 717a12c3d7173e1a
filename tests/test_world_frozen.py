"""The evaluation is frozen: the dev and test files have these hashes, and the committed samples are what the generator writes.

Who changes the world changes these hashes knowingly, and every figure measured before is void.
"""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from minigpt.files import data_folder
from minigpt.world import FAMILIES, verify
from minigpt.world.build import SAMPLES, build, jsonl
from minigpt.world.handwritten import handwritten
from minigpt.world.write import constraints

SHA256 = {
    ("dev", 20): "a2322310f92b2c266efb4d4999bbccca9bfb8d08c576c895900517a6313cac37",
    ("test", 20): "6394b2fd74d06f0eff3741da95c9d02a6588fcfd1728d569f903aac32ead295e",
    ("dev", 500): "a1ae358539a55f471446e953b5a07326dd4d3d70c9f81c8ee04ccf75c91eb005",
    ("test", 500): "4832d18b9479577806a826cd3d57cc9acc86bdee9d504da4a270c5bb33d23da2",
}


def digest(world, split, per_kind):
    return hashlib.sha256(jsonl(world, split, per_kind, seed=0).encode("utf-8")).hexdigest()


@pytest.mark.parametrize("split", [pytest.param("dev", marks=pytest.mark.slow), "test"])
def test_the_first_examples_of_the_evaluation_are_frozen(world, split):
    assert digest(world, split, 20) == SHA256[split, 20]


def whole_test_set(folder):
    """The job that prints the digest of the test set."""
    code = "from test_world_frozen import digest; from minigpt.world import load_world; print(digest(load_world(), 'test', 500))"
    here = Path(__file__).parent
    return [sys.executable, "-c", code], {"PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}


ELSEWHERE = {"test_the_evaluation_is_frozen": [whole_test_set]}  # see conftest


@pytest.mark.slow
def test_the_evaluation_is_frozen(elsewhere):
    output, status, _ = elsewhere(whole_test_set)
    assert status == 0 and output.split()[-1] == SHA256["test", 500], output


@pytest.mark.audit
def test_the_questions_of_every_choice_are_frozen(world):
    assert digest(world, "dev", 500) == SHA256["dev", 500]


@pytest.mark.slow
def test_committed_samples_are_the_generators_output(world, tmp_path):
    sizes = build(world, tmp_path, **SAMPLES)
    assert 200_000 < sum(sizes.values()) <= 1_000_000
    (tmp_path / "dev.jsonl").write_text("mine\n")
    with pytest.raises(ValueError, match="dev.jsonl is there with other content; build into another folder"):
        build(world, tmp_path, **SAMPLES)
    assert (tmp_path / "dev.jsonl").read_text() == "mine\n"
    (tmp_path / "dev.jsonl").unlink()
    assert build(world, tmp_path, **SAMPLES) == sizes
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
