"""Model folders without transformers: small models written by hand in its layout, with the logits that it computed for them.

The golden numbers come from transformers 5.23 in float64; tests/oracle/test_huggingface.py compares them with the living library.
"""
import itertools
import json
import math
import tracemalloc

import numpy as np
import pytest
from test_safetensors import by_hand

from minigpt import files
from minigpt.__main__ import main
from minigpt.config import PRESETS, GPTConfig
from minigpt.interop import families, huggingface, safetensors
from minigpt.model import GPT, InstructGPT
from minigpt.nn.gradcheck import perturb
from minigpt.nn.gpt import Transformer
from minigpt.text import template
from minigpt.text.tokenizer import Tokenizer
from minigpt.train.trainer import read_log

ROPE = {"rope_type": "default", "rope_theta": 100.0}
CONFIGS = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2,
             "activation_function": "gelu_new", "layer_norm_epsilon": 1e-4},
    "gpt_neox": {"model_type": "gpt_neox", "vocab_size": 11, "max_position_embeddings": 8, "hidden_size": 8, "num_hidden_layers": 2,
                 "num_attention_heads": 2, "intermediate_size": 12, "hidden_act": "gelu", "layer_norm_eps": 1e-4,
                 "use_parallel_residual": False, "rope_parameters": {**ROPE, "partial_rotary_factor": 1.0}, "tie_word_embeddings": True},
    "llama": {"model_type": "llama", "vocab_size": 11, "max_position_embeddings": 8, "hidden_size": 16, "num_hidden_layers": 2,
              "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 10, "hidden_act": "silu", "rms_norm_eps": 1e-4,
              "rope_parameters": ROPE, "tie_word_embeddings": False},
}
SAID = {"tie_word_embeddings", "bos_token_id", "eos_token_id", "dtype"}  # by every config.json of ours, so that no reader guesses
WRITTEN = {"gpt2": SAID | {"activation_function", "layer_norm_epsilon", "n_inner", "scale_attn_weights", "resid_pdrop"},
           "gpt_neox": SAID | {"hidden_act", "layer_norm_eps", "use_parallel_residual", "attention_bias", "rope_parameters", "rotary_pct"},
           "llama": SAID | {"hidden_act", "rms_norm_eps", "num_key_value_heads", "attention_bias", "mlp_bias", "head_dim", "rope_parameters"}}
PROMPT = [[1, 5, 2, 9, 3], [10, 0, 0, 7, 4]]
GOLDEN = {
    "gpt2": [[0.54815769, 0.81773485, -1.47865158, -0.29871792, 1.86745653, 0.71823494,
               1.90503692, -0.69821147, 1.52457255, 0.64636879, 0.76481548],
             [0.58605461, 0.76215565, -1.40200191, -0.29248467, 1.73589662, 0.64342318,
               1.83291206, -0.55343661, 1.53747803, 0.70633937, 0.74432246]],
    "gpt_neox": [[-0.38823055, 1.39411385, 0.57690872, 0.02284390, 0.23236884, -0.12410525,
                   1.19778874, 0.18314318, -1.25808061, 1.71465988, -2.97456316],
                 [-0.59817698, 1.56309295, 0.99327155, 0.53159029, -0.43843731, 0.74920383,
                   0.99007634, 0.25925648, -1.39271531, 1.25456850, -2.53370113]],
    "llama": [[0.25818265, -0.30748309, -0.78042749, 1.78952664, -0.45354894, -0.17175466,
                0.90990794, 1.55208777, -1.75544969, 0.19343367, -1.37677820],
              [-0.32562618, -1.40694326, -1.17037845, 0.57064168, -0.74350152, 0.08050072,
                1.10993095, -0.73129347, 0.08067454, -0.67086059, 0.98636742]],
}


def linear(name, n_out, n_in, bias=True):
    return {f"{name}.weight": (n_out, n_in)} | ({f"{name}.bias": (n_out,)} if bias else {})


def gain(name, C, bias=True):
    return {f"{name}.weight": (C,)} | ({f"{name}.bias": (C,)} if bias else {})


