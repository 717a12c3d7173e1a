"""Exercises of lesson 10. Replace each `raise` by your code, then: python -m minigpt grade 10"""


def what_counts(documents, end, T):
    """Cut documents into rows for training, and say which targets count.

    documents: lists of token ids, each at least one long -> inputs (R, T), targets (R, T), counts (R, T) of bools
    `end` stands behind each document in the stream. A target counts unless it is the first token of a document. Every token
    but the first is a target once, up to the end of the last row; what does not fill a row is dropped, so R is as large as possible.
    """
    raise NotImplementedError("10.1 which targets count (2 points)")


def row_of_turn(n, R, seed):
    """Which of R rows is read as number n, counted from 0, when the data are read again and again?

    -> int from 0 to R - 1. The answer depends on n, R and seed only, whatever was asked before. In each epoch (n from e R to
    e R + R - 1) each row comes once, in random order. Another epoch or another seed gives another order.
    """
    raise NotImplementedError("10.2 data without memory (2 points)")


def best_size(operations, A, a, B, b):
    """The best number of parameters for a given amount of arithmetic.

    The loss of a model with N parameters after D tokens is A / N**a + B / D**b plus a constant, and 6 N D operations are
    available -> the N, a float, with the smallest loss. All numbers are positive.
    """
    raise NotImplementedError("10.3 the best size (3 points)")


def sliding_losses(losses_of, ids, T, stride):
    """The losses of a text that is longer than the context of T tokens, with much context for each token.

    losses_of(piece) takes 2 to T + 1 ids and returns an array: the loss of each id but the first, given those before it.
    Windows of T + 1 ids start at 0, stride, 2 stride, ... until one reaches the end of the text; that one may be shorter. Where
    windows overlap, a token's loss is that of the first window that has it as a target. 1 <= stride <= T, at least 2 ids.
    -> array (len(ids) - 1,): the loss of each token but the first
    """
    raise NotImplementedError("10.4 a window that slides (4 points)")
