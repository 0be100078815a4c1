"""The Redis server: connections, keys, errors, checks, and a server of our own."""
