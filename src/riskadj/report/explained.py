"""An explanation in words, tables and a figure; and its folder."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import exp
from pathlib import Path
from typing import NamedTuple

import altair as alt
import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.episodes.columns import COLUMNS
from riskadj.explain.shap_values import FOLD, START
from riskadj.report.charts.drawing import BLUE, INK, ORANGE, QUIET, data, to_svg
from riskadj.report.choices import LIMITS, METHODS
from riskadj.report.explaining import EpisodeAnswer, ProviderAnswer
from riskadj.report.folder import (
    MARK,
    check_own_place,
    files_in,
    run_folder,
    write_csv,
    write_json,
    write_text,
)
from riskadj.report.words import (
    FOLD_TITLE,
    called,
    counted,
    explained_decimals,
    explained_in,
    feature_label,
    format_number,
    is_cost,
    learner_title,
    listed,
    population,
    sentence_decimals,
    unit_phrase,
)
from riskadj.study import Outcome

Answer = ProviderAnswer | EpisodeAnswer
MOST_PARTS = 8
_NAMED = 3
PRIVATE = (
    "This is a row about one patient, for those who may hold the run folder. It is in no card, "
    "page or log, and is not to be passed on."
)
NOT_A_CAUSE = (
    "Contributions say how the model arrives at an expectation; they are not causes, and say "
    "nothing of how well patients are treated."
)


class Shown(NamedTuple):
    """A table to read; the first column is text, the others numbers where `numbers` says so."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[bool, ...]
    note: str = ""


class Said(NamedTuple):
    """An answer to read: a title, paragraphs by heading, and tables."""

    title: str
    paragraphs: tuple[tuple[str, str], ...]
    tables: tuple[Shown, ...]


def say(answer: Answer) -> Said:
    """Return an answer in words and tables."""
    return _say_episode(answer) if isinstance(answer, EpisodeAnswer) else _say_provider(answer)


# --- how numbers are written ----------------------------------------------------------------------


def _signed(value: float, decimals: int) -> str:
    words = format_number(value, decimals)
    return f"+{words}" if value > 0 and float(f"{value:.{decimals}f}") else words


def _moved(value: float, outcome: Outcome) -> str:
    """Return a contribution with its sign and unit; of a cost the factor that it makes."""
    words = _signed(value, explained_decimals(outcome))
    if is_cost(outcome):
        return f"{words}, a factor of {exp(value):.2f}"
    return f"{words} {explained_in(outcome)}"


def _size(total: float, outcome: Outcome) -> str:
    """Return how far an expectation is from another, without a sign; of a cost in per cent."""
    if is_cost(outcome):
        return f"{100 * abs(exp(total) - 1):.1f} %"
    return f"{format_number(abs(total), explained_decimals(outcome))} {explained_in(outcome)}"


def _result(answer: ProviderAnswer, value: float) -> str:
    """Return an adjusted result as it is read: of a cost, over the mean."""
    if is_cost(answer.outcome):
        return format_number(value / answer.reference["gain"], 2)
    return format_number(value, sentence_decimals(answer.outcome))


def _apart(answer: ProviderAnswer, value: float) -> str:
    """Return how far apart two adjusted results are, with the unit."""
    size = abs(value)
    if is_cost(answer.outcome):
        return f"{format_number(size / answer.reference['gain'], 3)} of the mean cost"
    decimals = sentence_decimals(answer.outcome) + 1
    return f"{format_number(size, decimals)} {unit_phrase(answer.outcome)}"


def _label(feature: str, answer: Answer) -> str:
    fixed = {FOLD: FOLD_TITLE, START: "room to gain (score before)"}
    columns = {**COLUMNS, **{one.name: one for one in answer.study.data.columns}}
    return fixed.get(feature) or feature_label(feature, columns)


# --- a provider -----------------------------------------------------------------------------------


def _say_provider(answer: ProviderAnswer) -> Said:
    name = called(answer.outcome, answer.study.outcomes)
    return Said(
        f"{answer.provider_id}: {name}, {learner_title(answer.learner)}",
        (
            ("Why this expectation", _why_expected(answer)),
            ("Why this flag", _why_flagged(answer)),
            ("What would change it", _what_would_change(answer)),
            ("Compared with its peers", _against_peers(answer)),
            ("To bear in mind", NOT_A_CAUSE),
        ),
        tuple(one for one in (_part_table(answer), _analysis_table(answer), _peer_table(answer))
              if one.rows),
    )  # fmt: skip


_WAYS = {False: ("better", "worse"), True: ("dearer", "cheaper")}


