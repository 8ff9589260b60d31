"""How a report calls things and writes numbers."""

import re
from collections.abc import Iterable, Mapping
from math import ceil, isfinite
from types import MappingProxyType

from riskadj.episodes.columns import Column
from riskadj.explain.shap_values import COARSE, FOLD
from riskadj.study import Outcome

LEARNER_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "reference": "the publisher's model",
        "linear": "the linear model",
        "lightgbm": "boosted trees",
        "ceiling": "the two-part model",
        "stacked": "the stack",
        "gamma": "the gamma model",
        "tweedie": "the Tweedie model",
        "two_part": "the model of cost in two parts",
        "log_smearing": "the model of logarithms",
    }
)
"""What a learner is called in a sentence."""

UNIT_DECIMALS: Mapping[str, int] = MappingProxyType({"points": 1, "index": 3, "%": 1, "share": 3})
UNIT_PHRASES: Mapping[str, str] = MappingProxyType(
    {"index": "on the index", "share": "of episodes"}
)

PROCEDURES: Mapping[str, str] = MappingProxyType(
    {
        "HIP_PRIM": "primary hip replacement",
        "HIP_REV": "revision hip replacement",
        "KNEE_PRIM": "primary knee replacement",
        "KNEE_REV": "revision knee replacement",
        "LUMBAR_DISC": "lumbar disc surgery",
        "LUMBAR_STENOSIS": "lumbar stenosis surgery",
        "LUMBAR_FUSION": "lumbar fusion",
        "CERVICAL_RADICULOPATHY_ANTERIOR": "anterior surgery for cervical radiculopathy",
        "LOW_BACK_PAIN": "care for low back pain",
    }
)
"""What a group of procedures is called in a sentence."""

HEADINGS: Mapping[str, str] = MappingProxyType(
    {
        "n": "episodes",
        "provider_id": "provider",
        "fold": "episodes are",
        "group": "group of patients",
        "column": "what",
        "adjusted_for": "in the case mix",
        "mean_residual": "observed \N{MINUS SIGN} expected",
        "predictive_ratio": "expected over observed",
        "net_compensation": "expected \N{MINUS SIGN} observed",
        "within_providers": "observed \N{MINUS SIGN} expected, beyond others of the same provider",
        "at_better": "share at providers flagged better",
        "at_better_above_all": "share at providers flagged better, more than of everybody",
        "at_worse": "share at providers flagged worse",
        "at_worse_above_all": "share at providers flagged worse, more than of everybody",
        "come_out": "providers come out",
        "mode": "way",
        "own": "the study's own",
        "stratum": "patients in like circumstances",
        "strata": "groups of like circumstances",
        "ratio": "observed over expected",
        "difference": "observed \N{MINUS SIGN} expected",
        "ci": "adjusted result",
        "adjusted": "adjusted result",
        "peer_group": "group of peers",
        "targeted": "among the groups named",
        "r2": "R\N{SUPERSCRIPT TWO}",
        "r2_change": "change of R\N{SUPERSCRIPT TWO}",
        "out_of_range": "share of impossible expectations",
        "part": "part",
        "from_period": "from",
        "to_period": "to",
        "n_from": "episodes before",
        "n_to": "episodes after",
        "standardised": "change in standard deviations of patients",
        "stability": "population stability index",
        "stability_by_chance": "population stability index had nothing changed",
        "between": "standard deviation of providers' changes beyond chance",
        "fell": "providers that fell",
        "rose": "providers that rose",
    }
)
"""What columns of tables are called; others by their own name, in words."""

WAYS: Mapping[str, str] = MappingProxyType(
    {
        "study": "as the study has it",
        "none": "none: case mix alone",
        "adjust": "adjust for them",
        "stratify": "like against like",
        "peer_group": "peer groups",
    }
)
"""Ways to treat social factors."""

FOLD_TITLE = "model of the fold"
ROUNDING_TITLE = "rounding"
PART_TITLES = {FOLD: FOLD_TITLE, COARSE: ROUNDING_TITLE}
"""What parts of an expectation that are of no column are called."""
OF_ROUNDING = (
    "Rounding: parts are told in whole groups of as many patients as are few, so that no number of "
    "patients with a condition follows from them."
)
LONGEST_NAME = 18
"""Letters of a provider's name in a figure with a row to each."""
LONGEST_LABEL = 34
TOP_FEATURES = 15
ROUNDS_TO_ZERO = 5e-7
NO_VOLUME = "no volume"
REACHED: Mapping[str, str] = MappingProxyType(
    {
        "change": "improved by {value} or more",
        "percent_change": "improved by {value} or more",
        "final": "of {value} or {more} after",
        "failure": "improved by less than {value}",
        "percent_failure": "improved by less than {value}",
        "worsening": "worse by {value} or more",
        "poor_state": "{below} {value} after",
    }
)
"""What a responder's score has to be, by kind of threshold."""
_UNITS_OF_THRESHOLDS: Mapping[str, str] = MappingProxyType({"% of baseline": "%", "index": ""})
_DIRECTIONS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {1: {"more": "more", "below": "below"}, -1: {"more": "less", "below": "above"}}
)
_PLAIN_KINDS = ("gain", "cost", "responder")
"""What is compared goes without saying, or is said anyhow."""


