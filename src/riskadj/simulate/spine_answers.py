"""What patients of the back and the neck answer before and after, as data tables.

From data: the shares of answers to the Oswestry Disability Index (its item 8 was not asked), to
the numeric rating of pain and to EQ-5D-3L before, among 13,087 Dutch patients with low back pain
(Ben et al. 2023, Value in Health, doi:10.1016/j.jval.2023.01.020), counted for this purpose. The
loading before is such that the spread of the index (SD 15.4 of nine items) and its correlations
with EQ-5D and pain come close to the same patients.

Chosen to be plausible: item 8, the Neck Disability Index, pain in leg, arm and neck, and how far
patients of each group are from the Dutch ones before. How far they come is chosen so that success
is as common as seems right beside the indicators of the Norwegian registry: about two in three gain
20 points of the ODI after surgery for a disc, about two in three gain 30 % of it after surgery for
stenosis (the registry's target is 70 %), and somewhat more than half gain 35 % of the NDI.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import ndtr

from riskadj.simulate.latent import cut_points
from riskadj.simulate.populations import ProcedureGroup

Shares = tuple[tuple[float, ...], ...]

# The best code first, as in the questionnaires.
_ODI: Shares = (
    (0.013, 0.062, 0.369, 0.377, 0.160, 0.019),  # pain
    (0.352, 0.296, 0.257, 0.074, 0.018, 0.003),  # personal care
    (0.048, 0.177, 0.134, 0.292, 0.291, 0.058),  # lifting
    (0.260, 0.326, 0.207, 0.138, 0.064, 0.005),  # walking
    (0.079, 0.185, 0.388, 0.254, 0.079, 0.015),  # sitting
    (0.038, 0.153, 0.161, 0.260, 0.333, 0.055),  # standing
    (0.155, 0.437, 0.238, 0.125, 0.029, 0.016),  # sleeping
    (0.240, 0.260, 0.210, 0.150, 0.080, 0.060),  # sex life; chosen
    (0.113, 0.201, 0.211, 0.393, 0.066, 0.016),  # social life
    (0.074, 0.388, 0.223, 0.166, 0.086, 0.063),  # travelling
)
_NDI: Shares = (
    (0.010, 0.100, 0.420, 0.320, 0.130, 0.020),  # pain
    (0.340, 0.330, 0.230, 0.075, 0.020, 0.005),  # personal care
    (0.060, 0.230, 0.120, 0.270, 0.270, 0.050),  # lifting
    (0.080, 0.230, 0.310, 0.270, 0.090, 0.020),  # reading
    (0.120, 0.170, 0.270, 0.180, 0.180, 0.080),  # headache
    (0.220, 0.310, 0.240, 0.150, 0.070, 0.010),  # concentration
    (0.070, 0.160, 0.310, 0.230, 0.170, 0.060),  # work
    (0.100, 0.220, 0.300, 0.230, 0.090, 0.060),  # driving
    (0.080, 0.210, 0.210, 0.250, 0.180, 0.070),  # sleeping
    (0.050, 0.200, 0.260, 0.260, 0.150, 0.080),  # recreation
)
_EQ5D: Shares = (
    (0.199, 0.780, 0.021), (0.563, 0.424, 0.013), (0.076, 0.780, 0.144),
    (0.018, 0.540, 0.442), (0.609, 0.349, 0.042),
)  # fmt: skip

_NRS = (0.017, 0.007, 0.017, 0.025, 0.034, 0.075, 0.102, 0.238, 0.332, 0.105, 0.048)
_NRS_LIMB = (0.045, 0.020, 0.035, 0.055, 0.065, 0.100, 0.120, 0.190, 0.210, 0.100, 0.060)
_NRS_NECK = (0.035, 0.020, 0.045, 0.070, 0.085, 0.135, 0.150, 0.190, 0.165, 0.070, 0.035)

_LOAD_BEFORE, _LOAD_AFTER = 0.64, 0.80
_EQ5D_BEFORE = (0.54, 0.58, 0.54, 0.66, 0.30)
_EQ5D_AFTER = (0.76, 0.72, 0.76, 0.74, 0.42)
_PAIN_LOAD_BEFORE, _PAIN_LOAD_AFTER = 0.55, 0.80


@dataclass(frozen=True)
class Answers:
    """One round of one procedure group.

    Attributes
    ----------
    instrument : str
        ODI or NDI.
    shares : tuple of tuple of float
        A row per item, the share of each code, the best first.
    load : float
        Loading of every item on health.
    eq5d : tuple of tuple of float
        The same of EQ-5D-3L.
    eq5d_loads : tuple of float
        Loading of each EQ-5D item on health.
    pains : mapping of str to tuple of float
        The same by numeric rating scale.
    pain_load : float
        Loading of the rating scales on health.
    vas : tuple of float
        Centre and spread of the EQ VAS on the probit scale.
    """

    instrument: str
    shares: Shares
    load: float
    eq5d: Shares
    eq5d_loads: tuple[float, ...]
    pains: Mapping[str, tuple[float, ...]]
    pain_load: float
    vas: tuple[float, float]


@dataclass(frozen=True)
class _Course:
    """How far patients are from the tables before, and come to be after, in SD of answers.

    `spread` is that of answers after, in SD of those before: results differ more than states do.
    """

    instrument: str
    pains: Mapping[str, tuple[float, ...]]
    before: float
    after: float
    pain_before: float
    pain_after: float
    spread: float
    vas: tuple[float, float]


def _moved(shares: Shares, by: float, spread: float = 1.0) -> Shares:
    """Return the shares of codes when the answers' normal variables get better and spread."""
    cuts = cut_points([row[::-1] for row in shares])
    passed = ndtr((by - cuts) / spread)
    edges = np.pad(passed, ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0)))
    return tuple(tuple(float(one) for one in row[::-1]) for row in -np.diff(edges, axis=1))


