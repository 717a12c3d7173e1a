"""Scores with their uncertainty."""
import math


def wilson(right, n, z=1.96):
    """95 % interval of a proportion (Wilson 1927): honest for small n and for proportions near 0 or 1. -> (low, high)"""
    if n == 0:
        return 0.0, 1.0
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
