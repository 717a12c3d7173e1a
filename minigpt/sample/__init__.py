"""From logits to text: choosing tokens, generation with a key/value cache, stop texts, chat, explanations."""
