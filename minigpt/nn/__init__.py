"""The network: operations with their gradients, their compiled twins, layers, the model, losses."""
