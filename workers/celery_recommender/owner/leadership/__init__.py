"""One owner at a time: lease, succession, and what must be in order before it works."""