def learner_title(kind: str) -> str:
    """Return what a learner is called in a sentence."""
    return LEARNER_TITLES.get(kind, kind)


def measure(outcome: Outcome) -> str:
    """Return what an outcome measures, without what qualifies it; of a responder, what it reaches.

    Examples
    --------
    >>> measure(Outcome(name="ohs", instrument="OHS", kind="gain"))
    'Oxford Hip Score'
    >>> rule = {"kind": "percent_change", "value": 35, "source": "an example"}
    >>> measure(Outcome(name="better", instrument="OHS", kind="responder", threshold=rule))
    'Oxford Hip Score improved by 35 % or more'
    """
    title = _title(outcome)
    if is_cost(outcome):
        return title.replace(": ", ", ", 1)
    return title if outcome.threshold is None else f"{title} {_reached(outcome)}"


def called(outcome: Outcome, among: Iterable[Outcome]) -> str:
    """Return what a sentence calls an outcome; with name and kind where others measure the same.

    Examples
    --------
    >>> gain = Outcome(name="ohs", instrument="OHS", kind="gain")
    >>> after = Outcome(name="later", instrument="OHS", kind="final_score")
    >>> called(gain, [gain]), called(after, [gain, after])
    ('Oxford Hip Score', 'Oxford Hip Score (later, final score)')
    """
    if sum(_title(one) == _title(outcome) for one in among) < 2:
        return measure(outcome)
    kind = "" if outcome.kind == "responder" else f", {_kind(outcome)}"
    return f"{measure(outcome)} ({outcome.name}{kind})"


def named(outcome: Outcome) -> str:
    """Return an outcome with its name in the tables and its unit, for captions.

    Examples
    --------
    >>> named(Outcome(name="ohs", instrument="OHS", kind="gain"))
    'Oxford Hip Score (ohs), points'
    >>> named(Outcome(name="ohs", instrument="OHS", kind="percentage_change"))
    'Oxford Hip Score, percentage change (ohs), %'
    """
    kind = "" if outcome.kind in _PLAIN_KINDS else f", {_kind(outcome)}"
    return f"{measure(outcome)}{kind} ({outcome.name}), {outcome.unit}"


def _title(outcome: Outcome) -> str:
    return outcome.measured.title.split(",")[0]


def _kind(outcome: Outcome) -> str:
    return outcome.kind.replace("_", " ")


def _reached(outcome: Outcome) -> str:
    rule = outcome.rule
    value = f"{rule.value:g} {_UNITS_OF_THRESHOLDS.get(rule.unit, rule.unit)}".rstrip()
    return REACHED[rule.kind].format(value=value, **_DIRECTIONS[outcome.definition.direction])


def sentence_decimals(outcome: Outcome) -> int:
    """Return how many decimals of a score a sentence shows."""
    return UNIT_DECIMALS.get(outcome.unit, 0 if is_cost(outcome) else 2)


def table_decimals(outcome: Outcome) -> int:
    """Return how many decimals of a score a table shows."""
    return sentence_decimals(outcome) + (0 if is_cost(outcome) else 1)


def is_cost(outcome: Outcome) -> bool:
    """Whether ratios are what is told of an outcome, and effects are logarithms."""
    return outcome.compares.family == "gamma"


def unit_phrase(outcome: Outcome) -> str:
    """Return the unit as it follows a number in a sentence."""
    return UNIT_PHRASES.get(outcome.unit, outcome.unit)


def procedure_title(group: str) -> str:
    """Return what a group of procedures is called in a sentence.

    Examples
    --------
    >>> procedure_title("HIP_PRIM"), procedure_title("DRG_301")
    ('primary hip replacement', 'DRG 301')
    """
    return PROCEDURES.get(group, group.replace("_", " "))


