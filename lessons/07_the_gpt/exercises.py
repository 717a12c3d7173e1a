"""Exercises of lesson 07. Replace each `raise` by your code, then: python -m minigpt grade 07"""


def inputs_and_targets(tokens, T):
    """Cut a long text into rows for training: at each place the target is the token that comes next.

    tokens (N,) ints, N > T -> inputs (R, T), targets (R, T), in the order of the text. Up to the end of the last row every token
    but the first is a target exactly once. What does not fill a row at the end is dropped; R is as large as possible.
    """
    raise NotImplementedError("07.1 inputs and targets (2 points)")


def count_parameters(vocab_size, n_layer, n_head, n_kv_head, n_embd, n_inner):
    """How many numbers does a model in the shape of Llama learn?

    It has no biases and no table of places. Its norms (RMSNorm) have a gain only. Its keys and values have n_kv_head heads
    instead of n_head. Its feed-forward layer (SwiGLU) has three matrices between n_embd and n_inner channels. Its output
    table is not tied to its input table. One norm stands before attention, one before the feed-forward layer, one at the end.
    """
    raise NotImplementedError("07.2 parameters of a Llama (2 points)")


def tied_gradient(ids, dx, hidden, dlogits, vocab_size):
    """The blame of a table that is used at both ends: x = table[ids] and logits = hidden @ table.T

    ids (B, T) ints, dx (B, T, C), hidden (B, T, C), dlogits (B, T, V) -> dtable (V, C)
    """
    raise NotImplementedError("07.3 a tied table (3 points)")


def post_norm_block(x, attention, feed_forward, norm):
    """The block of the first transformer (2017), which normalises after the sum, forward and backward:

        h = norm(x + attention(x))        y = norm(h + feed_forward(h))

    x (T, C). Each part is a pair of functions (forward, backward): `out, cache = forward(x)` and `dx = backward(dout, cache)`.
    -> y (T, C), backward: a function that takes dy (T, C) and returns dx (T, C)
    """
    raise NotImplementedError("07.4 a block that normalises afterwards (4 points)")