def their_shapes(family):
    """{name: shape} of the model in CONFIGS, from transformers' documentation and not from our code."""
    if family == "gpt2":
        shapes = {"wte.weight": (11, 8), "wpe.weight": (8, 8)} | gain("ln_f", 8)
        for i in range(2):
            for name, size in (("attn.c_attn", (8, 24)), ("attn.c_proj", (8, 8)), ("mlp.c_fc", (8, 32)), ("mlp.c_proj", (32, 8))):
                shapes |= {f"h.{i}.{name}.weight": size, f"h.{i}.{name}.bias": size[1:]}           # Conv1D: (in, out)
            shapes |= gain(f"h.{i}.ln_1", 8) | gain(f"h.{i}.ln_2", 8)
        return {f"transformer.{name}": shape for name, shape in shapes.items()}
    if family == "gpt_neox":
        shapes = {"gpt_neox.embed_in.weight": (11, 8)} | gain("gpt_neox.final_layer_norm", 8)
        for i in range(2):
            block = f"gpt_neox.layers.{i}"
            shapes |= gain(f"{block}.input_layernorm", 8) | gain(f"{block}.post_attention_layernorm", 8)
            shapes |= linear(f"{block}.attention.query_key_value", 24, 8) | linear(f"{block}.attention.dense", 8, 8)
            shapes |= linear(f"{block}.mlp.dense_h_to_4h", 12, 8) | linear(f"{block}.mlp.dense_4h_to_h", 8, 12)
        return shapes
    shapes = {"model.embed_tokens.weight": (11, 16), "lm_head.weight": (11, 16)} | gain("model.norm", 16, False)
    for i in range(2):
        block = f"model.layers.{i}"
        shapes |= gain(f"{block}.input_layernorm", 16, False) | gain(f"{block}.post_attention_layernorm", 16, False)
        for name, n_out in (("q_proj", 16), ("k_proj", 8), ("v_proj", 8), ("o_proj", 16)):
            shapes |= linear(f"{block}.self_attn.{name}", n_out, 16, False)
        for name, size in (("gate_proj", (10, 16)), ("up_proj", (10, 16)), ("down_proj", (16, 10))):
            shapes |= linear(f"{block}.mlp.{name}", *size, False)
    return shapes


def by_formula(shapes):
    """Tensors that anybody can write down: multiples of 1/64 between -1 and 1, different for each tensor."""
    def numbers(count, index):
        i = np.arange(count)
        return ((31 * i * i + (17 + index) * i + 53 * index) % 127 / 64 - 1).astype(np.float32)

    return {name: numbers(math.prod(shape), index).reshape(shape) for index, (name, shape) in enumerate(sorted(shapes.items()))}


