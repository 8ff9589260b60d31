"""Contracts as data, and what they pay: targets, settlements and statements."""
