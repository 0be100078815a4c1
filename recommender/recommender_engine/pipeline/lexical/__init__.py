"""Candidates by words: which items share rare terms."""
