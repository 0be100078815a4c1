"""Migrations of the app's table."""
