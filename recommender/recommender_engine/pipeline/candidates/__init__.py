"""What an item may be compared with: near vectors, rare words, the same text, as far as the policy allows."""
