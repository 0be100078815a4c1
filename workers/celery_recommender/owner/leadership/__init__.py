"""One owner at a time: the lease and its renewal, standby and takeover."""
