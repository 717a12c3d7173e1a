"""Scores with intervals, base models asked at their best, the report on the shipped model."""
