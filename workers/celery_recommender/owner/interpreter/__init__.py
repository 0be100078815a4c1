"""The process itself: garbage collection, priorities of threads."""
