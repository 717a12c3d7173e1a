"""The fast backend's kernels: Numba twins of nn/ops.py under the same names and signatures."""
from minigpt.nn.kernels import activations, adamw, attention, cross_entropy, embedding, linear, muon, norms, rope

ALWAYS = (activations, adamw, attention, cross_entropy, embedding, muon, norms, rope)
MATMUL = {"blas": (), "numba": (linear,)}  # whose matrix products; BLAS is what NumPy's own definitions use


def twins(matmul="numba"):
    """-> dict of name -> function, laid over the definitions by nn/backend.py. matmul: "numba" | "blas"."""
    if matmul not in MATMUL:
        raise ValueError(f"matmul is {matmul!r}; choose one of {', '.join(MATMUL)}")
    return {name: function for module in ALWAYS + MATMUL[matmul] for name, function in vars(module).items()
            if name.endswith(("_forward", "_backward", "_update")) and not name.startswith("_")}
