"""Comparisons with the libraries that everybody uses; skipped where they are not installed. Nothing else may import them."""
