"""A position scheme: turn only the fast half of each head, so that the slow half carries meaning alone (Barbero et al. 2024).

The slowest pairs of RoPE hardly turn within a context: they could say what a token is, were they not turned a little.
A scheme made of constants has no gradient of its own: RoPE's backward turns back whatever angles it is given.
"""
from minigpt.__main__ import main
from minigpt.config import GPTConfig
from minigpt.nn.layers import POSITIONS, Position, rope_angles


def angles(config):
    turned = rope_angles(config)  # (block_size, D/2), the fastest pair first
    turned[:, turned.shape[1] // 2 :] = 0.0
    return turned


POSITIONS["half-rope"] = Position(angles=angles)
GPTConfig.choices("position").append("half-rope")
if __name__ == "__main__":
    raise SystemExit(main())
