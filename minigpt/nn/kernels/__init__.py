"""The fast backend's kernels: Numba twins of nn/ops.py under the same names and signatures."""
from minigpt.nn.kernels import attention, cross_entropy


def twins(matmul="blas"):
    """-> dict of name -> function, laid over the definitions by nn/backend.py. matmul: "blas" | "numba"."""
    modules = [attention, cross_entropy]
    return {name: function for module in modules for name, function in vars(module).items()
            if name.endswith(("_forward", "_backward", "_update")) and not name.startswith("_")}
