"""The commands stream: append, read, admit, trim, repair."""
