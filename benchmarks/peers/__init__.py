"""What one would otherwise use, each in a virtual environment of its own, on the same texts, model and machine."""
