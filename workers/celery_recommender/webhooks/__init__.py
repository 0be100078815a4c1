"""Events sent to HTTP endpoints: which endpoints there are, what is sent, and how."""
