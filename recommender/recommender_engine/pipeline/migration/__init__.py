"""Collections that move to another partition, and collections that are deleted."""
