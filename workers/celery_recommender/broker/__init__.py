"""Redis: connections, keys, the two streams, and a server of our own."""