def write_tensors(path, tensors):
    """safetensors without our code."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": {"f4": "F32", "f2": "F16", "i4": "I32"}[array.dtype.str[1:]], "shape": array.shape,
                        "data_offsets": [begin, end]}
    path.write_bytes(by_hand(header, b"".join(array.tobytes() for array in tensors.values())))


def their_folder(folder, family, change=None, tensors=None):
    """Writes the model of CONFIGS as transformers would; `change` updates config.json, a value None drops the key."""
    folder.mkdir(exist_ok=True)
    config = {key: value for key, value in {**CONFIGS[family], **(change or {})}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", by_formula(their_shapes(family)) if tensors is None else tensors)
    return folder


def load(folder, **options):
    config, arrays = huggingface.read_folder(folder)
    model = Transformer(config, **options)
    for name in model.params:
        model.params[name] = arrays[name]
    return model


@pytest.mark.parametrize("backend", ["numpy", "fast"])
@pytest.mark.parametrize("family", CONFIGS)
def test_golden_logits(tmp_path, family, backend):
    golden = np.array(GOLDEN[family])
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-7)):           # the golden numbers have 8 decimals
        logits, _ = load(their_folder(tmp_path, family), dtype=dtype, backend=backend).forward(PROMPT)
        assert np.abs(logits[:, -1] - golden).max() <= tolerance * np.abs(golden).max()


@pytest.mark.parametrize("family", CONFIGS)
def test_what_was_read_is_written_back(tmp_path, family):
    """Their folder -> us -> folder: the same tensors, bit for bit; once more: the same bytes."""
    config, params = huggingface.read_folder(their_folder(tmp_path / "theirs", family))
    huggingface.write_folder(tmp_path / "first", config, params)
    huggingface.write_folder(tmp_path / "second", *huggingface.read_folder(tmp_path / "first"))
    written = safetensors.load_file(tmp_path / "first" / "model.safetensors")
    expected = by_formula(their_shapes(family))
    assert set(written) == set(expected) and all(np.array_equal(written[name], expected[name]) for name in expected)
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    theirs, ours = CONFIGS[family], files.read_json(tmp_path / "first" / "config.json")
    assert ours["architectures"] == [families.FAMILIES[family].architecture] and WRITTEN[family] <= set(ours)
    assert {key: ours[key] for key in theirs if key != "rope_parameters"} == {key: theirs[key] for key in theirs if key != "rope_parameters"}
    assert {**ours.get("rope_parameters", {}), **theirs.get("rope_parameters", {})} == ours.get("rope_parameters", {})


MIXES = list(itertools.product(("layernorm", "rmsnorm"), ("gelu", "gelu_erf", "swiglu"), ("learned", "sinusoidal", "rope", "alibi"),
                               (False, True), (False, True), (None, 2)))


def test_every_mix_survives(tmp_path):
    """Every field away from its default: the config and each parameter come back as they were; a sample goes to the disk."""
    configs = [GPTConfig(31, 9, 2, 4, 24, kv, 20, norm, mlp, position, bias, tie, 0.25, 2e-5, 500.0)
               for norm, mlp, position, bias, tie, kv in MIXES]
    assert all(families.from_json(families.to_json(config)) == config for config in configs)
    llama = [config for config in configs if families.family_of(config) == "llama"]
    for config in llama + configs[::11]:
        params = Transformer(config, backend="numpy").params
        params.flat[:] = np.random.default_rng(0).normal(size=params.flat.size)
        huggingface.write_folder(tmp_path, config, params)
        read, arrays = huggingface.read_folder(tmp_path)
        assert read == config == huggingface.read_config(tmp_path) and set(arrays) == set(params)
        assert all(np.array_equal(arrays[name], params[name]) and arrays[name].dtype == np.float32 for name in params)


def test_which_family():
    named = {"gpt2": [GPTConfig(), GPTConfig(mlp="gelu_erf", tie=False), GPTConfig(n_kv_head=4)],
             "gpt_neox": [*PRESETS.values(), GPTConfig(position="rope", mlp="gelu_erf")],
             "llama": [GPTConfig(norm="rmsnorm", mlp="swiglu", position="rope", bias=bias, n_kv_head=2) for bias in (True, False)],
             "minigpt": [GPTConfig(position="alibi"), GPTConfig(bias=False), GPTConfig(n_kv_head=2), GPTConfig(norm="rmsnorm")]}
    for name, configs in named.items():
        for config in configs:
            assert families.family_of(config) == name
            assert families.from_json(families.to_json(config)) == config


@pytest.mark.parametrize("config, reason", [
    (GPTConfig(position="alibi"), "gpt2 would need position learned instead of alibi"),
    (GPTConfig(position="rope", norm="rmsnorm"), "gpt_neox would need norm layernorm instead of rmsnorm"),
    (GPTConfig(n_kv_head=2), "n_kv_head None instead of 2"),
    (GPTConfig(position="rope", norm="rmsnorm", mlp="gelu"), "instead of")])
def test_the_exporter_refuses_other_mixes_by_name(tmp_path, config, reason):
    with pytest.raises(ValueError, match="transformers has no model of this shape") as raised:
        huggingface.write_folder(tmp_path / "out", config, Transformer(config).params, portable=True)
    assert reason in str(raised.value) and not (tmp_path / "out").exists()


def refused(folder, *words, error=ValueError):
    with pytest.raises(error) as raised:
        huggingface.read_folder(folder)
    text = str(raised.value)
    assert "\n" not in text and str(folder) in text and all(word in text for word in words), text


NEOX_ROPE = CONFIGS["gpt_neox"]["rope_parameters"]


@pytest.mark.parametrize("family, change, words", [
    ("gpt2", {"model_type": "bloom"}, ("model_type is 'bloom'", "llama")),
    ("gpt2", {"model_type": None}, ("model_type is None",)),
    ("gpt2", {"model_type": ["gpt2"]}, ("model_type is ['gpt2']",)),
    ("gpt2", {"activation_function": "relu"}, ("activation_function is 'relu'", "gelu_new")),
    ("gpt2", {"activation_function": {}}, ("activation_function is {}",)),
    ("gpt2", {"n_head": None}, ("n_head is missing",)),
    ("gpt2", {"n_layer": None}, ("n_layer is missing",)),
    ("gpt2", {"n_layer": "2"}, ("n_layer is '2'",)),
    ("gpt2", {"n_layer": 2.0}, ("n_layer is 2.0",)),
    ("gpt2", {"n_layer": True}, ("n_layer is True",)),
    ("gpt2", {"n_layer": -2}, ("n_layer is -2",)),
    ("gpt2", {"n_layer": 10**12}, ("n_layer is 1000000000000",)),
    ("gpt2", {"n_head": [1] * 10**5}, ("n_head is [1, 1,", "...]")),
    ("gpt2", {"n_inner": 0}, ("n_inner is 0, which is no possible n_inner",)),
    ("gpt2", {"layer_norm_epsilon": "tiny"}, ("layer_norm_epsilon is 'tiny'",)),
    ("gpt2", {"n_head": 3}, ("n_embd is 8, not a multiple of n_head 3",)),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, ("scale_attn_by_inverse_layer_idx is True",)),
    ("gpt2", {"scale_attn_weights": False}, ("scale_attn_weights is False",)),
    ("gpt2", {"add_cross_attention": True}, ("add_cross_attention is True",)),
    ("gpt_neox", {"use_parallel_residual": True}, ("use_parallel_residual is True",)),
    ("gpt_neox", {"use_parallel_residual": None}, ("use_parallel_residual is True, because it is missing",)),
    ("gpt_neox", {"rope_parameters": {**NEOX_ROPE, "partial_rotary_factor": 0.25}}, ("partial_rotary_factor is 0.25",)),
    ("gpt_neox", {"rope_parameters": None, "rotary_pct": 0.5}, ("partial_rotary_factor is 0.5",)),
    ("gpt_neox", {"rope_parameters": None}, ("partial_rotary_factor is 0.25, because it is missing",)),
    ("gpt_neox", {"rope_parameters": [1]}, ("rope_parameters is [1]",)),
    ("gpt_neox", {"attention_bias": False}, ("attention_bias is False",)),
    ("gpt_neox", {"hidden_act": "silu"}, ("hidden_act is 'silu'",)),
    ("llama", {"rope_parameters": {**ROPE, "rope_type": "llama3", "factor": 8.0}}, ("rope_type is 'llama3'",)),
    ("llama", {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, ("rope_type is 'linear'",)),
    ("llama", {"mlp_bias": True}, ("mlp_bias is True",)),
    ("llama", {"head_dim": 8}, ("head_dim is 8",)),
    ("llama", {"num_key_value_heads": 3}, ("n_kv_head is 3",)),
    ("llama", {"intermediate_size": None}, ("intermediate_size is missing",)),
    ("gpt2", {"n_embd": 16}, ("transformer.wte.weight", "(11, 8)", "(11, 16)")),
    ("gpt2", {"vocab_size": 12}, ("transformer.wte.weight", "(11, 8)")),
    ("gpt2", {"n_positions": 9}, ("transformer.wpe.weight",)),
    ("gpt2", {"n_layer": 3}, ("transformer.h.2.ln_1.weight is missing",)),
    ("gpt2", {"n_layer": 1}, ("'transformer.h.1.", "no part of the model", "12 such tensors")),
    ("gpt2", {"n_layer": 1000}, ("1000 layers", "28 tensors")),
    ("gpt2", {"n_layer": 10**7}, ("n_layer is 10000000", "at most 1024")),
    ("gpt2", {"tie_word_embeddings": False}, ("lm_head.weight is missing",)),
    ("llama", {"tie_word_embeddings": True}, ("lm_head.weight is not the same as model.embed_tokens.weight",)),
    ("llama", {"num_key_value_heads": 4}, ("model.layers.0.self_attn.k_proj.weight", "(8, 16)", "(16, 16)")),
    ("llama", {"attention_bias": True, "mlp_bias": True}, ("model.layers.0.self_attn.q_proj.bias is missing",)),
])
def test_what_we_would_compute_differently_is_refused(tmp_path, family, change, words):
    refused(their_folder(tmp_path / "model", family, change), *words)


@pytest.mark.parametrize("content, words", [("[]", ("model_type is None",)), ("{", ("not JSON",)), ('{"model_type": NaN}', ("NaN",)),
                                            ('{"model_type": "gpt2", "model_type": "llama"}', ("given twice",))])
def test_broken_config(tmp_path, content, words):
    their_folder(tmp_path, "gpt2")
    (tmp_path / "config.json").write_text(content)
    refused(tmp_path, "config.json", *words)


def test_no_memory_is_asked_for_before_the_shapes_agree(tmp_path):
    their_folder(tmp_path, "gpt_neox", {"hidden_size": 2**23, "vocab_size": 2**23, "intermediate_size": 2**23})
    tracemalloc.start()
    refused(tmp_path, "gpt_neox.embed_in.weight")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_older_files(tmp_path):
    """Names without the prefix, constants that only old files carry, a copy of the tied output layer, no optional setting."""
    expected = by_formula(their_shapes("gpt2"))
    tensors = {name.removeprefix("transformer."): array for name, array in expected.items()}
    for i in range(2):
        tensors |= {f"h.{i}.attn.bias": np.ones((1, 1, 8, 8), np.float32), f"h.{i}.attn.masked_bias": np.array(-1e4, np.float32)}
    tensors["lm_head.weight"] = tensors["wte.weight"]
    config, params = huggingface.read_folder(their_folder(tmp_path, "gpt2", {"activation_function": None}, tensors))
    assert config.mlp == "gelu" and config.dropout == 0.1 and set(params) == {name.removeprefix("transformer.") for name in expected}
    assert np.array_equal(params["h.1.attn.c_attn.bias"], expected["transformer.h.1.attn.c_attn.bias"])
    their_folder(tmp_path, "gpt2", tensors=tensors | {"h.2.attn.bias_": np.ones(3, np.float32)})
    refused(tmp_path, "'transformer.h.2.attn.bias_'")
    their_folder(tmp_path, "gpt2", tensors=tensors | {"lm_head.weight": tensors["wte.weight"] + 1})
    refused(tmp_path, "tie_word_embeddings is true")


@pytest.mark.parametrize("family, change, expected", [
    ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1.0, "rotary_emb_base": 500}, {"rope_theta": 500.0}),
    ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1, "rope_scaling": None}, {"rope_theta": 10000.0}),
    ("llama", {"rope_parameters": None, "rope_theta": 5e5}, {"rope_theta": 5e5}),
    ("llama", {"rope_parameters": None, "rope_theta": 50000000}, {"rope_theta": 5e7}),
    ("llama", {"rope_theta": 5e5}, {"rope_theta": 100.0}),                # as transformers: the nested one counts
    ("llama", {"rms_norm_eps": None, "head_dim": 4, "mlp_bias": False}, {"norm_eps": 1e-6}),
    ("gpt2", {"n_inner": 32, "resid_pdrop": 0}, {"n_inner": None, "dropout": 0.0})])
def test_older_and_other_ways_to_say_it(tmp_path, family, change, expected):
    config = huggingface.read_config(their_folder(tmp_path, family, change))
    assert {key: getattr(config, key) for key in expected} == expected


def test_two_places_for_one_setting_must_agree(tmp_path):
    old = {"rope_parameters": None, "rotary_pct": 1.0, "rotary_emb_base": 500}
    assert huggingface.read_config(their_folder(tmp_path, "gpt_neox", {**old, "rope_theta": 500.0})).rope_theta == 500.0
    refused(their_folder(tmp_path, "gpt_neox", {**old, "rope_theta": 10000.0}), "rope_theta is 10000.0 and rotary_emb_base 500")
    for family, change, words in (
            ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1.0, "rope_theta": 50.0}, "rope_theta is 50.0 and rotary_emb_base None"),
            ("gpt_neox", {"rope_parameters": ROPE, "partial_rotary_factor": 1.0}, "partial_rotary_factor is 1.0 and rotary_pct None"),
            ("llama", {"rope_parameters": None, "rotary_emb_base": 50}, "rotary_emb_base is 50 and rope_theta None"),
            ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_type is 'linear'")):  # as transformers: it counts before rope_parameters
        refused(their_folder(tmp_path, family, change), words)


def test_tensors_missing_misshapen_or_of_another_type(tmp_path):
    tensors = by_formula(their_shapes("llama"))
    name = "model.layers.1.mlp.up_proj.weight"
    for wrong, word in ((tensors[name].T, "(16, 10)"), (tensors[name].astype(np.int32), "int32"), (None, "is missing")):
        changed = {key: value for key, value in {**tensors, name: wrong}.items() if value is not None}
        refused(their_folder(tmp_path, "llama", tensors=changed), name, word)
    half = {key: value.astype(np.float16) for key, value in tensors.items()}
    assert huggingface.read_folder(their_folder(tmp_path, "llama", tensors=half))[1]["wte.weight"].dtype == np.float32


def sharded(folder, family):
    """The model in two files; every third tensor is in the second."""
    their_folder(folder, family)
    (folder / "model.safetensors").unlink()
    tensors = by_formula(their_shapes(family))
    where = {name: f"model-0000{1 + (i % 3 == 0)}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for shard in set(where.values()):
        write_tensors(folder / shard, {name: tensors[name] for name in tensors if where[name] == shard})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return where


def test_sharded_folders(tmp_path):
    where = sharded(tmp_path / "shards", "llama")
    _, arrays = huggingface.read_folder(tmp_path / "shards")
    _, whole = huggingface.read_folder(their_folder(tmp_path / "whole", "llama"))
    assert all(np.array_equal(arrays[name], whole[name]) for name in whole)
    index = tmp_path / "shards" / "model.safetensors.index.json"
    first = next(iter(where))
    for change, word in (({"x": "../whole/model.safetensors"}, "not the name of a file"), ({first: "/etc/passwd"}, "not the name of a file"),
                         ({"x": where[first]}, "'x' is only in one of"), ({first: min(where.values())}, "is only in one of")):
        index.write_text(json.dumps({"weight_map": {**where, **change}}))
        refused(tmp_path / "shards", word)
    for content in ("[]", "{}", '{"weight_map": {"a": 1}}'):
        index.write_text(content)
        refused(tmp_path / "shards", "weight_map")
    index.write_text(json.dumps({"weight_map": where}))
    (tmp_path / "shards" / max(where.values())).unlink()
    refused(tmp_path / "shards", max(where.values()), error=FileNotFoundError)


def test_pickles_and_empty_folders_are_refused(tmp_path):
    refused(tmp_path / "none", "config.json", error=FileNotFoundError)
    their_folder(tmp_path, "gpt2")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    refused(tmp_path, "pytorch_model.bin is a pickle", "save_pretrained")
    (tmp_path / "pytorch_model.bin").unlink()
    refused(tmp_path, "model.safetensors", error=FileNotFoundError)


def test_truncated_and_damaged_weights_are_refused(tmp_path):
    huggingface.write_folder(tmp_path, *huggingface.read_folder(their_folder(tmp_path, "gpt2")))
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:-4])
    refused(tmp_path, "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 16]))
    refused(tmp_path, "checksum")


def test_half_precision_on_request(tmp_path):
    config, params = huggingface.read_folder(their_folder(tmp_path / "theirs", "gpt_neox"))
    huggingface.write_folder(tmp_path / "half", config, params, dtype="float16", metadata={"note": "small"})
    assert files.read_json(tmp_path / "half" / "config.json")["dtype"] == "float16"
    assert safetensors.read_metadata(tmp_path / "half" / "model.safetensors") == {"note": "small", "format": "pt"}
    assert {array.dtype for array in safetensors.load_file(tmp_path / "half" / "model.safetensors", widen=False).values()} == {np.dtype("f2")}
    _, read = huggingface.read_folder(tmp_path / "half")
    assert all(np.array_equal(read[name], params[name]) for name in params)             # multiples of 1/64 are exact in float16
    for wrong, word in (("float64", "dtype is 'float64'"), ("float16", "float16 ends at 65504")):
        with pytest.raises(ValueError, match=word):
            huggingface.write_folder(tmp_path / "none", config, {**params, "wte.weight": np.full((11, 8), 65536.0)}, dtype=wrong)
    assert not (tmp_path / "none").exists()


def test_wrong_parameters_are_not_written(tmp_path):
    config, params = huggingface.read_folder(their_folder(tmp_path / "theirs", "llama"))
    for change, word in (({"x.weight": np.ones(2)}, "'x.weight'"), ({"wte.weight": np.ones((11, 15))}, "wte.weight has shape")):
        with pytest.raises(ValueError, match=word):
            huggingface.write_folder(tmp_path / "none", config, {**params, **change})
    assert not (tmp_path / "none").exists()


def test_tokenizer_travels_with_the_model(tmp_path):
    tok = Tokenizer.train(["a story of a cat and a cap"], 264, template.SPECIAL_TOKENS)
    config = GPTConfig(tok.vocab_size + 3, 16, 1, 1, 4)
    params = Transformer(config).params
    huggingface.write_folder(tmp_path, config, params, tok)
    assert Tokenizer.load(tmp_path).encode("a cat") == tok.encode("a cat")
    end, stop = tok.special_tokens["<|endoftext|>"], tok.special_tokens["<|end|>"]
    assert files.read_json(tmp_path / "generation_config.json") == {"bos_token_id": end, "eos_token_id": [end, stop], "pad_token_id": end}
    assert files.read_json(tmp_path / "config.json")["eos_token_id"] == end
    assert files.read_json(tmp_path / "tokenizer_config.json")["model_max_length"] == 16
    assert (tmp_path / "chat_template.jinja").read_text("utf-8") == template.CHAT_TEMPLATE
    small = GPTConfig(tok.vocab_size - 1, 16, 1, 1, 4)
    with pytest.raises(ValueError, match="they are not a pair"):
        huggingface.write_folder(tmp_path / "none", small, Transformer(small).params, tok)
    assert not (tmp_path / "none").exists()


def test_a_model_of_other_origin_is_not_written_over(tmp_path, capsys):
    """Not by an export whose folders were exchanged; nor one that a script of the user's has saved: only what was converted can be again."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    their_folder(theirs, "gpt2")
    config = GPTConfig(60, 16, 1, 1, 4)
    huggingface.write_folder(ours, config, Transformer(config).params)
    before = {path.name: path.read_bytes() for path in theirs.iterdir()}
    GPT(config, seed=7).save_pretrained(tmp_path / "mine")
    for verb in ("export", "import"):
        for folder in (theirs, tmp_path / "mine"):
            assert main([verb, str(ours), "--out", str(folder)]) == 1
            assert "holds a model of other origin that would be overwritten" in capsys.readouterr().err
        assert main([verb, str(ours), "--out", str(tmp_path / "converted")]) == 0, "an earlier conversion is replaced"
    assert before == {path.name: path.read_bytes() for path in theirs.iterdir()}
    (theirs / "model.safetensors").unlink()
    assert main(["export", str(ours), "--out", str(theirs)]) == 1, "its config.json is left"
    for _ in range(2):
        assert main(["export", str(ours), "--out", str(tmp_path / "new")]) == 0


