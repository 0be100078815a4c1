"""The owner of a partition: reads the log, lets the engine decide, publishes, answers questions."""
