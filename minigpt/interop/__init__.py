"""Files that the rest of the world reads too: safetensors and model folders."""
