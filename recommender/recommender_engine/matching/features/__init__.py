"""The features of a pair of items: one table, and the functions that measure them."""
