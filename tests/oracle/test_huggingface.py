"""Our models beside transformers' own: logits, gradients, greedy text, and folders that go to and fro.

Weights have a standard deviation of 0.2, with random biases and gains: with transformers' initialisation a wrong number of
heads would change the logits by 8e-5 only.
"""
import math

import numpy as np
import pytest
from test_huggingface import CONFIGS, GOLDEN, PROMPT, load, their_folder

from minigpt import files
from minigpt.config import GPTConfig
from minigpt.interop import families, huggingface, safetensors
from minigpt.model import GPT
from minigpt.nn import losses
from minigpt.nn.gpt import Transformer
from minigpt.text import template
from minigpt.text.tokenizer import Tokenizer

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

SHAPES = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 97, "n_positions": 40, "n_embd": 48, "n_layer": 3, "n_head": 4},
    "gpt2 erf, untied": {"model_type": "gpt2", "vocab_size": 97, "n_positions": 40, "n_embd": 40, "n_layer": 2, "n_head": 5, "n_inner": 56,
                         "activation_function": "gelu", "tie_word_embeddings": False, "layer_norm_epsilon": 1e-3},
    "gpt_neox": {"model_type": "gpt_neox", "vocab_size": 97, "max_position_embeddings": 40, "hidden_size": 48, "num_hidden_layers": 3,
                 "num_attention_heads": 4, "intermediate_size": 192, "hidden_act": "gelu_new", "use_parallel_residual": False,
                 "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0},
                 "tie_word_embeddings": True},
    "gpt_neox erf, untied": {"model_type": "gpt_neox", "vocab_size": 97, "max_position_embeddings": 40, "hidden_size": 40,
                             "num_hidden_layers": 2, "num_attention_heads": 5, "intermediate_size": 56, "hidden_act": "gelu",
                             "use_parallel_residual": False, "tie_word_embeddings": False,
                             "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 1.0}},
    "llama": {"model_type": "llama", "vocab_size": 97, "max_position_embeddings": 40, "hidden_size": 48, "num_hidden_layers": 3,
              "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 64},
    "llama tied, biases": {"model_type": "llama", "vocab_size": 97, "max_position_embeddings": 40, "hidden_size": 40,
                           "num_hidden_layers": 2, "num_attention_heads": 5, "intermediate_size": 56, "tie_word_embeddings": True,
                           "attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-3,
                           "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
}


def their_model(shape, seed=0):
    """A model of transformers with weights, biases and gains that hide no mistake, and without dropout."""
    shape = {"bos_token_id": None, "eos_token_id": None, **shape}
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(**shape)).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0, 0.2)
    return model


def in_double(model):
    """model.double() still rounds to float32 in two places of transformers: the rotary angles and RMSNorm. Not here."""
    model = model.double()
    for module in model.modules():
        if hasattr(module, "inv_freq"):
            theta, half = model.config.rope_parameters["rope_theta"], len(module.inv_freq)
            inverse = torch.tensor([theta ** (-i / half) for i in range(half)], dtype=torch.float64)

            def rotary(x, position_ids, inverse=inverse):
                angles = (position_ids[..., None].double() * inverse).repeat(1, 1, 2)
                return angles.cos(), angles.sin()
            module.forward = rotary
        if type(module).__name__ == "LlamaRMSNorm":
            module.forward = lambda x, m=module: m.weight * x * (x.pow(2).mean(-1, keepdim=True) + m.variance_epsilon).rsqrt()
    return model


def some_ids(shape, V=97, seed=1):
    return np.random.default_rng(seed).integers(0, V, shape)


def their_logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor(ids)).logits.numpy()


def agree(ours, theirs, tolerance):
    return np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("family", CONFIGS)
def test_golden_numbers_are_the_librarys(tmp_path, family):
    model = transformers.AutoModelForCausalLM.from_pretrained(their_folder(tmp_path, family), dtype=torch.float32)
    assert np.abs(their_logits(in_double(model), PROMPT)[:, -1] - GOLDEN[family]).max() < 6e-9


@pytest.mark.parametrize("backend", ["numpy", "fast"])
@pytest.mark.parametrize("shape", SHAPES)
def test_logits(tmp_path, shape, backend):
    theirs, ids = their_model(SHAPES[shape]), some_ids((3, 33))
    theirs.save_pretrained(tmp_path)
    expected = their_logits(theirs, ids)
    assert np.abs(expected).max() > 1
    assert agree(load(tmp_path, backend=backend).forward(ids)[0], expected, 1e-5)
    assert agree(load(tmp_path, backend=backend, dtype="float64").forward(ids)[0], their_logits(in_double(theirs), ids), 1e-10)


@pytest.mark.parametrize("backend", ["numpy", "fast"])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients(tmp_path, shape, dtype, tolerance, backend):
    """Relative to each tensor's largest gradient."""
    theirs, ids = their_model(SHAPES[shape]), some_ids((3, 34))
    theirs.save_pretrained(tmp_path)
    theirs = in_double(theirs) if dtype == "float64" else theirs
    x, y = torch.tensor(ids[:, :-1]), torch.tensor(ids[:, 1:])
    torch.nn.functional.cross_entropy(theirs(x).logits.flatten(0, 1), y.flatten()).backward()
    grads = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}

    ours = load(tmp_path, backend=backend, dtype=dtype)
    logits, cache = ours.forward(ids[:, :-1])
    ours.backward(losses.cross_entropy(logits, ids[:, 1:])[1], cache)
    family = families.FAMILIES[SHAPES[shape]["model_type"]]
    for name in ours.params:
        parts = [grads[theirs if theirs in grads else "lm_head.weight"] for theirs in families.their_names(family, name)]
        expected = families.to_ours(family, ours.config, name, parts)
        assert np.abs(ours.grads[name] - expected).max() <= tolerance * np.abs(expected).max(), name


