"""Data frames of pandas and polars in, verdicts out: decided in this process, without a server."""
