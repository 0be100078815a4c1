"""Questions and commands of the web page, and what its processes share in Redis."""
