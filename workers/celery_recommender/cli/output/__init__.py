"""How commands show events, figures and findings."""
