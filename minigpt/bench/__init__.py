"""Measurements: what the README claims about speed, and nothing it does not measure."""
