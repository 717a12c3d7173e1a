"""The dictionary between our models and those of transformers: what a setting and a tensor are called there, and how they lie.

Three of its families do exactly what a model of ours can do: GPT-2 (learned positions), GPT-NeoX without parallel residuals
(the same body with rotary positions: our presets) and Llama (RMSNorm, SwiGLU, rotary, grouped queries). Every other mix is a
"minigpt" model, written in our own words.
"""
import dataclasses
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field

import numpy as np

from minigpt.config import GPTConfig
from minigpt.files import short

REQUIRED = MISSING                      # transformers guesses a missing number of heads or layers; we do not
LIMIT = 2**24                           # no whole number in a config.json can be larger and true
GELUS = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_erf"}
SIZES = {"vocab_size": ("vocab_size", REQUIRED), "block_size": ("max_position_embeddings", REQUIRED),
         "n_embd": ("hidden_size", REQUIRED), "n_layer": ("num_hidden_layers", REQUIRED),
         "n_head": ("num_attention_heads", REQUIRED), "n_inner": ("intermediate_size", REQUIRED)}
GPT2_BODY = {"norm": ("layernorm",), "mlp": ("gelu", "gelu_erf"), "bias": (True,), "n_kv_head": (None,)}
ROPE = {"rope_theta": ("rope_theta", 10000.0)}
ROTARY = {"rope_theta": ("rotary_emb_base", "rope_theta"), "partial_rotary_factor": ("rotary_pct", "partial_rotary_factor")}  # GPT-NeoX's name, the others'


@dataclass(frozen=True)
class Family:
    """One model_type of config.json."""

    architecture: str                   # the class in transformers
    fields: dict                        # our field -> (their key, its value if missing, or REQUIRED)
    shape: dict = field(default_factory=dict)            # our field -> the values that the family can have
    words: dict = field(default_factory=dict)            # their word for an activation -> our mlp
    fixed: Callable = lambda config: {}                  # config -> {their key: (the value that we compute, the one if missing)}
    also: Callable = lambda config: {}                   # config -> {their key: value}, only written: for training and old versions
    prefix: str = ""                    # of all tensors but the output layer's
    stem: str = "h"                     # of a block's tensors
    modules: dict = field(default_factory=dict)          # our module -> theirs, where they differ
    head: str = "lm_head"
    transposed: bool = False            # linear weights are (out, in) instead of (in, out)
    layout: str = "ours"                # of queries, keys and values: "ours", "per head" (q, k, v of each head) or "separate"
    ignored: str = "(?!)"               # pattern of constants that old files carry


FAMILIES = {
    "gpt2": Family(
        "GPT2LMHeadModel", prefix="transformer.", ignored=r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",
        shape=GPT2_BODY | {"position": ("learned",)},
        fields={name: (name, REQUIRED) for name in ("vocab_size", "n_embd", "n_layer", "n_head")} | {
            "block_size": ("n_positions", REQUIRED), "n_inner": ("n_inner", None), "mlp": ("activation_function", "gelu_new"),
            "tie": ("tie_word_embeddings", True), "dropout": ("resid_pdrop", 0.1), "norm_eps": ("layer_norm_epsilon", 1e-5)},
        words=GELUS,
        fixed=lambda config: {"scale_attn_weights": (True, True), "scale_attn_by_inverse_layer_idx": (False, False),
                              "add_cross_attention": (False, False)},
        also=lambda config: {"embd_pdrop": config.dropout, "attn_pdrop": 0.0}),
    "gpt_neox": Family(
        "GPTNeoXForCausalLM", prefix="gpt_neox.", stem="layers", head="embed_out", transposed=True, layout="per head",
        ignored=r"gpt_neox\.layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",
        shape=GPT2_BODY | {"position": ("rope",)},
        fields=SIZES | ROPE | {"mlp": ("hidden_act", "gelu"), "tie": ("tie_word_embeddings", False),
                               "dropout": ("hidden_dropout", 0.0), "norm_eps": ("layer_norm_eps", 1e-5)},
        words=GELUS,
        fixed=lambda config: {"use_parallel_residual": (False, True), "attention_bias": (True, True),
                              "rope_type": ("default", "default"), "partial_rotary_factor": (1.0, 0.25)},
        also=lambda config: {"attention_dropout": 0.0, "rotary_pct": 1.0, "rotary_emb_base": config.rope_theta},
        modules={"wte": ["embed_in"], "ln_f": ["final_layer_norm"], "ln_1": ["input_layernorm"],
                 "ln_2": ["post_attention_layernorm"], "attn.c_attn": ["attention.query_key_value"],
                 "attn.c_proj": ["attention.dense"],
                 "mlp.c_fc": ["mlp.dense_h_to_4h"], "mlp.c_proj": ["mlp.dense_4h_to_h"]}),
    "llama": Family(
        "LlamaForCausalLM", prefix="model.", stem="layers", transposed=True, layout="separate",
        ignored=r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
        shape={"norm": ("rmsnorm",), "mlp": ("swiglu",), "position": ("rope",)},
        fields=SIZES | ROPE | {"n_kv_head": ("num_key_value_heads", None), "mlp": ("hidden_act", "silu"),
                               "bias": ("attention_bias", False), "tie": ("tie_word_embeddings", False),
                               "norm_eps": ("rms_norm_eps", 1e-6)},
        words={"silu": "swiglu", "swish": "swiglu"},
        fixed=lambda config: {"mlp_bias": (config.bias, False), "head_dim": (config.head_size, config.head_size),
                              "rope_type": ("default", "default"), "partial_rotary_factor": (1.0, 1.0)},
        also=lambda config: {"attention_dropout": 0.0},
        modules={"wte": ["embed_tokens"], "ln_f": ["norm"], "ln_1": ["input_layernorm"], "ln_2": ["post_attention_layernorm"],
                 "attn.c_attn": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                 "attn.c_proj": ["self_attn.o_proj"],
                 "mlp.c_gate": ["mlp.gate_proj"], "mlp.c_fc": ["mlp.up_proj"], "mlp.c_proj": ["mlp.down_proj"]}),
    "minigpt": Family("minigpt.GPT", {item.name: (item.name, REQUIRED if type(item.default) is int else item.default)
                                      for item in dataclasses.fields(GPTConfig)}),
}


