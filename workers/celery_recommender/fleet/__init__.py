"""The embedding fleet: batches of texts go out to stateless workers, vectors come back. See ADR 17."""
