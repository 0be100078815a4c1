"""What depends on the log's time alone: rates and expiry."""
