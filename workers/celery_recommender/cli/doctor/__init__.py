"""``recommender doctor`` and its checks."""
