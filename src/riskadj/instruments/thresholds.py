"""Responder thresholds as a data table: which change, or which score, counts, and who says so.

Thresholds of single patients only. What a group's mean should change by (and what two groups
should differ by) is another quantity; where only such a figure is known, it is unverified here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError, StudyError, UnknownNameError, ValuesError, did_you_mean
from riskadj.instruments.registry import Instrument, instrument

Floats = NDArray[np.float64]

ROUNDING = 1e-9
"""Scores are published to three decimals; differences below this are those of binary fractions."""


def _reached(amount: Floats, value: float) -> Floats:
    return np.where(np.isnan(amount), np.nan, amount >= value - ROUNDING)


def _below(amount: Floats, value: float) -> Floats:
    return 1.0 - _reached(amount, value)


def _gain(before: Floats, after: Floats, direction: int) -> Floats:
    return direction * (after - before)


def _percent(before: Floats, after: Floats, direction: int) -> Floats:
    """Return the improvement in per cent of the baseline; NaN where that is not above 0."""
    whole = np.where(before > 0, before, np.nan)
    return 100.0 * _gain(before, after, direction) / whole


@dataclass(frozen=True)
class ThresholdKind:
    """What a kind of threshold asks of an episode.

    Attributes
    ----------
    title : str
        The question, for people.
    amount : callable
        Of before, after and direction: what is held against the value; more is better, but for a
        loss.
    responds : callable
        Of amounts and the value: 1 or 0, NaN where the amount is.
    of_score : bool
        Whether the value is a score; otherwise it is an amount above 0.
    of_percent : bool
        Whether the value is a percentage of the baseline.
    of_harm : bool
        Whether a 1 is bad news.
    """

    title: str
    amount: Callable[[Floats, Floats, int], Floats]
    responds: Callable[[Floats, float], Floats]
    of_score: bool = False
    of_percent: bool = False
    of_harm: bool = False


def _loss(before: Floats, after: Floats, direction: int) -> Floats:
    return -_gain(before, after, direction)


def _final(before: Floats, after: Floats, direction: int) -> Floats:  # noqa: ARG001
    return direction * after


KINDS: Mapping[str, ThresholdKind] = MappingProxyType(
    {
        "change": ThresholdKind("improved by at least the value", _gain, _reached),
        "percent_change": ThresholdKind(
            "improved by at least the value, in per cent of the baseline",
            _percent,
            _reached,
            of_percent=True,
        ),
        "final": ThresholdKind(
            "score after at least as good as the value", _final, _reached, of_score=True
        ),
        "failure": ThresholdKind("improved by less than the value", _gain, _below, of_harm=True),
        "percent_failure": ThresholdKind(
            "improved by less than the value, in per cent of the baseline",
            _percent,
            _below,
            of_percent=True,
            of_harm=True,
        ),
        "worsening": ThresholdKind(
            "got worse by at least the value", _loss, _reached, of_harm=True
        ),
        "poor_state": ThresholdKind(
            "score after worse than the value", _final, _below, of_score=True, of_harm=True
        ),
    }
)
"""Every kind of threshold by name."""

_WORDS = ("id", "instrument", "meaning", "unit", "anchor", "method", "follow_up", "population")


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One rule that makes 1 or 0 of a score before and a score after.

    Attributes
    ----------
    id : str
        The name that a study uses.
    instrument : str
        Id of the instrument whose score it is about.
    kind : str
        `change`, `percent_change`, `final`, `failure`, `percent_failure`, `worsening` or
        `poor_state`; `KINDS` says what each asks.
    meaning : str
        What the source calls it: MIC, MCID, SCB, PASS, success, failure, poor state.
    value : float
        Above 0, in `unit`; for `final` and `poor_state` a score.
    unit : str
        "points", "index", or "% of baseline".
    anchor : str
        The question or rule it was estimated against.
    method : str
        How it was estimated.
    follow_up : str
        When the score after was taken.
    population : str
        Whom it was estimated in. It need not hold for others.
    source : str
        Where it was read. Nothing is taken without one.
    verified : bool
        Whether the value was read in that source as what it is used for here.
    why_unverified : str
        What is missing; empty when verified.

    Raises
    ------
    StudyError
        When a field is empty, the source among them, or `verified` and `why_unverified` do not
        go together.
    UnknownNameError
        When there is no such kind.
    ValuesError
        When the value is not finite, or not above 0 where it is an amount.

    Examples
    --------
    >>> mine = Threshold(
    ...     id="OHS_OURS", instrument="OHS", kind="change", meaning="success", value=10.0,
    ...     unit="points", anchor="none", method="agreed by our clinicians",
    ...     follow_up="6 months", population="our hips", source="Minutes of 3 May 2024")
    >>> responds(mine, [20.0, 20.0], [30.0, 29.0], 1)
    array([1., 0.])
    """

    id: str
    instrument: str
    kind: str
    meaning: str
    value: float
    unit: str
    anchor: str
    method: str
    follow_up: str
    population: str
    source: str
    verified: bool = True
    why_unverified: str = ""

    def __post_init__(self) -> None:
        self._check_value()
        self._check_words()
        self._check_kind()

    def _check_value(self) -> None:
        known = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not (known and np.isfinite(self.value)):
            raise ValuesError(f"{self.id}: wanted a finite number as value; got {self.value!r}.")

    def _check_words(self) -> None:
        if _blank(self.source):
            raise StudyError(
                f"{self.id}: wanted a source; got none. Say where the value {self.value:g} is from."
            )
        empty = [one for one in _WORDS if _blank(getattr(self, one))]
        if empty:
            raise StudyError(
                f"{self.id}: wanted words for {', '.join(empty)}; got none. "
                "Write 'not stated' where the source says nothing."
            )
        if self.verified != _blank(self.why_unverified):
            raise StudyError(
                f"{self.id}: wanted why_unverified where verified is False, and only there; got "
                f"verified={self.verified} and {self.why_unverified!r}."
            )

    def _check_kind(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError(
                f"{self.id}: wanted a kind among {', '.join(KINDS)}; got {self.kind!r}."
                f"{did_you_mean(self.kind, KINDS)}"
            )
        if not KINDS[self.kind].of_score and not self.value > 0:
            raise ValuesError(
                f"{self.id}: wanted an amount above 0; got {self.value:g}. An improvement counts "
                "upwards whichever way the instrument runs."
            )


def _blank(words: object) -> bool:
    return not isinstance(words, str) or not words.strip()


_POINTS, _PERCENT, _INDEX = "points", "% of baseline", "index"
_QUESTION = "anchor question, wording not seen"
_ROC = "receiver operating characteristic"
_GPE = "global perceived effect: completely recovered or much better"
_GPE_FAILED = "global perceived effect: unchanged or worse"
_REGISTRY_RULE = "rule of the registry, in its own code"
_RYGG = "Norwegian Registry for Spine Surgery, R package Rapporteket/rygg"
_NAKKE = "Norwegian Registry for Spine Surgery, R package Rapporteket/nakke"
_DISC = "lumbar disc herniation surgery, Norwegian Registry for Spine Surgery"
_SUCCESS = "Acta Orthop 2013;84:196-201 (PubMed 23506164)"
_BERG = "Berg et al. 2024, JAMA Netw Open (PMC10851101)"
_OXFORD = "J Clin Epidemiol 2015;68:73-79 (PubMed 25441700)"
_ACCEPTABLE = "Bone Joint Res 2014;3:7-13, doi 10.1302/2046-3758.31.2000141"
_HARRIS = (
    "Harris et al., Interpretation threshold values for the Oxford Knee Score in patients "
    "undergoing unicompartmental knee arthroplasty, Acta Orthop"
)
_WERNER = "Werner et al. 2017, Eur Spine J, doi 10.1007/s00586-017-5185-5"
_OSTELO = "Ostelo et al. 2008, Spine 33:90-94"
_CMS = "CBE 3559 and 3639 (p4qm.org), which take it from Lyman and Lee 2018, Clin Orthop Relat Res"
_KUNZE = "Kunze et al., Defining the Patient Acceptable Symptom State for the HOOS JR and KOOS JR"
_BEYOND_SCB = "J Arthroplasty 2025, doi 10.1016/j.arth.2025.09.027"
_DIAGNOSIS = "J Arthroplasty 2024, doi 10.1016/j.arth.2024.01.051"

_NHS_HIP = "82,415 patients listed for hip replacement, NHS England"
_NHS_KNEE = "94,015 patients listed for knee replacement, NHS England"
_CERVICAL = "anterior surgery for cervical radiculopathy without myelopathy, Norway"
_MEDICARE = "Medicare fee-for-service, 65 or older, elective primary"
_GROUP = (
    "the source gives it as about this much, and for mean changes of groups, not for single "
    "patients"
)

_FIELDS = (
    "id",
    "instrument",
    "kind",
    "meaning",
    "value",
    "unit",
    "anchor",
    "method",
    "follow_up",
    "population",
    "source",
    "why_unverified",
)

# fmt: off
_ROWS: tuple[tuple[str | float, ...], ...] = (
    ("OHS_MIC_8", "OHS", "change", "MIC", 8.0, _POINTS,
     _QUESTION, _ROC, "not seen", _NHS_HIP, _OXFORD),
    ("OKS_MIC_7", "OKS", "change", "MIC", 7.0, _POINTS,
     _QUESTION, _ROC, "not seen", _NHS_KNEE, _OXFORD),
    ("OHS_MIC_GROUP_11", "OHS", "change", "MIC of a group's mean", 11.0, _POINTS,
     _QUESTION, "anchor-based, group level", "not seen", _NHS_HIP, _OXFORD,
     _GROUP),
    ("OKS_MIC_GROUP_9", "OKS", "change", "MIC of a group's mean", 9.0, _POINTS,
     _QUESTION, "anchor-based, group level", "not seen", _NHS_KNEE, _OXFORD,
     _GROUP),
    ("OHS_PASS_42", "OHS", "final", "PASS", 42.0, _POINTS,
     "satisfaction, numeric rating scale", _ROC, "3 years (1.5 to 6)",
     "550 total hip replacements, prospective multicentre cohort", _ACCEPTABLE),
    ("OKS_PASS_37", "OKS", "final", "PASS", 37.0, _POINTS,
     "satisfaction, numeric rating scale", _ROC, "3 years (1.5 to 6)",
     "367 total knee replacements, prospective multicentre cohort", _ACCEPTABLE),
    ("OKS_UKA_MIC_7_1", "OKS", "change", "MIC", 7.1, _POINTS,
     _QUESTION, "adjusted predictive modelling", "12 months",
     "340 unicompartmental knees, one Danish hospital", _HARRIS),
    ("OKS_UKA_PASS_32_7", "OKS", "final", "PASS", 32.7, _POINTS,
     _QUESTION, "adjusted predictive modelling", "12 months",
     "340 unicompartmental knees, one Danish hospital", _HARRIS),
    ("OKS_UKA_FAILURE_29_3", "OKS", "poor_state", "treatment failure", 29.3, _POINTS,
     _QUESTION, "adjusted predictive modelling", "12 months",
     "340 unicompartmental knees, one Danish hospital", _HARRIS),
    ("HOOS_JR_SCB_22", "HOOS_JR", "change", "SCB", 22.0, _POINTS,
     "satisfaction with change", "anchor-based", "270 to 365 days", f"{_MEDICARE} hips", _CMS),
    ("KOOS_JR_SCB_20", "KOOS_JR", "change", "SCB", 20.0, _POINTS,
     "satisfaction with change", "anchor-based", "270 to 365 days", f"{_MEDICARE} knees", _CMS),
    ("HOOS_JR_MCID_7_76", "HOOS_JR", "change", "MCID", 7.76, _POINTS,
     "none", "distribution-based", "1 year",
     "primary total hip arthroplasty for osteoarthritis, one institution",
     f"{_DIAGNOSIS}; used in {_BEYOND_SCB}"),
    ("HOOS_JR_PASS_76_8", "HOOS_JR", "final", "PASS", 76.8, _POINTS,
     "not seen", "not seen", "not seen", "primary total hip arthroplasty", _BEYOND_SCB,
     "read as used there, not where it was estimated; a raw score of 4 scores 76.776, which is "
     "76.8 when rounded but not 76.8 or more, so who attains it turns on rounding"),
    ("HOOS_JR_PASS_76_7", "HOOS_JR", "final", "PASS", 76.7, _POINTS,
     "satisfaction: moderate improvement or better", _ROC, "2 years",
     "5,216 primary total hip arthroplasties, one institution", _KUNZE),
    ("KOOS_JR_PASS_63_7", "KOOS_JR", "final", "PASS", 63.7, _POINTS,
     "satisfaction: moderate improvement or better", _ROC, "2 years",
     "4,036 primary total knee arthroplasties, one institution", _KUNZE),
    ("ODI_DISC_SUCCESS_20", "ODI", "change", "success", 20.0, _POINTS,
     _GPE, _ROC, "12 months", f"692 patients, {_DISC}", f"{_SUCCESS}; {_RYGG}"),
    ("NRS_BACK_DISC_SUCCESS_2_5", "NRS_BACK", "change", "success", 2.5, _POINTS,
     _GPE, _ROC, "12 months", f"692 patients, {_DISC}", _SUCCESS),
    ("NRS_LEG_DISC_SUCCESS_3_5", "NRS_LEG", "change", "success", 3.5, _POINTS,
     _GPE, _ROC, "12 months", f"692 patients, {_DISC}", _SUCCESS),
    ("EQ5D_DISC_SUCCESS_0_3", "EQ5D3L_UK_TTO", "change", "success", 0.3, _INDEX,
     _GPE, f"{_ROC}; sensitivity and specificity were very low", "12 months",
     f"692 patients, {_DISC}", _SUCCESS),
    ("ODI_DISC_SUCCESS_22", "ODI", "change", "success", 22.0, _POINTS,
     "not stated", "not stated", "12 months", f"22,707 operations, {_DISC}", _BERG),
    ("NRS_BACK_DISC_SUCCESS_2", "NRS_BACK", "change", "success", 2.0, _POINTS,
     "not stated", "not stated", "12 months", f"22,707 operations, {_DISC}", _BERG),
    ("NRS_LEG_DISC_SUCCESS_4", "NRS_LEG", "change", "success", 4.0, _POINTS,
     "not stated", "not stated", "12 months", f"22,707 operations, {_DISC}", _BERG),
    ("ODI_MIC_10", "ODI", "change", "MIC", 10.0, _POINTS,
     "various", "consensus of experts on the literature", "various", "low back pain", _OSTELO),
    ("ODI_MIC_30PCT", "ODI", "percent_change", "MIC", 30.0, _PERCENT,
     "various", "consensus of experts on the literature", "various", "low back pain", _OSTELO),
    ("ODI_STENOSIS_SUCCESS_30PCT", "ODI", "percent_change", "success", 30.0, _PERCENT,
     "global perceived effect: completely recovered or much improved",
     f"{_REGISTRY_RULE}; 81 % correctly classified", "24 months (NORDSTEN)",
     "lumbar spinal stenosis surgery, Norway; 601 patients of the NORDSTEN trials",
     f"{_RYGG}; NORDSTEN 2024, Eur Spine J, doi 10.1007/s00586-024-08440-1"),
    ("ODI_DISC_FAILURE_13", "ODI", "failure", "failure", 13.0, _POINTS,
     _GPE_FAILED, f"{_ROC}; sensitivity and specificity 0.82", "12 months",
     f"6,840 patients, {_DISC}", f"{_WERNER}; {_RYGG}"),
    ("ODI_DISC_FAILURE_33PCT", "ODI", "percent_failure", "failure", 33.0, _PERCENT,
     _GPE_FAILED, _ROC, "12 months", f"6,840 patients, {_DISC}", _WERNER),
    ("ODI_POOR_STATE_48", "ODI", "poor_state", "poor state", 48.0, _POINTS,
     "not stated", _REGISTRY_RULE, "not stated", "lumbar spine surgery, Norway", _RYGG),
    ("NDI_SUCCESS_35PCT", "NDI", "percent_change", "success", 35.0, _PERCENT,
     "not stated", _REGISTRY_RULE, "12 months", _CERVICAL, _NAKKE),
    ("NRS_ARM_SUCCESS_30PCT", "NRS_ARM", "percent_change", "success", 30.0, _PERCENT,
     "not stated", _REGISTRY_RULE, "12 months", _CERVICAL, _NAKKE),
)
# fmt: on


def _entry(row: tuple[str | float, ...]) -> Threshold:
    given = dict(zip(_FIELDS, row, strict=False))
    return Threshold(**given, verified="why_unverified" not in given)  # type: ignore[arg-type]


THRESHOLDS: Mapping[str, Threshold] = MappingProxyType({str(row[0]): _entry(row) for row in _ROWS})
"""Every threshold by its id."""


def threshold(name: str, *, allow_unverified: bool = False) -> Threshold:
    """Return the threshold with this id.

    Parameters
    ----------
    name : str
    allow_unverified : bool
        Whether one will do whose value was not read in its source as what it is used for here.

    Raises
    ------
    UnknownNameError
        When there is no such threshold, or none of its instrument.
    StudyError
        When it is unverified and that is not allowed.
    ValuesError
        When the value lies outside the instrument's scores.

    Examples
    --------
    >>> threshold("OHS_MIC_8").value
    8.0
    >>> threshold("OHS_MIC_GROUP_11", allow_unverified=True).verified
    False
    """
    if name not in THRESHOLDS:
        raise UnknownNameError(
            f"wanted a threshold among {', '.join(THRESHOLDS)}; got {name!r}."
            f"{did_you_mean(name, THRESHOLDS)}"
        )
    found = THRESHOLDS[name]
    if not found.verified and not allow_unverified:
        raise StudyError(_unverified(found))
    check_threshold(found, instrument(found.instrument))
    return found


def thresholds_of(instrument_id: str) -> tuple[Threshold, ...]:
    """Return the thresholds of an instrument, in the order of the registry.

    Examples
    --------
    >>> [one.id for one in thresholds_of("OHS") if one.verified]
    ['OHS_MIC_8', 'OHS_PASS_42']
    """
    return tuple(one for one in THRESHOLDS.values() if one.instrument == instrument_id)


def check_threshold(threshold: Threshold, instrument: Instrument) -> None:
    """Refuse a threshold that cannot be about this instrument's scores.

    Raises
    ------
    ValuesError
        When it is about another instrument, no score can pass it, or percentages are wanted of
        scores that do not begin at 0.

    Examples
    --------
    >>> from riskadj.instruments import instrument
    >>> check_threshold(threshold("OHS_MIC_8"), instrument("OHS"))
    """
    if threshold.instrument != instrument.id:
        raise ValuesError(
            f"{threshold.id}: wanted scores of {threshold.instrument}; got {instrument.id}."
        )
    low, high = instrument.score_range
    kind = KINDS[threshold.kind]
    if kind.of_percent and low != 0:
        raise ValuesError(
            f"{threshold.id}: wanted scores that begin at 0; got {low:g} to {high:g}. "
            "A percentage of such a baseline has no meaning; use a change."
        )
    if kind.of_percent:
        return
    least, most = (low, high) if kind.of_score else (0.0, high - low)
    if not least <= threshold.value <= most:
        raise ValuesError(
            f"{threshold.id}: wanted a value from {least:g} to {most:g} ({instrument.id}); "
            f"got {threshold.value:g}."
        )


def responds(threshold: Threshold, before: ArrayLike, after: ArrayLike, direction: int) -> Floats:
    """Say of each episode whether the threshold's rule holds.

    Parameters
    ----------
    threshold : Threshold
        1 is what its kind says: of a `failure`, 1 is a failure.
    before, after : array-like of shape (n_episodes,)
        Scores; NaN where missing.
    direction : int
        +1 when a higher score is better, -1 when a lower one is.

    Returns
    -------
    ndarray of shape (n_episodes,)
        1 or 0. NaN where undefined: a score that is needed is missing (`final` and `poor_state`
        need no baseline), or a percentage of a baseline that is not above 0.

    Raises
    ------
    ArrayError
        When scores are infinite, no numbers, or of unequal length.
    ValuesError
        When the direction is neither +1 nor -1.

    Notes
    -----
    Exactly the value counts as reached, and so does what misses it by the rounding of binary
    fractions: from -0.58 to -0.28 is a gain of 0.3.

    Examples
    --------
    >>> responds(THRESHOLDS["NDI_SUCCESS_35PCT"], [40, 40, 0], [26, 27, 0], -1)
    array([ 1.,  0., nan])
    """
    start, end = _scores("before", before), _scores("after", after)
    if start.shape != end.shape:
        raise ArrayError(f"after: wanted {len(start)} scores, as many as before; got {len(end)}.")
    return _apply(threshold, start, end, _sign(direction))


def attainable(
    threshold: Threshold,
    before: ArrayLike,
    score_range: tuple[float, float],
    direction: int,
) -> NDArray[np.bool_]:
    """Say of each episode whether its baseline leaves the outcome open.

    With a very good baseline there is no room to improve by much: HOOS JR scores of 80.550 or
    more can never gain 22. Such episodes are decided before they begin, and so tell nothing of
    their provider.

    Parameters
    ----------
    threshold : Threshold
    before : array-like of shape (n_episodes,)
        Baseline scores; NaN where missing.
    score_range : tuple of float
        Lowest and highest score of the instrument.
    direction : int
        +1 when a higher score is better, -1 when a lower one is.

    Returns
    -------
    ndarray of bool, shape (n_episodes,)
        True where the best and the worst possible score after lead to different answers. False
        where they do not, and where the answer would be undefined (see `responds`).

    Raises
    ------
    ArrayError, ValuesError
        As `responds`; also when a baseline lies outside the range.

    Examples
    --------
    >>> attainable(THRESHOLDS["HOOS_JR_SCB_22"], [80.55, 76.776], (0.0, 100.0), 1)
    array([False,  True])
    """
    low, high = _range_of(threshold, score_range)
    start, sign = _scores("before", before), _sign(direction)
    outside = (start < low - ROUNDING) | (start > high + ROUNDING)
    if outside.any():
        raise ValuesError(
            f"{threshold.id}: wanted baselines from {low:g} to {high:g}; "
            f"got {start[outside][0]:g} ({outside.sum():,} in all)."
        )
    lowest, highest = (
        _apply(threshold, start, np.full(start.shape, one), sign) for one in (low, high)
    )
    return np.asarray(np.abs(highest - lowest) == 1.0)


def _apply(threshold: Threshold, before: Floats, after: Floats, direction: int) -> Floats:
    kind = KINDS[threshold.kind]
    value = direction * threshold.value if kind.of_score else threshold.value
    return kind.responds(kind.amount(before, after, direction), value)


def _scores(name: str, values: ArrayLike) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"{name}: wanted numbers; got others ({error}).") from None
    if array.ndim != 1:
        raise ArrayError(f"{name}: wanted one score per episode; got shape {array.shape}.")
    if np.isinf(array).any():
        raise ArrayError(f"{name}: wanted finite scores, or NaN where missing; got infinite ones.")
    return array


def _sign(direction: int) -> int:
    if direction not in (-1, 1):
        raise ValuesError(
            f"direction: wanted 1 (higher is better) or -1 (lower is better); got {direction!r}."
        )
    return int(direction)


def _range_of(threshold: Threshold, score_range: tuple[float, float]) -> tuple[float, float]:
    low, high = score_range
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValuesError(
            f"{threshold.id}: wanted a lowest and a highest score; got {score_range!r}."
        )
    return low, high


def _unverified(found: Threshold) -> str:
    others = [one.id for one in thresholds_of(found.instrument) if one.verified]
    instead = f", or take one of {', '.join(others)}" if others else ""
    return (
        f"{found.id}: wanted a threshold that has been verified; got one that has not: "
        f"{found.why_unverified}. Check it at its source ({found.source}) and allow unverified "
        f"ones{instead}."
    )
