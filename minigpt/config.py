"""Every setting of the project: frozen dataclasses, presets, and the command-line flags made from their fields."""
import argparse
import dataclasses
import math
import numbers
from dataclasses import dataclass, field

from minigpt.files import find_folder


def setting(default, help, paper=None, choices=None, holds=None):
    """One field: its default, what it means, the value in the InstructGPT or GPT-3 paper where it has one, and what else it may be.

    choices: a few texts. holds: a number's range, as a test and its words.
    """
    return field(default=default, metadata={"help": help, "paper": paper, "choices": choices and list(choices), "holds": holds})


def _between(low, high):
    """The range of a number, both ends included."""
    return lambda value: low <= value <= high, f"at least {low} and at most {high}"


LEAST = 1e-30  # of what keeps a division from one by 0: float32 would take much smaller numbers for 0
COUNT, WORKERS = _between(1, 2**53), _between(0, 1024)
FRACTION, BELOW_ONE = _between(0, 1), (lambda value: 0 <= value < 1, "in [0, 1)")
POSITIVE = (lambda value: 0 < value < math.inf, "a number above 0")
NOT_NEGATIVE = (lambda value: 0 <= value < math.inf, "a finite number, 0 or more")
# Whatever is larger is a mistake in a flag or in someone's config.json, and would ask for more memory than there is.
TOKENS, HEADS, WIDTH = _between(1, 2**20), _between(1, 2**10), _between(1, 2**24)

KINDS = {bool: ("True or False", bool), str: ("a text", str), float: ("a number", numbers.Real), int: ("a whole number", numbers.Integral)}


def _kind(item):
    """A field that may hold a type or None -> the type"""
    return next(kind for kind in KINDS if item.type in (kind, kind | None))


