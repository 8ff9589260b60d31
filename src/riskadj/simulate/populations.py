"""Who has the operation: age, sex, habits and conditions by procedure group, as data tables.

Hip and knee: shares of grades and comorbidities are those of NHS England's record files, hip
2018/19 and knee 2016/17; age is chosen so that the ten-year bands are near those of the hip file.
Low back pain: age and sex are those of the Dutch patients of Ben et al. 2023 (Value in Health,
doi:10.1016/j.jval.2023.01.020). Everything about the operated spine is chosen to be plausible.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ProcedureGroup = Literal[
    "HIP_PRIM",
    "KNEE_PRIM",
    "LUMBAR_DISC",
    "LUMBAR_STENOSIS",
    "LUMBAR_FUSION",
    "CERVICAL_RADICULOPATHY_ANTERIOR",
    "LOW_BACK_PAIN",
]

SPINE = (
    "LUMBAR_DISC", "LUMBAR_STENOSIS", "LUMBAR_FUSION", "CERVICAL_RADICULOPATHY_ANTERIOR",
    "LOW_BACK_PAIN",
)  # fmt: skip
"""Procedure groups of the back and the neck; of low back pain nobody is operated on."""


@dataclass(frozen=True)
class Population:
    """Patients of one procedure group.

    Attributes
    ----------
    age : tuple of float
        Centre and spread in years.
    female, smoker, previous_surgery : float
        Shares.
    symptom_period, asa, general_health : tuple of float
        Shares of grades, the lowest code first.
    conditions : mapping of str to float
        Share with each comorbidity.
    sided : bool
        Whether it is done on one side or both.
    """

    age: tuple[float, float]
    female: float
    smoker: float
    previous_surgery: float
    symptom_period: tuple[float, ...]
    asa: tuple[float, ...]
    general_health: tuple[float, ...]
    conditions: Mapping[str, float]
    sided: bool = False


_ASA = (0.120, 0.680, 0.194, 0.005, 0.001)
_GENERAL_HEALTH = (0.060, 0.330, 0.410, 0.160, 0.040)

_HIP = {
    "heart": 0.083, "high_bp": 0.378, "stroke": 0.013, "circulation": 0.046, "lung": 0.083,
    "diabetes": 0.093, "kidney": 0.021, "nervous": 0.009, "liver": 0.006, "cancer": 0.056,
    "depression": 0.085, "arthritis": 0.732,
}  # fmt: skip
_KNEE = {
    "heart": 0.096, "high_bp": 0.447, "stroke": 0.016, "circulation": 0.060, "lung": 0.094,
    "diabetes": 0.130, "kidney": 0.020, "nervous": 0.010, "liver": 0.005, "cancer": 0.054,
    "depression": 0.090, "arthritis": 0.772,
}  # fmt: skip
_YOUNGER = {
    "heart": 0.030, "high_bp": 0.140, "stroke": 0.006, "circulation": 0.010, "lung": 0.060,
    "diabetes": 0.045, "kidney": 0.008, "nervous": 0.010, "liver": 0.005, "cancer": 0.015,
    "depression": 0.110, "arthritis": 0.070,
}  # fmt: skip
_OLDER = {
    "heart": 0.130, "high_bp": 0.390, "stroke": 0.030, "circulation": 0.050, "lung": 0.095,
    "diabetes": 0.130, "kidney": 0.025, "nervous": 0.015, "liver": 0.006, "cancer": 0.050,
    "depression": 0.100, "arthritis": 0.210,
}  # fmt: skip
_BETWEEN = {name: round((_YOUNGER[name] + _OLDER[name]) / 2, 3) for name in _YOUNGER}

POPULATIONS: MappingProxyType[ProcedureGroup, Population] = MappingProxyType(
    {
        "HIP_PRIM": Population(
            (69.7, 9.2), 0.611, 0.090, 0.041, (0.114, 0.704, 0.120, 0.062), _ASA,
            _GENERAL_HEALTH, _HIP, sided=True,
        ),
        "KNEE_PRIM": Population(
            (69.7, 9.2), 0.581, 0.090, 0.041, (0.046, 0.520, 0.223, 0.211), _ASA,
            _GENERAL_HEALTH, _KNEE, sided=True,
        ),
        "LUMBAR_DISC": Population(
            (46.5, 12.5), 0.420, 0.220, 0.150, (0.740, 0.220, 0.025, 0.015),
            (0.480, 0.450, 0.067, 0.002, 0.001), _GENERAL_HEALTH, _YOUNGER,
        ),
        "LUMBAR_STENOSIS": Population(
            (66.5, 10.5), 0.530, 0.180, 0.200, (0.270, 0.530, 0.120, 0.080),
            (0.140, 0.600, 0.255, 0.004, 0.001), _GENERAL_HEALTH, _OLDER,
        ),
        "LUMBAR_FUSION": Population(
            (56.0, 13.0), 0.560, 0.190, 0.320, (0.160, 0.540, 0.170, 0.130),
            (0.240, 0.590, 0.167, 0.002, 0.001), _GENERAL_HEALTH, _BETWEEN,
        ),
        "CERVICAL_RADICULOPATHY_ANTERIOR": Population(
            (50.5, 9.5), 0.480, 0.260, 0.080, (0.560, 0.370, 0.045, 0.025),
            (0.360, 0.550, 0.087, 0.002, 0.001), _GENERAL_HEALTH, _YOUNGER,
        ),
        "LOW_BACK_PAIN": Population(
            (53.9, 14.7), 0.608, 0.210, 0.083, (0.300, 0.420, 0.150, 0.130),
            (0.300, 0.560, 0.137, 0.002, 0.001), _GENERAL_HEALTH, _BETWEEN,
        ),
    }
)  # fmt: skip
"""By procedure group."""
