"""The fast backend's kernels: Numba twins of nn/ops.py under the same names and signatures."""
from minigpt.nn.kernels import activations, adamw, attention, cross_entropy, embedding, norms, rope


def twins(matmul="blas"):
    """-> dict of name -> function, laid over the definitions by nn/backend.py. matmul: "blas" | "numba"."""
    modules = [activations, adamw, attention, cross_entropy, embedding, norms, rope]
    return {name: function for module in modules for name, function in vars(module).items()
            if name.endswith(("_forward", "_backward", "_update")) and not name.startswith("_")}