def test_a_model_without_a_tokenizer_does_not_inherit_the_one_that_lies_there(tmp_path, capsys):
    tok = Tokenizer.train(["a story of a cat and a cap"], 264, template.SPECIAL_TOKENS)
    config = GPTConfig(tok.vocab_size, 16, 1, 1, 4)
    huggingface.write_folder(tmp_path / "source", config, Transformer(config).params, tok)
    huggingface.write_folder(tmp_path / "without", config, Transformer(config).params)
    assert main(["import", str(tmp_path / "source"), "--out", str(tmp_path / "with")]) == 0
    assert main(["import", str(tmp_path / "without"), "--out", str(tmp_path / "with")]) == 1
    assert "holds a tokenizer" in capsys.readouterr().err
    for _ in range(2):
        assert main(["import", str(tmp_path / "without"), "--out", str(tmp_path / "new")]) == 0
    (tmp_path / "with" / "tokenizer.json").write_text("{}")
    assert main(["import", str(tmp_path / "with"), "--out", str(tmp_path / "bare")]) == 1
    assert "--no-tokenizer leaves it out" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "with"), "--no-tokenizer", "--out", str(tmp_path / "bare")]) == 0


def test_a_foreign_tokenizer_is_refused_before_the_model_is_enlarged(tmp_path, capsys):
    tok = Tokenizer.train(["a story of a cat and a cap"], 264, ["<|endoftext|>"])
    config = GPTConfig(tok.vocab_size - 3, 16, 1, 1, 4)
    huggingface.write_folder(tmp_path / "theirs", config, Transformer(config).params)
    tok.save(tmp_path / "theirs")
    for flags in ([], ["--chat"]):
        assert main(["import", str(tmp_path / "theirs"), *flags, "--out", str(tmp_path / "ours")]) == 1
        assert "they are not a pair" in capsys.readouterr().err


