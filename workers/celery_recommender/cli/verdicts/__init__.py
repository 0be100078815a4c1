"""Commands about verdicts and items: search, list, compare, recommend, watch, tune."""
