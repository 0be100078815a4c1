"""What recommendations are computed from, without a store: behaviour, filters, diversity and scores."""
