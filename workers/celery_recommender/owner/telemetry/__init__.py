"""Metrics, status, health and throughput."""
