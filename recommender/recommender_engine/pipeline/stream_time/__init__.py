"""What depends on the log alone: rates, expiry, and the events that answer commands."""
