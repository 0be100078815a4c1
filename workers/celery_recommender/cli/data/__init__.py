"""Commands that read and write files of items, pairs and labels."""