def _why_expected(answer: ProviderAnswer) -> str:
    outcome, total = answer.outcome, float(answer.parts["contribution"].sum())
    way = _WAYS[is_cost(outcome)][int(total < 0)]
    facts = answer.facts
    decimals = sentence_decimals(outcome)
    fine = explained_decimals(outcome) + is_cost(outcome)
    mean = (
        f"{counted(int(facts['n']), 'episode')}, expected mean {outcome.compares.noun} "
        f"{format_number(facts['expected'], decimals)}, observed "
        f"{format_number(facts['observed'], decimals)} {unit_phrase(outcome)}."
    )
    named = [
        f"{_label(one.feature, answer)} {_signed(one.contribution, fine)}"
        for one in answer.parts.head(_NAMED).itertuples()
    ]
    return (
        f"{mean} Its patients make for an expectation that is {_size(total, outcome)} "
        f"{way} than that of {population(outcome)}. Most of it ({_WAYS[is_cost(outcome)][0]} where "
        f"above 0): {listed(named)}."
    )


def _why_flagged(answer: ProviderAnswer) -> str:
    facts = answer.facts
    if not answer.is_compared:
        return (
            f"It is not compared: {counted(int(facts['n']), 'episode')}, where the study wants "
            f"{answer.study.profile.minimum_n} or more. No flag says anything about it."
        )
    limits = [
        f"{_result(answer, facts[f'lower{name}'])} to {_result(answer, facts[f'upper{name}'])} "
        f"({words})"
        for name, _, words in answer.places.limits
    ]
    z = facts["z"]
    return (
        f"{facts['flag']}. Its adjusted {answer.outcome.compares.noun} is "
        f"{_result(answer, facts['adjusted'])} (95 % interval "
        f"{_result(answer, facts['ci_lower95'])} to {_result(answer, facts['ci_upper95'])}); "
        f"limits at its number of episodes are {' and '.join(limits)}."
        f"{'' if pd.isna(z) else f' z = {format_number(z, 2)}.'} {_distance(answer)}"
    )


def _distance(answer: ProviderAnswer) -> str:
    """Return how far the result is from each pair of limits."""
    facts, told = answer.facts, []
    for name, _, words in answer.places.limits:
        low, high = (
            facts["adjusted"] - facts[f"lower{name}"],
            facts[f"upper{name}"] - facts["adjusted"],
        )
        room = min(low, high)
        side = "lower" if low < high else "upper"
        where = "inside" if room >= 0 else "beyond"
        told.append(f"{_apart(answer, room)} {where} the {side} {words} limit")
    return f"That is {' and '.join(told)}."


def _what_would_change(answer: ProviderAnswer) -> str:
    rows = answer.analyses
    if rows.empty:
        return "No analysis compares it, so none changes anything."
    own = str(answer.facts["flag"])
    side = answer.places.sides
    if own not in side:
        return f"It is not flagged ({own}), so no analysis changes its flag."
    same = rows["flag"].map(side).eq(side.get(own))
    others = rows[~same]
    held = f"{int(same.sum())} of the run's {len(rows)} analyses"
    head = f"{held} put it on the same side of the limits."
    if others.empty:
        return f"{head} No declared choice of learner, method or limits changes that."
    named = [
        _share_of(others, rows, key, value)
        for key in ("learner", "method", "limits")
        for value in others[key].unique()
        if 2 * (others[key] == value).sum() >= (rows[key] == value).sum()
        and rows[key].nunique() > 1
    ]
    told = (
        f"{head} It is elsewhere at least half the time under {listed(named)}." if named else head
    )
    return f"{told} {_needed(answer)}"


def _share_of(others: pd.DataFrame, rows: pd.DataFrame, key: str, value: str) -> str:
    titles = {"method": METHODS, "limits": LIMITS}.get(key)
    what = f"{titles[value].title} {key}" if titles else learner_title(value)
    return f"{what}: {int((others[key] == value).sum())} of {int((rows[key] == value).sum())}"


def _needed(answer: ProviderAnswer) -> str:
    """Return by how much the adjusted result would have to move for another place."""
    inner = answer.places.limits[0]
    low, high = answer.facts[f"lower{inner[0]}"], answer.facts[f"upper{inner[0]}"]
    at = answer.facts["adjusted"]
    if low <= at <= high:
        return (
            f"The flag changes once the result moves by {_apart(answer, min(at - low, high - at))}."
        )
    gap = low - at if at < low else at - high
    return (
        f"It would be within all limits if the result were {_apart(answer, gap)} nearer the middle."
    )


