"""The demo's own tickets and products; see README.md beside this file."""