@pytest.mark.parametrize("tie, padded", [(True, 0), (False, 7)])
def test_a_model_from_elsewhere_can_be_taught_to_chat(tie, padded, tmp_path, capsys):
    """What it computed for its own tokens stays; the new tokens' rows are the mean of the others, and tuning can begin."""
    tok = Tokenizer.train(["a story of a cat and a cap"], 262, ["<|endoftext|>"])
    model = perturb(GPT(GPTConfig(tok.vocab_size + padded, 32, 1, 1, 8, tie=tie), backend="numpy"), np.random.default_rng(0))
    model.stop = {tok.special_tokens["<|endoftext|>"]}
    model.save_pretrained(tmp_path / "theirs", tok)
    assert main(["import", str(tmp_path / "theirs"), "--chat", "--out", str(tmp_path / "ours")]) == 0
    ours, kept = InstructGPT.from_pretrained(tmp_path / "ours", backend="numpy"), tok.vocab_size
    assert ours.tokenizer.vocab_size == kept + 4 and set(template.SPECIAL_TOKENS) <= set(ours.tokenizer.special_tokens)
    ids = np.array([tok.encode("a cat and a story")])
    logits = ours.model.forward(ids)[0][0]
    np.testing.assert_allclose(logits[:, :kept], model.forward(ids)[0][0][:, :kept], rtol=1e-6)
    np.testing.assert_allclose(logits[:, kept : kept + 4], logits[:, :kept].mean(axis=1, keepdims=True).repeat(4, 1), atol=1e-5)
    for name, asked in (("my", "a cat"), ("other", "cat")):
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": "a cap"}]
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"messages": messages}) + "\n", "utf-8")
    assert main(["sft", "--model", str(tmp_path / "ours"), "--instructions", str(tmp_path / "my.jsonl"), "--held-out", str(tmp_path / "other.jsonl"), "--replay", "0",
                 "--backend", "numpy", "--tokens", "640", "--batch-tokens", "32", "--eval-every", "5", "--out", str(tmp_path / "tuned")]) == 0
    losses = [entry["validation_loss"] for entry in read_log(tmp_path / "tuned") if "validation_loss" in entry]
    assert len(losses) == 4 and losses[-1] < losses[0]
    assert main(["import", str(tmp_path / "ours"), "--chat", "--out", str(tmp_path / "again")]) == 0, "they are there already"
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tmp_path / "ours" / "model.safetensors").read_bytes()


