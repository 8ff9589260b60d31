"""Observed against expected, by provider."""

from riskadj.profile.nhs_england import FLAGS, flag_from_z
from riskadj.profile.providers import Profiles, profile_providers

__all__ = ["FLAGS", "Profiles", "flag_from_z", "profile_providers"]