def family_of(config, portable=False):
    """config -> the name of the family that the model belongs to; portable=True: ValueError where transformers has none."""
    plain = _plain(config)
    misfits = {name: [f"{key} {' or '.join(map(str, values))} instead of {getattr(plain, key)}"
                      for key, values in family.shape.items() if getattr(plain, key) not in values]
               for name, family in FAMILIES.items() if name != "minigpt"}
    nearest = min(misfits, key=lambda name: len(misfits[name]))
    if not misfits[nearest]:
        return nearest
    if portable:
        raise ValueError(f"transformers has no model of this shape: {nearest} would need {', '.join(misfits[nearest])}")
    return "minigpt"


def to_json(config):
    """config -> the settings of its family's config.json, without ids of special tokens."""
    name = family_of(config)
    family = FAMILIES[name]
    data = {"model_type": name, "architectures": [family.architecture]}
    for ours, (theirs, _) in family.fields.items():
        data[theirs] = getattr(config, ours)
    if family.words:
        key = family.fields["mlp"][0]
        data[key] = next(word for word, mlp in family.words.items() if mlp == config.mlp)
    if "intermediate_size" in data:
        data["intermediate_size"] = config.inner
    if "num_key_value_heads" in data:
        data["num_key_value_heads"] = config.kv_heads
    data |= {key: value for key, (value, _) in family.fixed(config).items()} | family.also(config)
    if "rope_type" in data:                             # nested since transformers 5, beside where older versions look
        data["rope_parameters"] = {"rope_type": data.pop("rope_type"), "rope_theta": data["rope_theta"],
                                   "partial_rotary_factor": data.pop("partial_rotary_factor")}
    read_back = from_json(data)                         # what the family has no key for goes under a key of our own
    return data | {f"minigpt_{item.name}": getattr(config, item.name) for item in dataclasses.fields(config)
                   if getattr(config, item.name) != getattr(read_back, item.name)}


def from_json(data):
    """The content of a config.json -> GPTConfig. ValueError names what is missing, or what we would compute differently."""
    model_type = data.get("model_type") if isinstance(data, dict) else None
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(f"model_type is {short(model_type)}, known are {', '.join(FAMILIES)}")
    family, data = FAMILIES[model_type], _flat_rope(data)
    values = {ours: allowed[0] for ours, allowed in family.shape.items()}
    for ours, (theirs, default) in family.fields.items():
        value = data.get(theirs, default)
        if value is REQUIRED:
            raise ValueError(f"{theirs} is missing")
        if ours == "mlp" and family.words:
            if not isinstance(value, str) or value not in family.words:
                raise ValueError(f"{theirs} is {short(value)}, supported are {', '.join(family.words)}")
            value = family.words[value]
        values[ours] = _typed(ours, theirs, value)
    config = _plain(GPTConfig(**values))
    for key, (needed, default) in family.fixed(config).items():
        value = default if data.get(key) is None else data[key]
        if value != needed:
            raise ValueError(f"{key} is {short(value)}{'' if key in data else ', because it is missing'}; supported is only {needed!r}")
    own = {item.name: _typed(item.name, f"minigpt_{item.name}", data[f"minigpt_{item.name}"])
           for item in dataclasses.fields(config) if f"minigpt_{item.name}" in data}
    return dataclasses.replace(config, **own)