def _check(config):
    """ValueError for a field that is not of its type, choices or range; a whole number may stand for a float. NumPy's numbers become Python's."""
    for item in dataclasses.fields(config):
        value, kind = getattr(config, item.name), _kind(item)
        words, welcome = KINDS[kind]
        choices, (fits, range_words) = item.metadata["choices"], item.metadata["holds"] or (lambda value: True, "")
        if value is None and item.type == kind | None:
            continue
        if not (isinstance(value, welcome) and isinstance(value, bool) == (kind is bool)):
            raise ValueError(f"{item.name} is {value!r}; it must be {words}")
        if choices and value not in choices:
            raise ValueError(f"{item.name} is {value!r}; choose one of {', '.join(choices)}")
        if not fits(value):
            raise ValueError(f"{item.name} is {value}; it must be {range_words}")
        if kind in (int, float):
            object.__setattr__(config, item.name, kind(value))  # NumPy's cannot be saved as JSON, and its float64 widens a float32 update


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. Its defaults are GPT-2's architecture at a laptop's size."""

    vocab_size: int = setting(2048, "number of tokens", paper="50257", holds=WIDTH)
    block_size: int = setting(256, "longest context in tokens", paper="2048", holds=TOKENS)
    n_layer: int = setting(4, "number of blocks", paper="96", holds=HEADS)
    n_head: int = setting(4, "query heads per block", paper="96", holds=HEADS)
    n_embd: int = setting(128, "width in channels", paper="12288", holds=WIDTH)
    n_kv_head: int | None = setting(None, "key/value heads per block; None: as many as query heads", holds=HEADS)
    n_inner: int | None = setting(None, "width of the MLP; None: 4 n_embd, or 8/3 n_embd for swiglu", paper="4 n_embd", holds=WIDTH)
    norm: str = setting("layernorm", "normalisation", paper="layernorm", choices=("layernorm", "rmsnorm"))
    mlp: str = setting("gelu", "feed-forward layer", paper="gelu", choices=("gelu", "gelu_erf", "swiglu"))
    position: str = setting("learned", "how positions enter", paper="learned", choices=("learned", "sinusoidal", "rope", "alibi"))
    bias: bool = setting(True, "biases in linear layers and layernorm", paper="yes")
    tie: bool = setting(True, "the output layer shares the token embedding", paper="yes")
    dropout: float = setting(0.0, "probability of dropping a channel on the residual path", paper="0 (tuning 0.2)", holds=BELOW_ONE)
    norm_eps: float = setting(1e-5, "added to the variance in the normalisation", paper="1e-5", holds=_between(LEAST, 1))
    rope_theta: float = setting(10000.0, "base of the rotary wavelengths", holds=POSITIVE)

    def __post_init__(self):
        _check(self)
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd is {self.n_embd}, not a multiple of n_head {self.n_head}; change one of them")
        if self.n_head % self.kv_heads:
            raise ValueError(f"n_kv_head is {self.n_kv_head}; it must divide n_head {self.n_head}")
        if self.position == "rope" and self.head_size % 2:
            raise ValueError(f"head size {self.head_size} is odd; rope turns channels in pairs: change n_embd or n_head")
        if self.position == "sinusoidal" and self.n_embd % 2:
            raise ValueError(f"n_embd is {self.n_embd}; sinusoidal positions need an even width")

    @classmethod
    def choices(cls, name):
        """The values that a field may have: a list, to which a new norm or position scheme appends its name (lessons/recipes)."""
        return cls.__dataclass_fields__[name].metadata["choices"]

    @property
    def head_size(self):
        """Channels per head."""
        return self.n_embd // self.n_head

    @property
    def kv_heads(self):
        """Key/value heads per block: n_kv_head, or as many as query heads."""
        return self.n_head if self.n_kv_head is None else self.n_kv_head

    @property
    def inner(self):
        """Width of the MLP; SwiGLU has three matrices instead of two, so 8/3 keeps the parameter count."""
        if self.n_inner is not None:
            return self.n_inner
        return max(8, 8 * (8 * self.n_embd // 3 // 8)) if self.mlp == "swiglu" else 4 * self.n_embd

    @classmethod
    def from_pretrained(cls, name_or_folder):
        """The configuration of a shipped checkpoint ("micro") or of any model folder."""
        from minigpt.interop import huggingface  # the folder format lives one room up

        return huggingface.read_config(find_folder(name_or_folder))


@dataclass(frozen=True)
class TrainConfig:
    """One training run. The defaults are the pretraining recipe; `SFT` below changes what differs for tuning."""

    tokens: int = setting(1_700_000, "tokens to train on in total", paper="300 G (GPT-3), then 13 k prompts of demonstrations", holds=COUNT)
    batch_tokens: int = setting(1024, "tokens per optimizer step", paper="3.2 M", holds=COUNT)
    optimizer: str = setting("muon", "muon: matrices by Muon, the rest by AdamW", paper="adam", choices=("adamw", "muon"))
    lr: float = setting(4e-3, "peak learning rate of AdamW", paper="6e-5 (tuning 5.03e-6)", holds=NOT_NEGATIVE)
    muon_lr: float = setting(0.01, "peak learning rate of Muon", holds=NOT_NEGATIVE)
    schedule: str = setting("linear", "shape of the decay", paper="cosine", choices=("linear", "cosine"))
    warmup: float = setting(0.02, "fraction of the steps with a rising learning rate", holds=FRACTION)
    flat: float = setting(0.6, "fraction of the steps after which a linear decay begins", paper="0", holds=FRACTION)
    final_lr: float = setting(0.05, "learning rate at the end, as a fraction of the peak", paper="0.1", holds=FRACTION)
    beta1: float = setting(0.9, "AdamW's decay of the mean", paper="0.9", holds=BELOW_ONE)
    beta2: float = setting(0.95, "AdamW's decay of the variance", paper="0.95",
                           holds=(lambda value: 0.001 <= value < 1, "in [0.001, 1)"))  # below, rounding eats the new variance
    eps: float = setting(1e-8, "AdamW's guard against division by zero", paper="1e-8", holds=(lambda value: LEAST <= value < math.inf, f"a number, at least {LEAST}"))
    weight_decay: float = setting(0.1, "decoupled decay of matrices", paper="0.1", holds=NOT_NEGATIVE)
    clip: float = setting(1.0, "largest norm of the whole gradient; 0: none", paper="1.0", holds=NOT_NEGATIVE)
    replay: float = setting(0.25, "tuning only: fraction of each batch that is pretraining text", paper="PPO-ptx", holds=BELOW_ONE)
    seed: int = setting(0, "seed of the weights, the data and the dropout", holds=NOT_NEGATIVE)
    shards: int = setting(0, "pieces of each batch whose gradients are added in order; 0: one per core, 2 to 4; above 20 M parameters 2", holds=WORKERS)
    workers: int = setting(0, "threads that process shards; 0: one per core (results do not depend on it)", holds=WORKERS)
    eval_every: int = setting(250, "steps between evaluations on held-out text", holds=COUNT)
    save_every: int = setting(500, "steps between checkpoints", holds=COUNT)

    __post_init__ = _check

    @property
    def steps(self):
        """Optimizer steps of the run, at least one."""
        return max(1, self.tokens // self.batch_tokens)


@dataclass(frozen=True)
class SampleConfig:
    """How the next token is drawn from the logits."""

    max_new_tokens: int = setting(64, "longest continuation in tokens", holds=NOT_NEGATIVE)
    temperature: float = setting(1.0, "logits are divided by it; 0: always the likeliest token", paper="0 to 1", holds=NOT_NEGATIVE)
    top_k: int = setting(0, "keep only the k likeliest tokens; 0: all", holds=NOT_NEGATIVE)
    top_p: float = setting(1.0, "keep the smallest set of tokens with this much probability", holds=(lambda value: 0 < value <= 1, "above 0 and at most 1"))
    min_p: float = setting(0.0, "keep tokens with at least this fraction of the likeliest one's probability", holds=FRACTION)
    repetition_penalty: float = setting(1.0, "divide the positive logits of tokens already present, multiply the negative ones", holds=POSITIVE)
    seed: int | None = setting(None, "seed of the draws; None: a new one each time", holds=NOT_NEGATIVE)

    __post_init__ = _check


# Sizes of our own models (rotary positions, otherwise GPT-2's body); `micro` is what `make` trains.
PRESETS = {
    "nano": GPTConfig(n_layer=2, n_head=2, n_embd=32, position="rope"),
    "tiny": GPTConfig(n_layer=4, n_head=4, n_embd=80, position="rope"),
    "micro": GPTConfig(n_layer=4, n_head=4, n_embd=128, position="rope"),
    "mini": GPTConfig(n_layer=6, n_head=7, n_embd=224, position="rope"),
}
# The same sizes in another family's shape.
ARCHITECTURES = {
    "default": {},
    "gpt2": {"position": "learned"},
    "llama": {"norm": "rmsnorm", "mlp": "swiglu", "bias": False},
}
PRETRAIN = TrainConfig()
SFT = TrainConfig(tokens=3_300_000, lr=2e-3, muon_lr=0.005, eval_every=500)
ANSWER = SampleConfig(temperature=0.0, max_new_tokens=104)  # how instructions are answered; the longest story has 93 tokens


def add_flags(parser, defaults, skip=()):
    """One `--flag` per field of a config dataclass; its help shows our value beside the paper's."""
    for item in dataclasses.fields(defaults):
        if item.name in skip:
            continue
        value = getattr(defaults, item.name)
        note = f"{item.metadata['help']} (default {value}" + (f"; paper: {item.metadata['paper']})" if item.metadata["paper"] else ")")
        flag = "--" + item.name.replace("_", "-")
        if isinstance(value, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=note)
        else:
            kind = _kind(item)
            parser.add_argument(flag, type=kind, default=None, choices=item.metadata["choices"],
                                metavar=None if item.metadata["choices"] else kind.__name__.upper(), help=note.replace("%", "%%"))


def check_least(arguments, **least):
    """ValueError for a flag, by the name of its value, that was given and lies below the least that it may be."""
    for name, smallest in least.items():
        value = getattr(arguments, name, None)
        if value is not None and value < smallest:
            flag = ("-" if len(name) == 1 else "--") + name.replace("_", "-")
            raise ValueError(f"{flag} is {value}; it must be {f'at least {smallest}' if smallest else '0 or more'}")


def from_flags(defaults, arguments):
    """The dataclass `defaults` with every flag that was given on the command line put in."""
    given = {item.name: getattr(arguments, item.name, None) for item in dataclasses.fields(defaults)}
    return dataclasses.replace(defaults, **{name: value for name, value in given.items() if value is not None})