def test_find_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    shipped = tmp_path / "pretrained" / "small"
    shipped.parent.mkdir()
    their_folder(shipped, "gpt2")
    assert files.find_folder("small") == shipped and files.find_folder(shipped) == shipped
    (shipped.parent / "micro-base").mkdir()
    assert files.find_folder("base") == shipped.parent / "micro-base"
    assert GPTConfig.from_pretrained("small").n_embd == 8
    for wrong in ("smal", "../small", str(tmp_path / "none")):
        with pytest.raises(FileNotFoundError, match="these are: small"):
            files.find_folder(wrong)


def test_a_folder_names_the_ids_that_end_a_text(tmp_path):
    for name, value, expected in (("generation_config.json", [5, 7], {5, 7}), ("generation_config.json", 5, {5}), ("config.json", 3, {3}), ("config.json", None, set())):
        folder = tmp_path / f"{name}-{value}"
        folder.mkdir()
        files.write_json(folder / name, {"eos_token_id": value})
        assert huggingface.read_stop(folder) == expected
    files.write_json(folder / "config.json", {"eos_token_id": "x"})
    with pytest.raises(ValueError, match="eos_token_id"):
        huggingface.read_stop(folder)


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_the_ids_that_end_a_text_survive_being_saved(has_tokenizer, tmp_path):
    tok = Tokenizer.train(["a story of a cat and a cap"], 264, template.SPECIAL_TOKENS) if has_tokenizer else None
    model = GPT(GPTConfig(264, 16, 1, 1, 4), backend="numpy")
    model.stop = {7}
    model.save_pretrained(tmp_path / "one", tok)
    assert main(["import", str(tmp_path / "one"), "--out", str(tmp_path / "two")]) == 0
    ours = {tok.special_tokens[text] for text in ("<|endoftext|>", "<|end|>")} if has_tokenizer else set()
    for name in ("one", "two"):
        assert GPT.from_pretrained(tmp_path / name, backend="numpy").stop == {7} | ours


@pytest.mark.parametrize("value", [7, 1, "true"])
def test_only_true_and_false_are_true_and_false(value, tmp_path):
    their_folder(tmp_path, "gpt2", {"tie_word_embeddings": value})
    refused(tmp_path, "no possible tie")
