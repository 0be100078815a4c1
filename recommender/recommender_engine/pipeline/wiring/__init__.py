"""The parts of an engine: each is made once, and given the parts that it needs."""
