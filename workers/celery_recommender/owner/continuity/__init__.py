"""State and streams stay in step: gaps, ids, trimming, recovery, backups."""
