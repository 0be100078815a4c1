"""State and streams stay in step: identity of the state, gaps, ids, trimming, recovery, backups."""
