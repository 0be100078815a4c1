"""Templates, strings in each language, highlighted texts and pictures of the web page."""
