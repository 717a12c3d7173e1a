"""The lessons' tools: one script becomes a page, a walk in the terminal, a notebook and graded exercises."""
