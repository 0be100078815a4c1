"""Migrations of the products."""
