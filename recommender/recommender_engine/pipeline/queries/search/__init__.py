"""Items for a question in words, and items similar to a stored one."""
