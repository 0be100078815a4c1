"""Delimited text: CSV, TSV and their relatives."""
