"""What is drawn of a run, what its figures are called, and what they say in words.

One description per figure says what it shows, for those who do not see it; the marks themselves
are silent. The same findings give the same bytes. How a chart is put together is in `charts`.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

from riskadj.report.blocks import Block, figure
from riskadj.report.charts.answering import NAMES, Answering, answering, draw_answering
from riskadj.report.charts.compared import (
    draw_calibration,
    draw_caterpillar,
    draw_features,
    draw_funnel,
    draw_reliability,
)
from riskadj.report.charts.comparison import Comparison, comparison
from riskadj.report.charts.drawing import to_svg
from riskadj.report.charts.graded import (
    describe_graded,
    draw_graded,
    graded_curves,
    graded_words,
    has_curve,
)
from riskadj.report.charts.grid import draw_sensitivity
from riskadj.report.charts.groups import (
    describe_groups,
    draw_groups,
    group_forests,
    group_words,
    has_groups,
)
from riskadj.report.charts.value import (
    describe_value,
    draw_value,
    has_values,
    value_planes,
    value_words,
)
from riskadj.report.choices import ESTIMATORS, METHODS, chance_in_words, interval_in_words
from riskadj.report.contest import Contest, contest
from riskadj.report.findings import Findings
from riskadj.report.lookup import called
from riskadj.report.places import Places
from riskadj.report.words import counted, format_volume, listed
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
        figure_name(kind, outcome.name, one.learner): _draw(kind, one)
        for outcome in findings.study.outcomes
        for kind in _KINDS
        for one in _subjects(findings, kind, outcome)
    }


def figure_descriptions(findings: Findings, kind: str, outcome: Outcome) -> dict[str, str]:
    """Return what the figures of one kind and outcome show, in words, by learner.

    Examples
    --------
    >>> figure_descriptions(findings, "funnel", outcome)["linear"]  # doctest: +SKIP
    'Funnel plot of 238 providers, ...'
    """
    subjects = _subjects(findings, kind, outcome)
    return {one.learner: _KINDS[kind].describe(one) for one in subjects}


def figure_blocks(findings: Findings, kind: str, outcome: Outcome) -> list[Block]:
    """Return the figures of one kind and outcome as blocks of a card."""
    return [
        figure(
            figure_name(kind, outcome.name, one.learner),
            _KINDS[kind].describe(one),
            f"{called(findings, outcome)}, {one.title}",
        )
        for one in _subjects(findings, kind, outcome)
    ]


def figure_name(kind: str, outcome: str, learner: str) -> str:
    """Return the file name of a figure; one of all learners names none.

    Examples
    --------
    >>> figure_name("funnel", "ohs", "linear"), figure_name("sensitivity", "ohs", "")
    ('funnel_ohs_linear.svg', 'sensitivity_ohs.svg')
    """
    return f"{'_'.join(one for one in (kind, outcome, learner) if one)}.svg"


def _subjects(findings: Findings, kind: str, outcome: Outcome) -> list[Any]:
    """Return what a kind of figure can be drawn of, as there is data enough."""
    return [one for one in _KINDS[kind].subjects(findings, outcome) if _KINDS[kind].possible(one)]


def _by_learner(findings: Findings, outcome: Outcome) -> list[Comparison]:
    return [comparison(findings, outcome, one.kind) for one in findings.study.learners_of(outcome)]


def _of_all_learners(findings: Findings, outcome: Outcome) -> list[Contest]:
    return [contest(findings, outcome)]


def _draw(kind: str, one: Any) -> str:
    title, *sentences = _KINDS[kind].say(one)
    name = figure_name(kind, one.outcome.name, one.learner).removesuffix(".svg")
    chart, description = _KINDS[kind].draw(one), _KINDS[kind].describe(one)
    subtitle = " ".join(one for one in sentences if one)
    return to_svg(chart, name, title, subtitle, description)


# --- funnel and caterpillar -----------------------------------------------------------------------


def _funnel_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.called}: {one.result} and number of episodes",
        f"Each mark is a provider. {_gain_against(one)}",
        chance_in_words(one.rules),
        "" if one.by_volume else "Ticks are each provider's own limits.",
    )


def _gain_against(one: Comparison) -> str:
    return f"Expected by {one.title}; {_centre_in_words(one)}."


def _centre_in_words(one: Comparison) -> str:
    if one.centre is None:
        return f"each against providers alike in {str(one.rules.peer_group).replace('_', ' ')}"
    given = isinstance(one.rules.reference, float) or one.outcome.reference
    source = ", as the study gives it" if given else ""
    middle = "the middle of all providers, not on " if one.reference["shift"] else ""
    ratio = f", shown as {one.shown(one.centre)}" if one.is_ratio else ""
    centre = one.with_unit(one.centre)
    return f"centred on {middle}the reference {one.noun} of {centre}{ratio}{source}"


def _describe_funnel(one: Comparison) -> str:
    counts = ", ".join(f"{number} {place}" for place, number in one.places.items())
    more = counted(one.not_compared, "more provider")
    low = " or too low a response" if one.rules.minimum_response else ""
    low += " or no peers" if one.rules.peer_group else ""
    left_out = f"; not compared, having too few episodes{low}: {more}" if one.not_compared else ""
    return (
        f"Funnel plot of {counted(len(one.compared), 'provider')}, {counts}{left_out}. "
        f"{_gain_against(one)}"
    )


def _caterpillar_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.called}: providers in order of {one.result}",
        f"{interval_in_words(one.rules)} {_gain_against(one)}",
        "Where bars overlap, the order between neighbours is not to be relied on.",
    )


def _describe_caterpillar(one: Comparison) -> str:
    providers = counted(len(one.compared), "provider")
    return (
        f"Caterpillar plot of {providers} in order of {one.result}, with 95 % "
        f"intervals{_covering(one)}. {_gain_against(one)}"
    )


def _covering(one: Comparison) -> str:
    if one.centre is None:
        return ""
    rows = one.compared
    holding = (rows["ci_lower95"] <= one.centre) & (rows["ci_upper95"] >= one.centre)
    return f"; {int(holding.sum())} of the intervals hold the reference {one.noun}"


# --- calibration and features ---------------------------------------------------------------------


def _calibration_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.called}: observed against expected, by tenth",
        f"Left: {one.target}, in tenths of what is expected; on the line, observed equals "
        f"expected. Right: how far off it. Expected by {one.title}.",
    )


def _describe_calibration(one: Comparison) -> str:
    shown = one.calibration.dropna(subset="difference")
    if shown.empty:
        return f"Observed against expected {one.target}: no tenth has episodes enough to be shown."
    worst = shown.loc[shown["difference"].abs().idxmax()]
    return (
        f"Observed against expected {one.target} in tenths of what is expected, {one.title}. "
        f"The largest difference, {one.with_unit(worst['difference'], 1)}, is in tenth "
        f"{int(worst['decile'])} of {len(one.calibration)}."
    )


def _features_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.called}: what moves the expectation",
        f"Mean absolute contribution to the expectation, {one.explained_in}, in {one.title}; "
        f"the {len(one.features)} largest. Contributions are not causes.",
    )


def _describe_features(one: Comparison) -> str:
    first = one.features.head(3)
    named = "; ".join(
        f"{label}, {one.contribution(value)}"
        for label, value in zip(first["label"], first["mean_absolute"], strict=True)
    )
    columns = counted(len(one.features), "column")
    return (
        f"Bars of the mean absolute contribution of {columns} to the expectation, "
        f"{'' if one.is_ratio else 'in '}{one.explained_in}, {one.title}. The largest: {named}."
    )


# --- how far flags hang on choices, and how much to believe them -------------------------------


def _sensitivity_words(one: Contest) -> tuple[str, ...]:
    letters = [f"{METHODS[name].letter}: {METHODS[name].title}" for name in one.options("method")]
    return (
        f"{one.called}: whose flag holds, and which choice moves it",
        "A row is a provider, a mark an analysis; at its end, how many analyses give its commonest "
        "flag.",
        f"{'; '.join(letters)}." if len(letters) > 1 else "",
        "Shaded: the study's own method and limits.",
        _who_is_shown(one),
    )


def _who_is_shown(one: Contest) -> str:
    flagged, shown = int(one.flagged.sum()), len(one.most_contested())
    if shown == flagged:
        return f"All {flagged} that are outside limits in any analysis, most contested first."
    return f"The {shown} most contested of the {flagged} that are outside limits in any analysis."


def _describe_sensitivity(one: Contest) -> str:
    firm, flagged = int((one.firm & one.flagged).sum()), int(one.flagged.sum())
    return (
        f"Grid of flags under {len(one.analyses)} analyses. Of {len(one.flags)} providers "
        f"{flagged} are outside limits in any of them, {firm} of these with the same flag in all. "
        f"{_who_is_shown(one)} {_first_in_words(one)}"
    )


def _first_in_words(one: Contest) -> str:
    first = one.most_contested().index[0]
    agree, told = one.agreeing[first], int(one.flags.loc[first].notna().sum())
    return f"The first is {first}: {agree} of {told} analyses give its commonest flag."


def _reliability_words(one: Comparison) -> tuple[str, ...]:
    return (
        f"{one.called}: how reliable a provider's {one.noun} is",
        "Share of the differences between providers that is their own and not chance, by volume. "
        f"Each mark is a provider. Expected by {one.title}. On the dashed lines: how many episodes "
        "reach that reliability.",
        f"Curves: by estimator of the variance between them; {ESTIMATORS[one.rules.between]} is "
        "used.",
    )


def _describe_reliability(one: Comparison) -> str:
    reached = "; ".join(
        f"{int((one.compared['reliability'] >= target).sum())} reach {target:g}, for which "
        f"{_needed(volume)}"
        for target, volume in one.volumes.items()
    )
    return (
        f"Reliability by number of episodes, {one.title}. Of "
        f"{counted(len(one.compared), 'provider')} {reached}."
    )


def _needed(volume: float) -> str:
    enough = f"{format_volume(volume)} episodes are needed"
    return enough if isfinite(volume) else "no volume is enough"


# --- who answered -------------------------------------------------------------------------------


def _by_learner_answered(findings: Findings, outcome: Outcome) -> list[Answering]:
    return [answering(findings, outcome, one.kind) for one in findings.study.learners_of(outcome)]


def _has_several(one: Answering) -> bool:
    return not one.rows.empty and len(one.analyses) > 1


def _follow_up_words(one: Answering) -> tuple[str, ...]:
    return (
        f"{one.called}: would it come out otherwise if everybody had answered?",
        f"A row is a provider; on the right, the share that answered. Expected by {one.title}.",
        f"Upright lines: the reference, and limits by NHS England's method for chance alone"
        f"{_lines_in_words(one)}.",
        _who_answered(one),
    )


def _lines_in_words(one: Answering) -> str:
    *inner, outer = [words for _, _, words in Places(one.rules).limits]
    return f", {inner[0]} dashed and {outer} whole" if inner else f", {outer}"


def _who_answered(one: Answering) -> str:
    changing, shown = int(one.changing.sum()), len(one.shown())
    rest = f"All {shown}" if shown == len(one.rows) else f"{shown} of {len(one.rows)}"
    if not changing:
        return f"{rest} with a flag, none of which hangs on the analysis: fewest answers first."
    return (
        f"{rest} with a flag: first the {changing} whose flag hangs on the analysis, then those "
        "that fewest answered."
    )


def _describe_follow_up(one: Answering) -> str:
    low, high = one.rows["response"].min(), one.rows["response"].max()
    several = listed(NAMES[name] for name in one.analyses)
    return (
        f"Distance from the reference of {counted(len(one.shown()), 'provider')}, by {several}, "
        f"{one.title}. Of {counted(len(one.rows), 'provider')}, {int(one.changing.sum())} change "
        f"flag between the analyses; {100 * low:.0f} to {100 * high:.0f} % answered."
    )


# --- the figures as data --------------------------------------------------------------------------


class _Kind(NamedTuple):
    """One kind of figure: its words, its description, its chart, and what it can be drawn of."""

    say: Callable[[Any], tuple[str, ...]]
    describe: Callable[[Any], str]
    draw: Callable[[Any], Any]
    possible: Callable[[Any], bool]
    subjects: Callable[[Findings, Outcome], Sequence[Any]] = _by_learner


def _has_compared(one: Comparison) -> bool:
    return not one.compared.empty


def _is_contested(one: Contest) -> bool:
    return len(one.analyses) > 1 and bool(one.flagged.any())


def _has_reliability(one: Comparison) -> bool:
    return _has_compared(one) and bool(one.reliability["used"].any())


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "funnel": _Kind(_funnel_words, _describe_funnel, draw_funnel, _has_compared),
        "caterpillar": _Kind(
            _caterpillar_words, _describe_caterpillar, draw_caterpillar, _has_compared
        ),
        "sensitivity": _Kind(
            _sensitivity_words, _describe_sensitivity, draw_sensitivity, _is_contested,
            _of_all_learners,
        ),
        "follow_up": _Kind(
            _follow_up_words, _describe_follow_up, draw_answering, _has_several,
            _by_learner_answered,
        ),
        "reliability": _Kind(
            _reliability_words, _describe_reliability, draw_reliability, _has_reliability
        ),
        "value": _Kind(value_words, describe_value, draw_value, has_values, value_planes),
        "calibration": _Kind(
            _calibration_words, _describe_calibration, draw_calibration,
            lambda one: not one.calibration.empty,
        ),
        "groups": _Kind(group_words, describe_groups, draw_groups, has_groups, group_forests),
        "graded": _Kind(graded_words, describe_graded, draw_graded, has_curve, graded_curves),
        "features": _Kind(
            _features_words, _describe_features, draw_features,
            lambda one: not one.features.empty,
        ),
    }
)  # fmt: skip
