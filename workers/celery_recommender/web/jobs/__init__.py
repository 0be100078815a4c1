"""Work that outlives a request, kept in Redis: files that are enriched, exact replays, maps of collections."""