def level_title(level: str) -> str:
    """Return what a level of a column is called.

    Examples
    --------
    >>> level_title("care_home")
    'care home'
    """
    return level.replace("_", " ")


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name, cut where a figure has no room for all of it.

    Examples
    --------
    >>> shortened("P001"), shortened("An Infirmary by the River")
    ('P001', 'An Infirmary by t…')
    """
    cut = f"{name[: longest - 1]}\N{HORIZONTAL ELLIPSIS}"
    return name if len(name) <= longest else cut


def noun_of(outcomes: Iterable[Outcome]) -> str:
    """Return what outcomes compare, in one word.

    Examples
    --------
    >>> noun_of([Outcome(name="ohs", instrument="OHS", kind="gain")])
    'gain'
    """
    nouns = {one.compares.noun for one in outcomes}
    return nouns.pop() if len(nouns) == 1 else "result"


def explained_in(outcome: Outcome) -> str:
    """Return the unit of contributions to an expectation."""
    return _EXPLAINED.get(outcome.compares.family) or unit_phrase(outcome)


_EXPLAINED: Mapping[str, str] = MappingProxyType(
    {"binomial": "log-odds", "gamma": "on the log scale"}
)


def explained_decimals(outcome: Outcome) -> int:
    """Return how many decimals of a contribution a sentence shows."""
    return 2 if is_cost(outcome) else sentence_decimals(outcome)


def population(outcome: Outcome) -> str:
    """Return what the episodes compared are called; a given reference population is another."""
    return "all episodes compared" if outcome.reference else "the reference population"


def theme_title(theme: str) -> str:
    """Return what a theme of contributions is called."""
    return PART_TITLES.get(theme, theme)


def feature_label(name: str, columns: Mapping[str, Column]) -> str:
    """Return a short name for people: what the column means, or its own name where that is long.

    Examples
    --------
    >>> from riskadj.episodes.columns import COLUMNS
    >>> feature_label("q1_score_ohs", COLUMNS), feature_label("symptom_period", COLUMNS)
    ('Oxford Hip Score (before)', 'symptom period')
    """
    meaning = columns[name].meaning if name in columns else ""
    if meaning.endswith(", before"):
        meaning = f"{meaning.split(',')[0]} (before)"
    return meaning if 0 < len(meaning) <= LONGEST_LABEL else name.replace("_", " ")


def kept_in(file: str, what: str) -> str:
    """Return where a reader finds what a table leaves out.

    Examples
    --------
    >>> kept_in("providers.csv", "every provider")
    'Every provider is in the table providers.csv of the run folder.'
    """
    verb = "are" if what.startswith("all ") else "is"
    return f"{what[0].upper()}{what[1:]} {verb} in the table {file} of the run folder."


def in_order(text: str) -> tuple[tuple[bool, float, str], ...]:
    """Return what puts texts into the order that people expect: 2 before 10.

    Examples
    --------
    >>> sorted(["10", "2", "not recorded", "1", "60 to 69"], key=in_order)
    ['1', '2', '10', '60 to 69', 'not recorded']
    """
    parts = [one for one in re.split(r"([0-9]+(?:\.[0-9]+)?)", text) if one]
    return tuple((False, float(one), "") if one[0].isdigit() else (True, 0.0, one) for one in parts)


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    Examples
    --------
    >>> counted(1, "provider"), counted(2, "provider")
    ('1 provider', '2 providers')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(parts: Iterable[str]) -> str:
    """Return parts as a sentence lists them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def format_number(value: float, decimals: int | None = None) -> str:
    """Return a number for people: thousands set off, a true minus, no negative zero.

    Parameters
    ----------
    value : float
        The number.
    decimals : int, optional
        How many to show; by default as many as make three significant digits.

    Examples
    --------
    >>> format_number(38136), format_number(22.6798, 1), format_number(0.0123456)
    ('38,136', '22.7', '0.0123')
    """
    if decimals is None:
        decimals = 0 if isinstance(value, int) else three_digits(value)
    shown = f"{abs(value):,.{decimals}f}"
    negative = value < 0 and any(one in shown for one in "123456789")
    return f"\N{MINUS SIGN}{shown}" if negative else shown


def format_volume(episodes: float) -> str:
    """Return a number of episodes that is needed, or that none is enough.

    Examples
    --------
    >>> format_volume(236.3), format_volume(float("inf"))
    ('237', 'no volume')
    """
    return format_number(ceil(episodes)) if isfinite(episodes) else NO_VOLUME


def three_digits(value: float) -> int:
    """Return how many decimals make three significant digits.

    Examples
    --------
    >>> three_digits(120331.4), three_digits(3.817), three_digits(0.0821)
    (0, 2, 4)
    """
    if abs(value) < ROUNDS_TO_ZERO:
        return 0
    exponent = int(f"{value:e}".rpartition("e")[2])
    return min(max(2 - exponent, 0), 6)
