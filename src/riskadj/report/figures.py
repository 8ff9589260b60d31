"""What is drawn of a run, what its figures are called, and what they say in words.

One description per figure says what it shows, for those who do not see it; the marks themselves
are silent. The same findings give the same bytes. How a chart is put together is in `charts`.
"""

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from riskadj.report.blocks import Block, figure
from riskadj.report.charts import (
    draw_calibration,
    draw_caterpillar,
    draw_features,
    draw_funnel,
    to_svg,
)
from riskadj.report.comparison import Comparison, comparison
from riskadj.report.findings import Findings
from riskadj.report.words import counted
from riskadj.study import Outcome


def draw_figures(findings: Findings) -> dict[str, str]:
    """Draw every figure of the findings.

    Returns
    -------
    dict
        File name -> SVG text, by outcome, learner and kind; a figure without data is left out.

    Examples
    --------
    >>> figures = draw_figures(findings)  # doctest: +SKIP
    >>> sorted(figures)[0]  # doctest: +SKIP
    'calibration_ohs_linear.svg'
    """
    return {
        figure_name(kind, one.outcome.name, one.learner): _draw(kind, one)
        for kind, one in _wanted(findings)
    }


def figure_descriptions(findings: Findings, kind: str, outcome: Outcome) -> dict[str, str]:
    """Return what the figures of one kind and outcome show, in words, by learner.

    Examples
    --------
    >>> figure_descriptions(findings, "funnel", outcome)["linear"]  # doctest: +SKIP
    'Funnel plot of 238 providers, ...'
    """
    ones = [comparison(findings, outcome, learner.kind) for learner in findings.study.learners]
    return {one.learner: _KINDS[kind].describe(one) for one in ones if _KINDS[kind].possible(one)}


def figure_blocks(findings: Findings, kind: str, outcome: Outcome) -> list[Block]:
    """Return the figures of one kind and outcome as blocks of a card, one per learner."""
    return [
        figure(figure_name(kind, outcome.name, learner), description, f"{outcome.name}, {learner}")
        for learner, description in figure_descriptions(findings, kind, outcome).items()
    ]


def figure_name(kind: str, outcome: str, learner: str) -> str:
    """Return the file name of a figure.

    Examples
    --------
    >>> figure_name("funnel", "ohs", "linear")
    'funnel_ohs_linear.svg'
    """
    return f"{kind}_{outcome}_{learner}.svg"


def _wanted(findings: Findings) -> list[tuple[str, Comparison]]:
    pairs = product(findings.study.outcomes, findings.study.learners)
    comparisons = [comparison(findings, outcome, one.kind) for outcome, one in pairs]
    return [
        (name, one) for one in comparisons for name, kind in _KINDS.items() if kind.possible(one)
    ]


def _draw(kind: str, one: Comparison) -> str:
    title, *sentences = _KINDS[kind].say(one)
    name = figure_name(kind, one.outcome.name, one.learner).removesuffix(".svg")
    chart, description = _KINDS[kind].draw(one), _KINDS[kind].describe(one)
    return to_svg(chart, name, title, " ".join(sentences), description)


# --- funnel and caterpillar -----------------------------------------------------------------------


def _funnel_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: adjusted gain and number of episodes",
        f"Each mark is a provider. {_gain_against(one)}",
        "Outside the inner curves chance alone would put 1 provider in 20, outside the outer "
        "ones 1 in 500.",
    )


def _gain_against(one: Comparison) -> str:
    gain = one.with_unit(one.reference["gain"])
    source = ", as the study gives it" if one.outcome.reference else ""
    return f"Expected by {one.title}; centred on the reference gain of {gain}{source}."


def _describe_funnel(one: Comparison) -> str:
    counts = ", ".join(f"{number} {place}" for place, number in one.places.items())
    more = counted(one.not_compared, "more provider")
    left_out = f"; not compared, having too few episodes: {more}" if one.not_compared else ""
    return (
        f"Funnel plot of {counted(len(one.compared), 'provider')}, {counts}{left_out}. "
        f"{_gain_against(one)}"
    )


def _caterpillar_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: providers in order of adjusted gain",
        f"Bars are 95 % intervals. {_gain_against(one)}",
        "Where bars overlap, the order between neighbours is not to be relied on.",
    )


def _describe_caterpillar(one: Comparison) -> str:
    rows, gain = one.compared, one.reference["gain"]
    covering = int(((rows["ci_lower95"] <= gain) & (rows["ci_upper95"] >= gain)).sum())
    providers = counted(len(rows), "provider")
    return (
        f"Caterpillar plot of {providers} in order of adjusted gain, with 95 % "
        f"intervals; {covering} of the intervals hold the reference gain. {_gain_against(one)}"
    )


# --- calibration and features ---------------------------------------------------------------------


def _calibration_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: observed against expected, by tenth",
        "Left: the score after, in tenths of the expected score; on the line, observed equals "
        f"expected. Right: how far off it. Expected by {one.title}.",
    )


def _describe_calibration(one: Comparison) -> str:
    worst = one.calibration.loc[one.calibration["difference"].abs().idxmax()]
    return (
        f"Observed against expected score after in tenths of the expected score, {one.title}. "
        f"The largest difference, {one.with_unit(worst['difference'], 1)}, is in tenth "
        f"{int(worst['decile'])} of {len(one.calibration)}."
    )


def _features_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.measure}: what moves the expectation",
        f"Mean absolute contribution to the expected score, {one.unit}, in {one.title}; "
        f"the {len(one.features)} largest. Contributions are not causes.",
    )


def _describe_features(one: Comparison) -> str:
    first = one.features.head(3)
    named = "; ".join(
        f"{label}, {one.text(value, 1)}"
        for label, value in zip(first["label"], first["mean_absolute"], strict=True)
    )
    columns = counted(len(one.features), "column")
    return (
        f"Bars of the mean absolute contribution of {columns} to the expected score in "
        f"{one.unit}, {one.title}. The largest: {named}."
    )


# --- the figures as data --------------------------------------------------------------------------


class _Kind(NamedTuple):
    """One kind of figure: its words, its description, its chart, and when it can be drawn."""

    say: Callable[[Comparison], tuple[str, ...]]
    describe: Callable[[Comparison], str]
    draw: Callable[[Comparison], Any]
    possible: Callable[[Comparison], bool]


def _has_compared(one: Comparison) -> bool:
    return not one.compared.empty


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "funnel": _Kind(_funnel_words, _describe_funnel, draw_funnel, _has_compared),
        "caterpillar": _Kind(
            _caterpillar_words, _describe_caterpillar, draw_caterpillar, _has_compared
        ),
        "calibration": _Kind(
            _calibration_words, _describe_calibration, draw_calibration,
            lambda one: not one.calibration.empty,
        ),
        "features": _Kind(
            _features_words, _describe_features, draw_features,
            lambda one: not one.features.empty,
        ),
    }
)  # fmt: skip