def _answers(course: _Course, by: float, pain_by: float, *, is_before: bool) -> Answers:
    spread = 1.0 if is_before else course.spread
    items = _ODI if course.instrument == "ODI" else _NDI
    return Answers(
        instrument=course.instrument,
        shares=_moved(items, by, spread),
        load=_LOAD_BEFORE if is_before else _LOAD_AFTER,
        eq5d=_moved(_EQ5D, by, spread),
        eq5d_loads=_EQ5D_BEFORE if is_before else _EQ5D_AFTER,
        pains={name: _moved((row,), pain_by, spread)[0] for name, row in course.pains.items()},
        pain_load=_PAIN_LOAD_BEFORE if is_before else _PAIN_LOAD_AFTER,
        vas=(course.vas[0] if is_before else course.vas[1], 0.70),
    )


_BACK = {"NRS_BACK": _NRS, "NRS_LEG": _NRS_LIMB}
_NECK = {"NRS_NECK": _NRS_NECK, "NRS_ARM": _NRS_LIMB}

_COURSES: dict[ProcedureGroup, _Course] = {
    "LUMBAR_DISC": _Course("ODI", _BACK, -0.25, 1.22, -0.05, 1.60, 1.35, (-0.10, 0.65)),
    "LUMBAR_STENOSIS": _Course("ODI", _BACK, 0.10, 1.12, 0.0, 1.30, 1.35, (0.0, 0.45)),
    "LUMBAR_FUSION": _Course("ODI", _BACK, -0.05, 0.98, 0.0, 1.35, 1.35, (-0.05, 0.45)),
    "CERVICAL_RADICULOPATHY_ANTERIOR": _Course(
        "NDI", _NECK, 0.0, 0.88, 0.0, 1.25, 1.35, (0.0, 0.50)
    ),
    "LOW_BACK_PAIN": _Course("ODI", _BACK, 0.0, 0.55, 0.0, 0.80, 1.25, (0.05, 0.35)),
}

SPINE_ANSWERS: MappingProxyType[ProcedureGroup, tuple[Answers, Answers]] = MappingProxyType(
    {
        group: (
            _answers(one, one.before, one.pain_before, is_before=True),
            _answers(one, one.after, one.pain_after, is_before=False),
        )
        for group, one in _COURSES.items()
    }
)
"""Before and after, by procedure group."""
