"""The model of pairs: from features to a probability, and from a target precision to a threshold."""
