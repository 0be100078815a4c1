"""Which lists of recommendations are told when they change, and which of them a command has changed."""
