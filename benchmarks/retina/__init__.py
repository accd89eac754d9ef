"""Benchmarks of the retina."""
