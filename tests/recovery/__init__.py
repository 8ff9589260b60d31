"""Simulated truth: what each method recovers, and whether its intervals cover."""
