"""One solution for each exercise of lesson 07. Yours may be another."""
import numpy as np


def inputs_and_targets(tokens, T):
    """tokens (N,) -> inputs (R, T), targets (R, T)"""
    rows = (len(tokens) - 1) // T  # the last input needs one more token as its target
    return np.reshape(tokens[:rows * T], (rows, T)), np.reshape(tokens[1:rows * T + 1], (rows, T))


def count_parameters(vocab_size, n_layer, n_head, n_kv_head, n_embd, n_inner):
    """-> the number of parameters"""
    head_size = n_embd // n_head
    attention = n_embd * n_embd + 2 * n_embd * n_kv_head * head_size + n_embd * n_embd
    block = attention + 3 * n_embd * n_inner + 2 * n_embd
    return 2 * vocab_size * n_embd + n_layer * block + n_embd


def tied_gradient(ids, dx, hidden, dlogits, vocab_size):
    """ids (B, T), dx and hidden (B, T, C), dlogits (B, T, V) -> dtable (V, C)"""
    dtable = np.zeros((vocab_size, dx.shape[-1]))
    np.add.at(dtable, ids, dx)  # a token that occurs twice is blamed twice
    return dtable + np.einsum("btv,btc->vc", dlogits, hidden)


def post_norm_block(x, attention, feed_forward, norm):
    """x (T, C) -> y (T, C), backward"""
    a, attention_cache = attention[0](x)
    h, norm1_cache = norm[0](x + a)
    f, forward_cache = feed_forward[0](h)
    y, norm2_cache = norm[0](h + f)

    def backward(dy):
        dsum = norm[1](dy, norm2_cache)
        dh = dsum + feed_forward[1](dsum, forward_cache)
        dsum = norm[1](dh, norm1_cache)
        return dsum + attention[1](dsum, attention_cache)

    return y, backward
