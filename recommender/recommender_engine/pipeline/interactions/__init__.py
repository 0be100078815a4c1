"""Interactions of users with items: what they teach is stored in the batch that has them."""
