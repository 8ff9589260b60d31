"""Comorbidity from ICD-10 diagnoses: Charlson, Elixhauser and CMS-HCC.

Codes are written without dots, in capitals; a code belongs to a condition when it begins as the
table says. The tables are of ICD-10 as it was in 2005: later categories, such as C86, are in no
condition, as in the paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskadj.episodes.columns import CHARLSON, ELIXHAUSER
from riskadj.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from riskadj.claims.rules import Segment

Whole = NDArray[np.int64]
SchemeName = Literal["charlson", "elixhauser"]

# Quan, Sundararajan, Halfon et al. 2005, Med Care 43:1130-1139, tables 1 and 2, their ICD-10
# columns. "A-B" is every beginning from A to B of the same length. Two programs that were written
# apart from each other, in R and as regular expressions, agree with every entry.
CHARLSON_CODES: dict[str, str] = {
    "myocardial_infarction": "I21 I22 I252",
    "heart_failure": "I099 I110 I130 I132 I255 I420 I425-I429 I43 I50 P290",
    "peripheral_vascular": "I70 I71 I731 I738 I739 I771 I790 I792 K551 K558 K559 Z958 Z959",
    "cerebrovascular": "G45 G46 H340 I60-I69",
    "dementia": "F00-F03 F051 G30 G311",
    "lung": "I278 I279 J40-J47 J60-J67 J684 J701 J703",
    "rheumatic": "M05 M06 M315 M32-M34 M351 M353 M360",
    "peptic_ulcer": "K25-K28",
    "liver_mild": "B18 K700-K703 K709 K713-K715 K717 K73 K74 K760 K762-K764 K768 K769 Z944",
    "diabetes": (
        "E100 E101 E106 E108 E109 E110 E111 E116 E118 E119 E120 E121 E126 E128 E129 "
        "E130 E131 E136 E138 E139 E140 E141 E146 E148 E149"
    ),
    "diabetes_complicated": (
        "E102-E105 E107 E112-E115 E117 E122-E125 E127 E132-E135 E137 E142-E145 E147"
    ),
    "paralysis": "G041 G114 G801 G802 G81 G82 G830-G834 G839",
    "kidney": "I120 I131 N032-N037 N052-N057 N18 N19 N250 Z490-Z492 Z940 Z992",
    "cancer": (
        "C00-C26 C30-C34 C37-C41 C43 C45-C58 C60-C76 C81-C85 C88 C90-C97"
    ),
    "liver_severe": "I850 I859 I864 I982 K704 K711 K721 K729 K765-K767",
    "metastatic_cancer": "C77-C80",
    "aids": "B20-B22 B24",
}  # fmt: skip

ELIXHAUSER_CODES: dict[str, str] = {
    "heart_failure": CHARLSON_CODES["heart_failure"],
    "arrhythmia": "I441-I443 I456 I459 I47-I49 R000 R001 R008 T821 Z450 Z950",
    "valvular": "A520 I05-I08 I091 I098 I34-I39 Q230-Q233 Z952-Z954",
    "pulmonary_circulation": "I26 I27 I280 I288 I289",
    "peripheral_vascular": CHARLSON_CODES["peripheral_vascular"],
    "hypertension": "I10",
    "hypertension_complicated": "I11-I13 I15",
    "paralysis": CHARLSON_CODES["paralysis"],
    "neurological": (
        "G10-G13 G20-G22 G254 G255 G312 G318 G319 G32 G35-G37 G40 G41 G931 G934 R470 R56"
    ),
    "lung": CHARLSON_CODES["lung"],
    "diabetes": (
        "E100 E101 E109 E110 E111 E119 E120 E121 E129 E130 E131 E139 E140 E141 E149"
    ),
    "diabetes_complicated": "E102-E108 E112-E118 E122-E128 E132-E138 E142-E148",
    "hypothyroidism": "E00-E03 E890",
    "kidney": "I120 I131 N18 N19 N250 Z490-Z492 Z940 Z992",
    "liver": "B18 I85 I864 I982 K70 K711 K713-K715 K717 K72-K74 K760 K762-K769 Z944",
    "peptic_ulcer": "K257 K259 K267 K269 K277 K279 K287 K289",
    "aids": CHARLSON_CODES["aids"],
    "lymphoma": "C81-C85 C88 C96 C900 C902",
    "metastatic_cancer": CHARLSON_CODES["metastatic_cancer"],
    "solid_tumour": "C00-C26 C30-C34 C37-C41 C43 C45-C58 C60-C76 C97",
    "rheumatic": "L940 L941 L943 M05 M06 M08 M120 M123 M30 M310-M313 M32-M35 M45 M461 M468 M469",
    "coagulopathy": "D65-D68 D691 D693-D696",
    "obesity": "E66",
    "weight_loss": "E40-E46 R634 R64",
    "fluids": "E222 E86 E87",
    "anaemia_blood_loss": "D500",
    "anaemia_deficiency": "D508 D509 D51-D53",
    "alcohol": "F10 E52 G621 I426 K292 K700 K703 K709 T51 Z502 Z714 Z721",
    "drugs": "F11-F16 F18 F19 Z715 Z722",
    "psychoses": "F20 F22-F25 F28 F29 F302 F312 F315",
    "depression": "F204 F313-F315 F32 F33 F341 F412 F432",
}  # fmt: skip

CHARLSON_ABOVE = {
    "liver_severe": "liver_mild",
    "diabetes_complicated": "diabetes",
    "metastatic_cancer": "cancer",
}
"""The severer condition, and the milder one that does not count beside it."""

ELIXHAUSER_ABOVE = {
    "hypertension_complicated": "hypertension",
    "diabetes_complicated": "diabetes",
    "metastatic_cancer": "solid_tumour",
}

CHARLSON_1987 = dict.fromkeys(CHARLSON, 1) | {
    "diabetes_complicated": 2, "paralysis": 2, "kidney": 2, "cancer": 2, "liver_severe": 3,
    "metastatic_cancer": 6, "aids": 6,
}  # fmt: skip
"""Charlson, Pompei, Ales, MacKenzie 1987, J Chronic Dis 40:373-383."""

# Some programs give AIDS 2 points. With 4, the most that anybody can have is 24, which is the
# range that the paper states.
CHARLSON_2011 = dict.fromkeys(CHARLSON, 0) | {
    "heart_failure": 2, "dementia": 2, "lung": 1, "rheumatic": 1, "liver_mild": 2,
    "diabetes_complicated": 1, "paralysis": 2, "kidney": 1, "cancer": 2, "liver_severe": 4,
    "metastatic_cancer": 6, "aids": 4,
}  # fmt: skip
"""Quan, Li, Couris et al. 2011, Am J Epidemiol 173:676-682."""

# Three programs agree, two of them written apart: one of these leaves arrhythmia out, the other
# gives the sizes without their signs. The paper itself was not at hand.
VAN_WALRAVEN = dict.fromkeys(ELIXHAUSER, 0) | {
    "heart_failure": 7, "arrhythmia": 5, "valvular": -1, "pulmonary_circulation": 4,
    "peripheral_vascular": 2, "paralysis": 7, "neurological": 6, "lung": 3, "kidney": 5,
    "liver": 11, "lymphoma": 9, "metastatic_cancer": 12, "solid_tumour": 4, "coagulopathy": 3,
    "obesity": -4, "weight_loss": 6, "fluids": 5, "anaemia_blood_loss": -2,
    "anaemia_deficiency": -2, "drugs": -7, "depression": -3,
}  # fmt: skip
"""Van Walraven, Austin, Jennings, Quan, Forster 2009, Med Care 47:626-633."""


class Scheme(NamedTuple):
    """A set of conditions: its codes, which counts beside which, and its indices."""

    conditions: tuple[str, ...]
    codes: Mapping[str, str]
    above: Mapping[str, str]
    indices: Mapping[str, Mapping[str, int]]


SCHEMES: dict[SchemeName, Scheme] = {
    "charlson": Scheme(
        CHARLSON,
        CHARLSON_CODES,
        CHARLSON_ABOVE,
        {"charlson_index": CHARLSON_1987, "charlson_index_2011": CHARLSON_2011},
    ),
    "elixhauser": Scheme(
        ELIXHAUSER,
        ELIXHAUSER_CODES,
        ELIXHAUSER_ABOVE,
        {
            "elixhauser_count": dict.fromkeys(ELIXHAUSER, 1),
            "elixhauser_van_walraven": VAN_WALRAVEN,
        },
    ),
}

PREFIX_LENGTHS = (3, 4)
"""How long the beginnings of codes in the tables are."""


def prefixes(codes: str) -> list[str]:
    """Return the beginnings of codes that a row of a table stands for.

    Examples
    --------
    >>> prefixes("C00-C02 I252")
    ['C00', 'C01', 'C02', 'I252']
    """
    return [one for part in codes.split() for one in _spread(*part.partition("-")[::2])]


def _spread(first: str, last: str) -> list[str]:
    if not last:
        return [first]
    digits = len(first) - 1
    return [f"{first[0]}{n:0{digits}}" for n in range(int(first[1:]), int(last[1:]) + 1)]


def prefix_masks(scheme: Scheme) -> dict[str, int]:
    """Return the conditions of each beginning of a code, condition i as bit i.

    Examples
    --------
    >>> prefix_masks(SCHEMES["charlson"])["I252"]
    1
    """
    masks: dict[str, int] = {}
    for bit, name in enumerate(scheme.conditions):
        for one in prefixes(scheme.codes[name]):
            masks[one] = masks.get(one, 0) | 1 << bit
    return masks


def mask_of(diagnoses: Iterable[str], scheme: Scheme) -> int:
    """Return the conditions of one patient's diagnoses, condition i as bit i.

    Examples
    --------
    >>> mask_of(["E1150", "C509"], SCHEMES["charlson"]) == (1 << 10) | (1 << 13)
    True
    """
    masks = prefix_masks(scheme)
    mask = 0
    for one in diagnoses:
        code = one.upper().replace(".", "")
        for length in PREFIX_LENGTHS:
            mask |= masks.get(code[:length], 0)
    return mask


def conditions_and_indices(masks: Whole, name: SchemeName) -> dict[str, Any]:
    """Return flags and indices, a column each, of patients' conditions.

    A milder condition is not counted beside its severer form: neither as a flag nor in an index.

    Parameters
    ----------
    masks : ndarray of shape (n,), int64
        Condition i as bit i, as `mask_of` gives it.
    name : {"charlson", "elixhauser"}

    Returns
    -------
    dict of str to ndarray of shape (n,)
        `<name>_<condition>`, 1 or 0; then the indices, in points. Sources: `CHARLSON_1987`,
        `CHARLSON_2011`, `VAN_WALRAVEN`.

    Examples
    --------
    >>> masks = np.array([mask_of(["E119", "E1150", "I252"], SCHEMES["charlson"])])
    >>> found = conditions_and_indices(masks, "charlson")
    >>> found["charlson_diabetes"], found["charlson_index"], found["charlson_index_2011"]
    (array([0.]), array([3.]), array([1.]))
    """
    scheme = SCHEMES[name]
    held = {one: masks >> bit & 1 == 1 for bit, one in enumerate(scheme.conditions)}
    for severe, mild in scheme.above.items():
        held[mild] = held[mild] & ~held[severe]
    flags = {f"{name}_{one}": values.astype(float) for one, values in held.items()}
    indices = {
        index: sum(weight * held[one] for one, weight in weights.items() if weight)
        for index, weights in scheme.indices.items()
    }
    return flags | {one: np.asarray(values, dtype=float) for one, values in indices.items()}


# Where the models' coefficients, and their edits by age, change.
AGE_STEPS = np.array([0, 2, 6, 18, 19, 35, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95])
_VERSIONS = {"V24": "24", "V28": "28"}


@cache
def _engine(version: str) -> Any:
    if version not in _VERSIONS:
        raise UnknownNameError(
            f"cms_hcc: wanted {' or '.join(_VERSIONS)}; got {version!r}."
            f"{did_you_mean(version, _VERSIONS)}"
        )
    from hccpy.hcc import HCCEngine  # type: ignore[import-untyped]

    return HCCEngine(_VERSIONS[version])


def hcc_codes(version: str) -> list[str]:
    """Return the diagnoses that a CMS-HCC model knows, in order.

    Raises
    ------
    UnknownNameError

    Examples
    --------
    >>> "E1169" in hcc_codes("V24")
    True
    """
    return sorted(_engine(version).dx2cc)


class HccProfiles(NamedTuple):
    """CMS-HCC scores as the model gives them, and how many payment conditions they rest on."""

    score: NDArray[np.float64]
    conditions: NDArray[np.float64]


def hcc_profiles(
    diagnoses: Sequence[str],
    age: NDArray[np.float64],
    sex: Sequence[str | None],
    version: str,
    segment: "Segment" = "CNA",
) -> HccProfiles:
    """Return CMS-HCC scores, each distinct patient computed once.

    The score is neither normalised nor adjusted for coding. The original reason for entitlement
    is taken to be age. CMS takes the age on 1 February of the payment year; here it is the age
    given.

    Parameters
    ----------
    diagnoses : sequence of str of length n
        Of each patient, separated by spaces, without dots.
    age : ndarray of shape (n,)
        Years.
    sex : sequence of length n
        "male", "female" or None.
    version : {"V24", "V28"}
    segment : str
        Whose coefficients.

    Returns
    -------
    HccProfiles
        Arrays of shape (n,), NaN where age or sex is missing; the score also where the
        segment has no coefficient for the age: CNA begins at 65.

    Raises
    ------
    UnknownNameError

    Notes
    -----
    Computed by hccpy, out of the tables of the Centers for Medicare & Medicaid Services.

    Examples
    --------
    >>> profiles = hcc_profiles(["E119 I509 J449", ""], np.array([67.0, 60.0]), ["female"] * 2,
    ...                         "V28")
    >>> profiles.score.tolist(), profiles.conditions.tolist()
    ([1.365, nan], [3.0, 0.0])
    """
    import pandas as pd

    engine = _engine(version)
    steps = AGE_STEPS[np.searchsorted(AGE_STEPS, np.nan_to_num(age, nan=0), side="right") - 1]
    patients = pd.DataFrame({"codes": diagnoses, "age": np.where(np.isnan(age), np.nan, steps)})
    patients["sex"] = pd.Series(sex, dtype="str").to_numpy()
    which, distinct = pd.factorize(pd.MultiIndex.from_frame(patients))
    found = np.array([_hcc_profile(engine, segment, *one) for one in distinct]).reshape(-1, 2)
    return HccProfiles(found[which, 0], found[which, 1])


def _hcc_profile(
    engine: Any, segment: str, codes: str, age: float, sex: str | float
) -> tuple[float, float]:
    known = isinstance(sex, str) and not np.isnan(age)
    profile = engine.profile(
        codes.split(), age=int(age) if known else 65, sex="F" if sex == "female" else "M",
        elig=segment,
    )  # fmt: skip
    counted = [one for one in profile["hcc_lst"] if one.startswith("HCC") and one[3:].isdigit()]
    has_coefficient = "" not in profile["details"]
    score = float(profile["risk_score"]) if known and has_coefficient else np.nan
    count = sum(f"{segment}_{one}" in engine.coefn for one in counted)
    return score, float(count) if known else np.nan
