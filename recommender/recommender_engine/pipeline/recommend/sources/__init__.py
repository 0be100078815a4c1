"""Sources of recommendations: each finds items of one kind and gives them one term of their score."""
