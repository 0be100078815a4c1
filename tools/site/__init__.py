"""The documentation as a site: the pages of the repository, the two interfaces, a search; nothing fetched when read."""
