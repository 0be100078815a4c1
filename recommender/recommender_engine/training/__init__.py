"""Training of encoders: examples, losses, runs that resume, and the model directories that they write."""
