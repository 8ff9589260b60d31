"""Outcome and cost together: who is better, cheaper, both or neither, and how sure that is."""
