"""Who owns a partition: lease, status, proofs, quarantine."""