def _against_peers(answer: ProviderAnswer) -> str:
    if answer.peers.empty:
        return "Nobody else is compared."
    if not answer.is_compared:
        return "The table has the compared providers whose patients are most alike."
    middle = answer.peers["adjusted"].median()
    gap = answer.facts["adjusted"] - middle
    word = "more" if gap > 0 else "less"
    return (
        f"The {len(answer.peers)} compared providers whose patients move the expectation most "
        f"alike have adjusted results of {_result(answer, answer.peers['adjusted'].min())} to "
        f"{_result(answer, answer.peers['adjusted'].max())}; its own is {_apart(answer, gap)} "
        f"{word} than their median."
    )


def _part_table(answer: ProviderAnswer) -> Shown:
    decimals = explained_decimals(answer.outcome) + 1
    top = answer.parts.head(MOST_PARTS)
    rows = [
        (_label(p.feature, answer), _signed(p.contribution, decimals)) for p in top.itertuples()
    ]
    rest = answer.parts["contribution"].iloc[MOST_PARTS:]
    if len(rest):
        rows.append((f"{len(rest)} others", _signed(float(rest.sum()), decimals)))
    rows.append(("all", _signed(float(answer.parts["contribution"].sum()), decimals)))
    return Shown(
        f"Expectation against all, {explained_in(answer.outcome)}",
        ("column", "contribution"),
        tuple(rows),
        (False, True),
    )


def _analysis_table(answer: ProviderAnswer) -> Shown:
    places = _places(answer)
    rows = tuple(
        (
            f"{one.learner}, {METHODS[one.method].title}, {LIMITS[one.limits].title}",
            _result(answer, one.adjusted),
            f"{_result(answer, one.lower)} to {_result(answer, one.upper)}",
            format_number(one.z, 2),
            places[one.flag],
        )
        for one in answer.analyses.itertuples()
    )
    words = answer.places.limits[0][2]
    return Shown(
        "Under every analysis of the run, the study's own first",
        ("analysis", "result", f"{words} limits", "z", "place"),
        rows,
        (False, True, True, True, False),
    )


def _places(answer: ProviderAnswer) -> defaultdict[str, str]:
    """Return where each flag puts a provider; nowhere where it is none of a comparison."""
    return defaultdict(str, {one.flag: one.words for one in answer.places.all})


def _peer_table(answer: ProviderAnswer) -> Shown:
    places = _places(answer)
    rows = tuple(
        (
            one.provider_id,
            str(int(one.n)),
            format_number(one.distance, explained_decimals(answer.outcome) + 1),
            _result(answer, one.adjusted),
            f"{_result(answer, one.ci_lower95)} to {_result(answer, one.ci_upper95)}",
            places[one.flag],
        )
        for one in answer.peers.itertuples()
    )
    return Shown(
        "Providers of similar case mix",
        ("provider", "n", "distance", "result", "95 % interval", "place"),
        rows,
        (False, True, True, True, True, False),
        "Distance: Euclid's between mean contributions by column, in "
        f"{explained_in(answer.outcome)}; 0 is the same case mix as far as expectations go.",
    )


# --- an episode -----------------------------------------------------------------------------------


def _say_episode(answer: EpisodeAnswer) -> Said:
    name = called(answer.outcome, answer.study.outcomes)
    return Said(
        f"{answer.episode_id} at {answer.provider_id}: {name}, {learner_title(answer.learner)}",
        (
            ("Whom this is for", PRIVATE),
            ("Why this expectation", _why_episode(answer)),
            ("What would change it", _what_moves(answer)),
            ("To bear in mind", NOT_A_CAUSE),
        ),
        (_episode_table(answer),),
    )


def _why_episode(answer: EpisodeAnswer) -> str:
    outcome, decimals = answer.outcome, explained_decimals(answer.outcome)
    scale = {"gaussian": ""}.get(outcome.compares.family, f" ({explained_in(outcome)})")
    return (
        f"Expected {outcome.compares.noun}: "
        f"{format_number(answer.expected, sentence_decimals(outcome))} {unit_phrase(outcome)}. "
        f"What is modelled{scale} starts from {format_number(answer.base, decimals)}, and the "
        f"columns take it to {format_number(answer.expected_score, decimals)}."
    )


