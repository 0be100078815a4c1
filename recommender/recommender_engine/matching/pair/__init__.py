"""Comparison of two items: their terms and values, and the pair relative to the other candidates."""
