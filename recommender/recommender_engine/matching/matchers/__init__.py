"""The matchers (learned model, cosine only) and their reasons."""
