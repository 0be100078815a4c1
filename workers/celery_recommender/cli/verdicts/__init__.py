"""Commands about verdicts: search, compare, watch, answer, calibrate, tune."""
