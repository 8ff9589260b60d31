"""Claim lines become episodes: index events, windows, components of cost, comorbidity."""

from riskadj.claims.episodes import read_claims
from riskadj.claims.rules import ClaimRules, ComorbidityRules, DataPeriod, IndexEvent

__all__ = [
    "ClaimRules",
    "ComorbidityRules",
    "DataPeriod",
    "IndexEvent",
    "read_claims",
]
