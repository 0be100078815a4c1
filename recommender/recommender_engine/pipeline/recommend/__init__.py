"""Recommendations from text and behaviour: sources find items, scores rank them, duplicates collapse, a list is cut."""
