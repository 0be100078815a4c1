"""Questions about the state: search, compare, recommend, get, calibrate. Nothing is stored."""
