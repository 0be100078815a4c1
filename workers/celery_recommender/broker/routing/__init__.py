"""Which partition a collection belongs to."""
