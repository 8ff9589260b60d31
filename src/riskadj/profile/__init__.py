"""Observed against expected, by provider."""

from riskadj.profile.flags import NHS_ENGLAND, FlagLabels, flag_from_z, flag_labels
from riskadj.profile.providers import Profiles, profile_providers, provider_columns

__all__ = [
    "NHS_ENGLAND",
    "FlagLabels",
    "Profiles",
    "flag_from_z",
    "flag_labels",
    "profile_providers",
    "provider_columns",
]
