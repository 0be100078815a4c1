"""Measures a machine: the product, the limit above it, what one would otherwise use; each in a process of its own."""
