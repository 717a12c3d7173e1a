"""From text and conversations to weights: batches, optimisers, the one training loop, checkpoints, the two stages."""