def their_names(family, name):
    """Our tensor's name -> their tensors that hold it: Llama's for h.0.mlp.c_fc.bias are [model.layers.0.mlp.up_proj.bias]."""
    layer, module, kind = re.fullmatch(r"(?:h\.(\d+)\.)?(.+)\.(\w+)", name).groups()
    if module == "lm_head":
        return [f"{family.head}.{kind}"]
    stem = family.prefix if layer is None else f"{family.prefix}{family.stem}.{layer}."
    return [f"{stem}{theirs}.{kind}" for theirs in family.modules.get(module, [module])]


def to_theirs(family, config, name, array):
    """Our tensor -> theirs, as views where possible, in the order of `their_names`."""
    parts = [array]
    if ".c_attn." in name and family.layout == "per head":
        parts = [_swap_groups(array, 3, config.n_head)]                  # (..., 3 H D) -> (..., H 3 D)
    if ".c_attn." in name and family.layout == "separate":
        kv = config.kv_heads * config.head_size
        parts = np.split(array, [config.n_embd, config.n_embd + kv], axis=-1)      # (..., C), (..., K D), (..., K D)
    return [part.T if _is_transposed(family, name) else part for part in parts]


def to_ours(family, config, name, parts):
    """The inverse of `to_theirs`: their tensors -> ours."""
    parts = [part.T if _is_transposed(family, name) else part for part in parts]
    if ".c_attn." in name and family.layout == "per head":
        return _swap_groups(parts[0], config.n_head, 3)                  # (..., H 3 D) -> (..., 3 H D)
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def their_shapes(family, config, shapes):
    """{our name: shape} -> {our name: {their name: shape}}. Asks for no memory, however large the shapes are."""
    zero = np.zeros((), np.uint8)
    return {name: dict(zip(their_names(family, name),
                           [part.shape for part in to_theirs(family, config, name, np.broadcast_to(zero, shape))]))
            for name, shape in shapes.items()}


def _is_transposed(family, name):
    return family.transposed and ".c_" in name          # a bias is its own transpose


def _swap_groups(array, a, b):
    """(..., a b D) -> (..., b a D)"""
    return array.reshape(*array.shape[:-1], a, b, -1).swapaxes(-3, -2).reshape(array.shape)


def _flat_rope(data):
    """config.json with the rotary settings at the top, from wherever this version of transformers keeps them.

    Each family reads only its own names there; ValueError where another family's name stands for something else.
    """
    nested = data.get("rope_scaling") or data.get("rope_parameters") or {}  # in the order of transformers
    if not isinstance(nested, dict):
        raise ValueError(f"rope_parameters is {short(nested)}, it must be an object")
    read, unread = (0, 1) if data["model_type"] == "gpt_neox" else (1, 0)
    at_top = {key: data[names[read]] for key, names in ROTARY.items() if data.get(names[read]) is not None}
    rotary = {"rope_type": nested.get("type")} | at_top | nested
    for key, names in ROTARY.items():
        value = data.get(names[unread])
        if value is not None and value != rotary.get(key):
            raise ValueError(f"{names[unread]} is {short(value)} and {names[read]} {short(rotary.get(key))}; remove the wrong one")
    return {key: value for key, value in data.items() if key not in ROTARY} | {key: value for key, value in rotary.items() if value is not None}


def _plain(config):
    """The same model with None where a number says what None would."""
    if config.n_kv_head == config.n_head:
        config = dataclasses.replace(config, n_kv_head=None)
    if config.inner == dataclasses.replace(config, n_inner=None).inner:
        config = dataclasses.replace(config, n_inner=None)
    return config


def _typed(ours, theirs, value):
    """The value if it has its field's type and a possible size; JSON's 1, 1.0 and true are not the same here."""
    kind = next(item.type for item in dataclasses.fields(GPTConfig) if item.name == ours)
    if kind is float and type(value) is int and abs(value) <= 2**53:  # a float can hold it
        value = float(value)
    right = type(value) is bool if kind is bool else isinstance(value, kind) and type(value) is not bool
    if not right or type(value) is int and not 0 < value <= LIMIT:
        raise ValueError(f"{theirs} is {short(value)}, which is no possible {ours}")
    return value
