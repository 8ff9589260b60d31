"""How a report calls things and writes numbers."""

from collections.abc import Iterable, Mapping
from math import ceil, isfinite
from types import MappingProxyType

from riskadj.episodes.columns import Column
from riskadj.explain.shap_values import FOLD
from riskadj.study import Outcome

LEARNER_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "reference": "the publisher's model",
        "linear": "the linear model",
        "lightgbm": "boosted trees",
        "ceiling": "the two-part model",
        "stacked": "the stack",
    }
)
"""What a learner is called in a sentence."""

UNIT_DECIMALS: Mapping[str, int] = MappingProxyType({"points": 1, "index": 3, "%": 1, "share": 3})
UNIT_PHRASES: Mapping[str, str] = MappingProxyType(
    {"index": "on the index", "share": "of episodes"}
)

FOLD_TITLE = "model of the fold"
LONGEST_LABEL = 34
TOP_FEATURES = 15
ROUNDS_TO_ZERO = 5e-7
NO_VOLUME = "no volume"


def learner_title(kind: str) -> str:
    """Return what a learner is called in a sentence."""
    return LEARNER_TITLES.get(kind, kind)


def measure(outcome: Outcome) -> str:
    """Return what an outcome measures, without what qualifies it.

    Examples
    --------
    >>> measure(Outcome(name="ohs", instrument="OHS", kind="gain"))
    'Oxford Hip Score'
    """
    return outcome.definition.title.split(",")[0]


def named(outcome: Outcome) -> str:
    """Return an outcome with its name in the tables and its unit, for captions."""
    return f"{measure(outcome)} ({outcome.name}), {outcome.unit}"


def sentence_decimals(outcome: Outcome) -> int:
    """Return how many decimals of a score a sentence shows."""
    return UNIT_DECIMALS.get(outcome.unit, 2)


def table_decimals(outcome: Outcome) -> int:
    """Return how many decimals of a score a table shows."""
    return sentence_decimals(outcome) + 1


def unit_phrase(outcome: Outcome) -> str:
    """Return the unit as it follows a number in a sentence."""
    return UNIT_PHRASES.get(outcome.unit, outcome.unit)


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
    return "log-odds" if outcome.compares.family == "binomial" else unit_phrase(outcome)


def population(outcome: Outcome) -> str:
    """Return what the episodes compared are called; a given reference population is another."""
    return "all episodes compared" if outcome.reference else "the reference population"


def theme_title(theme: str) -> str:
    """Return what a theme of contributions is called."""
    return FOLD_TITLE if theme == FOLD else theme


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
        decimals = 0 if isinstance(value, int) else _three_digits(value)
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


def _three_digits(value: float) -> int:
    if abs(value) < ROUNDS_TO_ZERO:
        return 0
    exponent = int(f"{value:e}".rpartition("e")[2])
    return min(max(2 - exponent, 0), 6)
