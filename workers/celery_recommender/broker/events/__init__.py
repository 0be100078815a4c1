"""The events stream and the dead letters: publish, keep, read."""
