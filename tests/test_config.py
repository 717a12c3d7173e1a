"""Settings: every field has a flag and survives a checkpoint; what makes no sense is refused by name."""
import argparse
import dataclasses
import json

import numpy as np
import pytest

from minigpt.config import PRESETS, GPTConfig, SampleConfig, TrainConfig, add_flags, from_flags
from minigpt.nn.gpt import Transformer
from minigpt.train import checkpoint, optim

UNUSUAL = {  # every field off its default
    GPTConfig: GPTConfig(vocab_size=17, block_size=12, n_layer=3, n_head=6, n_embd=24, n_kv_head=2, n_inner=20, norm="rmsnorm",
                         mlp="swiglu", position="sinusoidal", bias=False, tie=False, dropout=0.25, norm_eps=1e-4, rope_theta=500.0),
    TrainConfig: TrainConfig(tokens=4096, batch_tokens=64, optimizer="adamw", lr=1e-3, muon_lr=0.02, schedule="cosine", warmup=0.1,
                             flat=0.5, final_lr=0.2, beta1=0.8, beta2=0.9, eps=1e-6, weight_decay=0.2, clip=0.5, replay=0.5,
                             seed=7, shards=3, workers=2, eval_every=10, save_every=20),
    SampleConfig: SampleConfig(max_new_tokens=5, temperature=0.5, top_k=3, top_p=0.9, min_p=0.1, repetition_penalty=1.2, seed=4),
}


def flags_of(config):
    parser = argparse.ArgumentParser()
    add_flags(parser, config)
    return parser


@pytest.mark.parametrize("kind", UNUSUAL)
def test_every_field_is_unusual_and_has_a_flag(kind):
    config, arguments = UNUSUAL[kind], []
    for item in dataclasses.fields(kind):
        value, flag = getattr(config, item.name), "--" + item.name.replace("_", "-")
        assert value != item.default, f"{item.name} is at its default: another value would prove more"
        arguments += [flag, str(value)] if not isinstance(value, bool) else [flag if value else flag.replace("--", "--no-", 1)]
    assert from_flags(kind(), flags_of(kind()).parse_args(arguments)) == config
    assert from_flags(config, flags_of(config).parse_args([])) == config


@pytest.mark.parametrize("kind, field, value, words", [
    (GPTConfig, "n_embd", "128", "a whole number"), (GPTConfig, "n_embd", None, "a whole number"), (GPTConfig, "n_layer", 2.5, "a whole number"),
    (GPTConfig, "bias", 1, "True or False"), (GPTConfig, "dropout", "0.1", "a number"), (TrainConfig, "tokens", 1e6, "a whole number"),
    (TrainConfig, "optimizer", 3, "a text"), (SampleConfig, "temperature", None, "a number"), (SampleConfig, "seed", 0.5, "a whole number"), (TrainConfig, "lr", True, "a number")])
def test_values_of_another_type_are_refused_by_name(kind, field, value, words):
    with pytest.raises(ValueError, match=f"{field} is .*; it must be {words}"):
        kind(**{field: value})
    assert kind(**{field: getattr(UNUSUAL[kind], field)})


def test_numpys_numbers_and_whole_numbers_for_floats_are_welcome():
    """They become Python's, which a checkpoint can hold."""
    shape, settings = GPTConfig(n_embd=np.int64(64), dropout=0), TrainConfig(lr=np.float64(0.5), tokens=np.int32(8), weight_decay=0)
    assert json.loads(json.dumps(dataclasses.asdict(shape)))["n_embd"] == 64
    assert json.dumps([settings.lr, settings.tokens, settings.weight_decay]) == "[0.5, 8, 0.0]" and type(settings.lr) is float


@pytest.mark.parametrize("dtype", ["float16", "int8", "complex64", "bfloat16", None])
def test_a_model_computes_in_single_or_double_precision(dtype):
    with pytest.raises(ValueError, match=f"dtype is {dtype}; a model computes in float32 or float64"):
        Transformer(PRESETS["nano"], dtype=dtype)


def test_help_shows_our_value_beside_the_papers():
    text = " ".join(flags_of(TrainConfig()).format_help().split())
    assert "peak learning rate of AdamW (default 0.004; paper: 6e-5 (tuning 5.03e-6))" in text
    with pytest.raises(SystemExit):
        flags_of(TrainConfig()).parse_args(["--no-such-flag", "1"])


