"""The engine thread: read ahead, decide, report, and what is done once a second."""
