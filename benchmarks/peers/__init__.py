"""Other programs for the job, each in a virtual environment of its own, on the same texts, model and machine."""
