"""All that is asked about fairness of one outcome, in one record."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from riskadj.digest import digest_of_frame
from riskadj.expected import Expectations
from riskadj.fairness.drift import DRIFT_COLUMNS, follow_drift
from riskadj.fairness.fair import FairAdjustment, adjust_fairly
from riskadj.fairness.gaming import gaming_sensitivity, no_gaming
from riskadj.fairness.groups import GROUP_COLUMNS, audit_groups
from riskadj.fairness.social import SocialAdjustment, adjust_socially
from riskadj.profile import Profiles
from riskadj.study import Study


@dataclass(frozen=True)
class Fairness:
    """What is expected of groups of patients, and what changes between periods.

    Attributes
    ----------
    groups : DataFrame
        As from `audit_groups`.
    drift : DataFrame
        As from `follow_drift`; empty where the study asks for none, or has one period.
    social : SocialAdjustment
    fair : FairAdjustment
    gaming : DataFrame
        As from `gaming_sensitivity`; empty where the study does not ask for it.
    digest : str
    """

    groups: pd.DataFrame
    drift: pd.DataFrame
    social: SocialAdjustment
    fair: FairAdjustment
    gaming: pd.DataFrame
    digest: str


def assess_fairness(expectations: Expectations, profiles: Profiles, study: Study) -> Fairness:
    """Audit groups, and follow what changes between periods, as a study's `fairness` says.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    """
    groups = audit_groups(expectations, profiles, study)
    drift = follow_drift(expectations, study) if study.fairness.drift else no_drift()
    social, fair = adjust_socially(expectations, study), adjust_fairly(expectations, study)
    asked = study.fairness.gaming
    gaming = gaming_sensitivity(expectations, study) if asked else no_gaming()
    digest = profiles.digest
    for table in (groups, drift, social.social, social.graded, social.slopes, fair.fair, gaming):
        digest = digest_of_frame(table, digest)
    return Fairness(groups, drift, social, fair, gaming, digest)


def _nothing(columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(columns=[*columns])


no_groups = partial(_nothing, GROUP_COLUMNS)
no_drift = partial(_nothing, DRIFT_COLUMNS)
