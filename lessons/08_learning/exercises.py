"""Exercises of lesson 08. Replace each `raise` by your code, then: python -m minigpt grade 08

All arrays are float64. Do not change your arguments in place.
"""


def nesterov(w, g, m, rate, mu):
    """One step of momentum that looks ahead (Nesterov).

    First m <- mu m + g as usual. Then step as if the same gradient came once more: along mu m + g, with the new m.
    w, g, m (n,), rate and mu numbers -> new w (n,), new m (n,)
    """
    raise NotImplementedError("08.1 momentum that looks ahead (2 points)")


def combine(pieces):
    """A batch that is too large for the memory was cut into pieces. Put their results together.

    pieces: list of (loss, gradient (n,), tokens): the mean loss over the piece's tokens that count, its gradient, how many.
    -> loss, gradient (n,): those of the mean over the tokens of the whole batch. A piece with 0 tokens has loss 0 and
    gradient zeros; if no token counts anywhere, so has the batch.
    """
    raise NotImplementedError("08.2 pieces of a batch (3 points)")


def restarts(step, first, growth, lowest):
    """A schedule that falls along half a cosine wave from 1 towards `lowest`, then starts again at 1 (Loshchilov and Hutter 2017).

    The first cycle has `first` steps, each later one is `growth` (int, 1 or more) times as long as the one before.
    step from 0; at step i of a cycle of n steps the wave is (1 + cos(pi i / n)) / 2. -> factor between lowest and 1
    """
    raise NotImplementedError("08.3 a schedule with restarts (2 points)")


def nearest_orthogonal(matrix):
    """The matrix with all its singular values set to 1, by products of matrices alone (no svd, no eig, no inv, no qr).

    matrix (n, m), tall or wide, its singular values within a factor of 1000 of each other -> (n, m), right to 1e-8
    """
    raise NotImplementedError("08.4 exactly orthogonal (4 points)")
