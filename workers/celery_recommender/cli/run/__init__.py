"""Commands that run a worker or try the product out."""