def _what_moves(answer: EpisodeAnswer) -> str:
    top = answer.parts.head(_NAMED)
    named = [
        f"{_label(one.feature, answer)} ({_moved(one.contribution, answer.outcome)}; "
        f"{_per_cent(one.beyond)} of episodes are moved by it as much)"
        for one in top.itertuples()
    ]
    return f"Another value of these would move the expectation most: {listed(named)}."


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _episode_table(answer: EpisodeAnswer) -> Shown:
    decimals = explained_decimals(answer.outcome) + 1
    rows = tuple(
        (
            _label(one.feature, answer),
            _signed(one.contribution, decimals),
            format_number(one.typical, decimals),
            _per_cent(one.beyond),
        )
        for one in answer.parts.head(MOST_PARTS + 4).itertuples()
    )
    return Shown(
        f"Contributions to what is modelled, {explained_in(answer.outcome)}",
        ("column", "contribution", "mean size", "moved as much"),
        rows,
        (False, True, True, True),
    )


# --- Markdown, figure, folder ---------------------------------------------------------------------


def to_markdown(said: Said) -> str:
    """Return an answer as Markdown."""
    lines = [f"# {said.title}", ""]
    for heading, words in said.paragraphs:
        lines += [f"## {heading}", "", words, ""]
    for one in said.tables:
        lines += [f"**{one.title}**", "", _row(one.header), _rule(one.numbers)]
        lines += [_row(cells) for cells in one.rows]
        lines += ["", *([one.note, ""] if one.note else [])]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(one.replace('|', '/') for one in cells)} |"


def _rule(numbers: Sequence[bool]) -> str:
    return _row("--:" if one else ":--" for one in numbers)


def draw_explanation(answer: Answer) -> str:
    """Return the largest contributions as an SVG text: a bar each, from 0 to either side."""
    decimals = explained_decimals(answer.outcome) + 1
    top = answer.parts.head(MOST_PARTS + 4)
    rows = [
        {
            "label": _label(one.feature, answer),
            "value": float(one.contribution),
            "text": _signed(float(one.contribution), decimals),
        }
        for one in top.itertuples()
    ]
    said = say(answer)
    words = [f"{row['label']} {row['text']}" for row in rows]
    subtitle = (
        f"Contributions to the expectation, {explained_in(answer.outcome)}; {_right_of(answer)}. "
        "Not causes."
    )
    return to_svg(_bars(rows), "explanation", said.title, subtitle, f"{'; '.join(words)}.")


def _right_of(answer: Answer) -> str:
    if isinstance(answer, EpisodeAnswer):
        return "right of the line: it raises what is modelled"
    return f"right of the line: {_WAYS[is_cost(answer.outcome)][0]} than all"


def _bars(rows: list[dict[str, object]]) -> alt.LayerChart:
    reach = 1.35 * max([abs(float(str(one["value"]))) for one in rows] + [1e-9])
    axis = alt.Axis(title=None, labelLimit=230, grid=False, labelColor=INK)
    x = alt.X("value:Q", scale=alt.Scale(domain=[-reach, reach], nice=False), axis=None)
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("label:N", sort=[one["label"] for one in rows], axis=axis)
    )
    up = "datum.value >= 0"
    colour = alt.condition(up, alt.value(BLUE), alt.value(ORANGE))
    bars = base.mark_bar(height=10).encode(x=x, x2=alt.datum(0), color=colour)
    notes = [
        base.transform_filter(keep)
        .mark_text(align=align, dx=shift, fontSize=10.5, color=QUIET)
        .encode(x=x, text="text:N")
        for keep, align, shift in ((up, "left", 5), (f"!({up})", "right", -5))
    ]
    zero = alt.Chart(data([{"value": 0}])).mark_rule(color=INK, strokeWidth=1).encode(x=x)
    return alt.layer(bars, zero, *notes).properties(width=340, height=alt.Step(21))


def write_explanation(answer: Answer, out: str | Path) -> None:
    """Write an explanation's folder: all of it or nothing.

    `explanation.md`, `explanation.svg`, `contributions.csv`, of a provider `analyses.csv` and
    `peers.csv`, and `provenance.json`, which names every file with its digest. An earlier
    explanation there is replaced; anything else is refused.

    Raises
    ------
    OutputError
    """
    out = Path(out)
    check_own_place(out, "explanation", "the explanation", "a run folder, or one inside it")
    tables = {"contributions": answer.parts}
    if isinstance(answer, ProviderAnswer):
        tables |= {"analyses": answer.analyses, "peers": answer.peers}
    with run_folder(out) as staging:
        for name, table in tables.items():
            write_csv(table, staging / f"{name}.csv")
        write_text(to_markdown(say(answer)), staging / "explanation.md")
        write_text(draw_explanation(answer), staging / "explanation.svg")
        digests = {name: digest_of_file(path) for name, path in files_in(staging).items()}
        write_json({"explanation": answer.run, "files": digests}, staging / MARK)
