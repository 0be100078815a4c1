"""The features of a pair, by what they speak of: the figures, and the sentences that people read."""
