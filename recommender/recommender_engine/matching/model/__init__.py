"""The model of a pair: from features to a probability, and from a stated precision to a threshold."""
