"""A report of verdicts as one HTML file that can be mailed: no request, no script of others, every text escaped."""
