"""Exercises of lesson 06. Replace each `raise` by your code, then: python -m minigpt grade 06

Each asks for a backward. dx is the slope of the loss with respect to x, and has x's shape. All arrays are float64.
"""


def tempered_softmax_backward(dp, p, s, temperature):
    """The backward of p = softmax(s / temperature), for one row of scores.

    dp, p, s (T,), temperature a number above 0 -> ds (T,), dtemperature (a number)
    """
    raise NotImplementedError("06.1 softmax with a temperature (2 points)")


def squared_relu_gate_backward(dy, gate, up):
    """The backward of y = relu(gate)^2 * up, entry by entry. relu(g) is the larger of g and 0.

    dy, gate, up: one shape -> dgate, dup of that shape
    """
    raise NotImplementedError("06.2 a squared gate (2 points)")


def length_norm_backward(dy, x, gain):
    """The backward of y = gain * x / |x|, for each row of x; |x| is the row's length, the root of its sum of squares.

    dy, x (N, C), gain (C,) -> dx (N, C), dgain (C,). No row is zero.
    """
    raise NotImplementedError("06.3 a norm by length (3 points)")


def sink_attention_backward(do, q, k, v, sink):
    """The backward of causal attention with a sink: one more score, the same for every place, whose value is zero.

        p_tj = exp(s_tj) / (exp(sink) + sum over i <= t of exp(s_ti))     s_tj = q_t . k_j / sqrt(D)     o_t = sum of p_tj v_j

    A place that finds nothing worth looking at gives its weight to the sink.
    do, q, k, v (T, D), sink a number -> dq, dk, dv (T, D), dsink (a number)
    """
    raise NotImplementedError("06.4 attention with a sink (4 points)")
