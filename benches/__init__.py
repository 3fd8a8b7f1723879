"""Benchmarks beside their peers."""