@pytest.mark.parametrize("shape", SHAPES)
def test_30_greedy_tokens(tmp_path, shape):
    theirs, ids = their_model(SHAPES[shape]), some_ids((2, 6))
    theirs.save_pretrained(tmp_path)
    expected = theirs.generate(torch.tensor(ids), max_new_tokens=30, do_sample=False, pad_token_id=0).numpy()
    for backend in ("numpy", "fast"):
        ours = GPT.from_pretrained(tmp_path, backend=backend).generate(ids, max_new_tokens=30, temperature=0.0)
        np.testing.assert_array_equal(ours, expected)


OURS = {"gpt2": GPTConfig(97, 40, 3, 4, 48, n_inner=72, mlp="gelu_erf", norm_eps=1e-4, tie=False, dropout=0.1),
        "gpt_neox": GPTConfig(97, 40, 3, 4, 48, position="rope", rope_theta=300.0),
        "llama": GPTConfig(97, 40, 3, 6, 48, 3, norm="rmsnorm", mlp="swiglu", position="rope", bias=False, norm_eps=1e-4)}


@pytest.mark.parametrize("family", OURS)
def test_transformers_reads_ours_and_gives_it_back(tmp_path, family):
    model, ids = Transformer(OURS[family], backend="numpy"), some_ids((2, 29))
    model.params.flat[:] = np.random.default_rng(3).normal(0.0, 0.2, model.params.flat.size)
    huggingface.write_folder(tmp_path / "ours", model.config, model.params)
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert type(theirs).__name__ == families.FAMILIES[family].architecture and not any(info.values())
    assert agree(model.forward(ids)[0], their_logits(theirs.eval(), ids), 1e-5)
    theirs.save_pretrained(tmp_path / "theirs")
    config, params = huggingface.read_folder(tmp_path / "theirs")
    huggingface.write_folder(tmp_path / "again", config, params)
    first, again = tmp_path / "ours" / "model.safetensors", tmp_path / "again" / "model.safetensors"
    assert again.read_bytes() == first.read_bytes()
    assert files.read_json(tmp_path / "again" / "config.json") == files.read_json(tmp_path / "ours" / "config.json")


def test_shards_and_half_precision_of_transformers(tmp_path):
    for number, dtype in enumerate((torch.float32, torch.float16, torch.bfloat16)):
        theirs = their_model(SHAPES["llama"]).to(dtype)
        theirs.save_pretrained(tmp_path / str(number), max_shard_size="60KB")
        assert (tmp_path / str(number) / "model.safetensors.index.json").exists()
        _, params = huggingface.read_folder(tmp_path / str(number))
        for name in ("embed_tokens.weight", "norm.weight"):
            ours = {"embed_tokens.weight": "wte.weight", "norm.weight": "ln_f.weight"}[name]
            np.testing.assert_array_equal(params[ours], theirs.state_dict()[f"model.{name}"].float().numpy())


def test_parallel_residuals_and_partial_rotation_are_refused(tmp_path):
    """As in the Pythia models, whose config.json has the old names."""
    theirs = their_model({**SHAPES["gpt_neox"], "use_parallel_residual": True})
    theirs.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="use_parallel_residual is True"):
        huggingface.read_folder(tmp_path)


def test_a_whole_folder_with_tokenizer(tmp_path):
    """transformers takes tokenizer, template, special ids and model from the folder and answers with the same tokens."""
    tok = Tokenizer.train(["The cat sat. 猫坐着。 The cap is red. " * 3], 290, template.SPECIAL_TOKENS, split="han")
    model = GPT(GPTConfig(tok.vocab_size, 64, 2, 2, 16, position="rope"))
    model.params.flat[:] = np.random.default_rng(4).normal(0.0, 0.2, model.params.flat.size)
    model.save_pretrained(tmp_path, tok)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    their_tok = transformers.AutoTokenizer.from_pretrained(tmp_path)
    chat = [{"role": "user", "content": "Is the cat red? 猫"}]
    ids, _ = template.render(chat, tok, add_generation_prompt=True)
    assert their_tok.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) == ids
    stops = theirs.generation_config.eos_token_id
    assert stops == [tok.special_tokens["<|endoftext|>"], tok.special_tokens["<|end|>"]]
    expected = theirs.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False).numpy()
    np.testing.assert_array_equal(model.generate([ids], 20, stop=stops, temperature=0.0), expected)


@pytest.mark.slow
def test_the_shape_of_gpt2_small(tmp_path):
    """124 million parameters, the whole context. With weights of 0.2 at this width the attention is all or nothing, and
    transformers' own float32 is 1e-3 away from its float64: float64 then, and float32 with matrices as in the tests above."""
    theirs = their_model({"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12})
    ids = some_ids((1, 1024), V=50257)
    theirs.save_pretrained(tmp_path)
    assert agree(load(tmp_path, dtype="float64").forward(ids)[0], their_logits(in_double(theirs), ids), 1e-10)
    theirs = theirs.float()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.ndim == 2 and ".h." in name:
                parameter *= math.sqrt(48 / 768)
    theirs.save_pretrained(tmp_path)
    assert agree(load(tmp_path).forward(ids)[0], their_logits(theirs, ids), 2e-5)
    huggingface.write_folder(tmp_path / "again", *huggingface.read_folder(tmp_path))
    ours, expected = (safetensors.load_file(folder / "model.safetensors") for folder in (tmp_path / "again", tmp_path))
    assert set(ours) == set(expected) and all(np.array_equal(ours[name], expected[name]) for name in ours)
