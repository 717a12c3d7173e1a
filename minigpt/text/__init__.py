"""Text to token ids and back: splitting, byte-level BPE, the chat template."""