def test_a_checkpoint_of_unusual_settings_comes_back_bit_for_bit(tmp_path):
    config, train_config = UNUSUAL[GPTConfig], UNUSUAL[TrainConfig]
    model, other = (Transformer(config, seed=seed, backend="numpy") for seed in (1, 2))
    state, empty = optim.new_state(model.params), optim.new_state(model.params)
    rng = np.random.default_rng(0)
    for params in (model.params, state.mean, state.variance):
        for name, view in params.items():
            params[name] = rng.standard_normal(view.shape)
    state.step = 37
    checkpoint.save(tmp_path, model, state, train_config, {"data": "x"})
    checkpoint.load(tmp_path, other, empty, train_config, {"data": "x"})
    assert empty.step == 37
    for saved, loaded in ((model.params, other.params), (state.mean, empty.mean), (state.variance, empty.variance)):
        np.testing.assert_array_equal(saved.flat, loaded.flat)
    for item in dataclasses.fields(GPTConfig):
        if item.name not in ("n_head", "n_embd", "n_kv_head"):  # these are bound to each other
            changed = dataclasses.replace(config, **{item.name: item.default})
            with pytest.raises(ValueError, match=f"with {item.name} "):
                checkpoint.load(tmp_path, Transformer(changed, backend="numpy"), empty, train_config, {"data": "x"})


@pytest.mark.parametrize("settings, words", [
    ({"n_layer": 0}, "n_layer is 0"), ({"n_embd": 30, "n_head": 4}, "n_embd is 30"), ({"n_kv_head": 3}, "n_kv_head is 3"),
    ({"n_kv_head": 0}, "n_kv_head is 0"), ({"position": "rope", "n_embd": 12}, "head size 3"), ({"dropout": 1.0}, "dropout is 1.0"),
    ({"position": "sinusoidal", "n_embd": 33, "n_head": 3}, "n_embd is 33"), ({"norm": "batch"}, "norm is 'batch'"),
    ({"mlp": "relu"}, "gelu"), ({"position": "absolute"}, "alibi"), ({"vocab_size": 0}, "vocab_size is 0"),
    ({"block_size": 2**24}, "block_size is 16777216.* at most 1048576"), ({"n_inner": 0}, "n_inner is 0"),
    ({"dropout": float("nan")}, "dropout is nan"), ({"norm_eps": 0.0}, "norm_eps is 0.0"), ({"norm_eps": 1e-46}, "norm_eps is 1e-46"), ({"norm_eps": 1e300}, "norm_eps is 1e.300.* at most 1"), ({"rope_theta": float("inf")}, "rope_theta is inf")], ids=str)
def test_models_that_cannot_be_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        GPTConfig(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings, words", [
    ({"tokens": 0}, "tokens is 0"), ({"batch_tokens": 0}, "batch_tokens is 0"), ({"save_every": 0}, "save_every is 0"),
    ({"warmup": 1.5}, "warmup is 1.5"), ({"flat": -0.1}, "flat is -0.1"), ({"replay": 2.0}, "replay is 2.0"), ({"replay": 1.0}, "replay is 1.0"),
    ({"optimizer": "sgd"}, "sgd"), ({"schedule": "step"}, "step"),
    ({"lr": float("nan")}, "lr is nan"), ({"muon_lr": float("inf")}, "muon_lr is inf"), ({"beta1": 1.0}, "beta1 is 1.0"), ({"eps": 0.0}, "eps is 0.0"), ({"eps": 1e-50}, "eps is 1e-50"),
    ({"seed": -1}, "seed is -1"), ({"shards": -1}, "shards is -1"), ({"workers": -2}, "workers is -2")], ids=str)
def test_runs_that_cannot_be_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig(**settings)


def test_sizes_follow_the_settings():
    assert GPTConfig(n_embd=96, n_head=6).head_size == 16 and GPTConfig(n_head=4).kv_heads == 4 and GPTConfig(n_kv_head=2).kv_heads == 2
    assert GPTConfig(n_embd=48).inner == 192 and GPTConfig(n_embd=48, mlp="swiglu").inner == 128 and GPTConfig(n_embd=2, n_head=1, mlp="swiglu").inner == 8 and UNUSUAL[GPTConfig].inner == 20
    assert TrainConfig(tokens=10_000, batch_tokens=3000).steps == 3 and TrainConfig(tokens=10, batch_tokens=3000).steps == 1
    assert all(config.position == "rope" for config in PRESETS.values())
