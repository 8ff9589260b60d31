"""An explanation in words, tables and a figure; and its folder."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import exp
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.episodes.columns import COLUMNS
from riskadj.explain.shap_values import COARSE, START
from riskadj.report.acts import note_done
from riskadj.report.charts.drawing import to_svg
from riskadj.report.charts.explained import Bar, Interval, draw_bars, draw_intervals
from riskadj.report.choices import LIMITS, METHODS
from riskadj.report.explaining import OUTERMOST, EpisodeAnswer, ProviderAnswer
from riskadj.report.folder import (
    MARK,
    check_own_place,
    files_in,
    run_folder,
    write_csv,
    write_json,
    write_text,
)
from riskadj.report.provenance import FORMAT
from riskadj.report.words import (
    OF_ROUNDING,
    PART_TITLES,
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
SCORE_BEFORE = "score before"
SAID_BY_START = "score before: score after"
PRIVATE = (
    "This is a row about one patient, for those who may hold the run folder. It is in no card, "
    "page or log, and is not to be passed on."
)
NOT_A_CAUSE = (
    "Contributions say how the model arrives at an expectation. They are sums of what was fitted, "
    "so that they have no interval; they are not causes, and say nothing of how well patients are "
    "treated."
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
    before, own = answer.outcome.measured.before, {}
    if isinstance(answer, ProviderAnswer) and START in answer.parts["feature"].to_numpy():
        own = {START: "score before: room to gain", before: SAID_BY_START}
    columns = {**COLUMNS, **{one.name: one for one in answer.study.data.columns}}
    return own.get(feature) or PART_TITLES.get(feature) or feature_label(feature, columns)


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
            ("To bear in mind", " ".join([NOT_A_CAUSE, *_of_rounding(answer)])),
        ),
        tuple(one for one in (_part_table(answer), _analysis_table(answer), _peer_table(answer))
              if one.rows),
    )  # fmt: skip


def _of_rounding(answer: ProviderAnswer) -> list[str]:
    return [OF_ROUNDING] if COARSE in answer.parts["feature"].to_numpy() else []


_WAYS = {False: ("better", "worse"), True: ("dearer", "cheaper")}


def _why_expected(answer: ProviderAnswer) -> str:
    outcome, facts = answer.outcome, answer.facts
    decimals = explained_decimals(outcome) + 1
    unit = "" if is_cost(outcome) else f" {unit_phrase(outcome)}"
    expected = format_number(facts["expected"], _fine(outcome))
    observed = format_number(facts["observed"], _fine(outcome))
    total, against = _difference(answer)
    named = [f"{label} {_signed(value, decimals)}" for label, value in _summed(answer, total)]
    return (
        f"{counted(int(facts['n']), 'episode')}: expected mean {outcome.compares.noun} {expected}"
        f"{unit}, {against}; observed {observed}. Column by column ({_WAYS[is_cost(outcome)][0]} "
        f"where above 0): {listed(named)}, which makes {_signed(total, decimals)} "
        f"{explained_in(outcome)}.{_start_in_words(answer)}"
    )


def _fine(outcome: Outcome) -> int:
    """Return decimals with which parts of a difference can be told."""
    return sentence_decimals(outcome) + (not is_cost(outcome))


def _difference(answer: ProviderAnswer) -> tuple[float, str]:
    """Return how far the expectation is from that of all as it is shown, and the words for it.

    Where contributions are in the unit of what is expected, both expectations are shown, and their
    difference as it can be worked out from them.
    """
    outcome = answer.outcome
    total = float(answer.parts["contribution"].sum())
    way = _WAYS[is_cost(outcome)][int(total < 0)]
    if outcome.compares.family != "gaussian":
        total = round(total, explained_decimals(outcome) + 1)
        return total, f"{_size(total, outcome)} {way} than that of {population(outcome)}"
    fine = _fine(outcome)
    expected = round(float(answer.facts["expected"]), fine)
    mean = round(float(answer.facts["expected"]) - outcome.better * total, fine)
    shown = round(outcome.better * (expected - mean), fine)
    return shown, (
        f"{format_number(abs(shown), fine)} {way} than the {format_number(mean, fine)} of "
        f"{population(outcome)} (n {format_number(int(answer.reference['n']))})"
    )


def _summed(answer: ProviderAnswer, total: float) -> list[tuple[str, float]]:
    """Return the largest parts and the sum of the others, which add up to the total as shown."""
    decimals = explained_decimals(answer.outcome) + 1
    parts = answer.parts.set_index("feature")["contribution"]
    own = [one for one in (START, answer.outcome.measured.before) if one in parts]
    labels = {one: _label(one, answer) for one in parts.index}
    if START in own:
        parts = pd.concat([parts.drop(own), pd.Series({START: parts[own].sum()})])
        labels[START] = SCORE_BEFORE
    order = parts.abs().sort_values(ascending=False, kind="stable").index
    top, rest = parts[order[:_NAMED]], parts[order[_NAMED:]]
    return _adding_up(
        [(labels[str(one)], float(value)) for one, value in top.items()], rest, total, decimals
    )


def _adding_up(
    top: Sequence[tuple[str, float]], rest: "pd.Series[float]", total: float, decimals: int
) -> list[tuple[str, float]]:
    """Return parts, and the sum of the rest, rounded so that they add up to a rounded total.

    What is left after rounding each goes to those that rounding moved furthest (Hamilton's method
    of largest remainders), so that no number is off by more than its last digit.
    """
    parts = [*top, *([(counted(len(rest), "other"), float(rest.sum()))] if len(rest) else [])]
    exact = np.array([value for _, value in parts]) * 10**decimals
    whole = np.rint(exact)
    left = round(total * 10**decimals) - int(whole.sum())
    furthest = np.argsort(-np.sign(left) * (exact - whole), kind="stable")[: abs(left)]
    whole[furthest] += np.sign(left)
    return [(name, float(one) / 10**decimals) for (name, _), one in zip(parts, whole, strict=True)]


def _start_in_words(answer: ProviderAnswer) -> str:
    """Return how the score before moves an expected gain in two ways, which add up as shown."""
    parts = answer.parts.set_index("feature")["contribution"]
    if START not in parts:
        return ""
    decimals = explained_decimals(answer.outcome) + 1
    room, way = round(float(parts[START]), decimals), ("worse" if parts[START] > 0 else "better")
    size = f"{format_number(abs(room), decimals)} {unit_phrase(answer.outcome)}"
    told = (
        f" Score before: its patients start {size} {way} than all, so "
        f"{_signed(room, decimals)} of room to gain"
    )
    before = answer.outcome.measured.before
    if before not in parts:
        return f"{told}."
    after = round(float(parts[START] + parts[before]), decimals) - room
    return f"{told}, and {_signed(after, decimals)} for what such a start says of the score after."


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
        f"{facts['flag']}. Its adjusted {answer.outcome.compares.noun} is {_result_told(answer)}; "
        f"limits at its {counted(int(facts['n']), 'episode')} are {' and '.join(limits)}."
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
        f"{_result(answer, answer.peers['adjusted'].max())}. Its own, {_result_told(answer)}, is "
        f"{_apart(answer, gap)} {word} than their median; the median of so few has no interval, "
        "their own are in the table."
    )


def _result_told(answer: ProviderAnswer) -> str:
    facts = answer.facts
    return (
        f"{_result(answer, facts['adjusted'])} (95 % interval "
        f"{_result(answer, facts['ci_lower95'])} to {_result(answer, facts['ci_upper95'])})"
    )


def _part_table(answer: ProviderAnswer) -> Shown:
    decimals = explained_decimals(answer.outcome) + 1
    total = _difference(answer)[0]
    top = [
        (_label(str(one.feature), answer), float(one.contribution))
        for one in answer.parts.head(MOST_PARTS).itertuples()
    ]
    rest = answer.parts["contribution"].iloc[MOST_PARTS:]
    parts = [*_adding_up(top, rest, total, decimals), ("all", total)]
    rows = [(label, _signed(value, decimals)) for label, value in parts]
    return Shown(
        f"Expectation against that of {population(answer.outcome)}, {explained_in(answer.outcome)}",
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
    decimals = explained_decimals(answer.outcome) + 1
    rows = tuple(
        (
            one.provider_id,
            format_number(int(one.n)),
            format_number(one.distance, decimals) if one.distance else "itself",
            _result(answer, one.adjusted),
            f"{_result(answer, one.ci_lower95)} to {_result(answer, one.ci_upper95)}",
            places[one.flag],
        )
        for one in _with_itself(answer).itertuples()
    )
    return Shown(
        "Providers of similar case mix",
        ("provider", "n", "distance", "result", "95 % interval", "place"),
        rows,
        (False, True, True, True, True, False),
        f"Distance ({explained_in(answer.outcome)}): Euclid's between mean contributions by "
        "column; 0 is the same case mix as far as expectations go.",
    )


def _with_itself(answer: ProviderAnswer) -> pd.DataFrame:
    """Return the peers after the provider itself, where it is compared."""
    if not answer.is_compared or answer.peers.empty:
        return answer.peers
    own = pd.DataFrame([{**answer.facts, "distance": 0.0}])
    return pd.concat([own[answer.peers.columns], answer.peers], ignore_index=True)


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
    outcome = answer.outcome
    what = f"{_expected(answer.expected, answer)} {unit_phrase(outcome)}"
    return f"Expected {outcome.compares.noun}: {what}. {_sums(answer)}{_spread(answer)}"


def _sums(answer: EpisodeAnswer) -> str:
    """Return how the columns lead to the expectation, in numbers that add up as shown."""
    outcome, decimals = answer.outcome, explained_decimals(answer.outcome) + 1
    base, after = round(answer.base, decimals), round(answer.expected_score, decimals)
    told = (
        f"from {format_number(base, decimals)}, where nothing is known of a patient, the columns "
        f"move it by {_signed(after - base, decimals)} to {format_number(after, decimals)}"
    )
    if outcome.kind != "gain":
        scale = {"gaussian": ""}.get(outcome.compares.family, f" ({explained_in(outcome)})")
        return f"What is modelled{scale}: {told}."
    gain = round(answer.expected, decimals)
    before = after - outcome.measured.direction * gain
    return (
        f"The score after is modelled: {told}. Against a score before of "
        f"{format_number(before, decimals)}, that is a gain of {format_number(gain, decimals)}."
    )


def _spread(answer: EpisodeAnswer) -> str:
    if pd.isna(answer.sd):
        return ""
    return (
        f" It is the mean of such patients: single ones are about it with a standard deviation of "
        f"{_expected(answer.sd, answer)}."
    )


def _what_moves(answer: EpisodeAnswer) -> str:
    parts = answer.parts
    reach = pd.concat(
        [(parts[end] - answer.expected).abs() for end in ("low", "high")], axis=1
    ).max(axis=1)
    top = parts.loc[reach.sort_values(ascending=False, kind="stable").index[:_NAMED]]
    named = [f"{_label(one.feature, answer)}, {_ends(one, answer)}" for one in top.itertuples()]
    near = (
        "; in trees columns act together, so that this is near it, not exact"
        if answer.learner == "lightgbm"
        else ""
    )
    return (
        "Another value of one column, all else as it is, would change the expected "
        f"{answer.outcome.compares.noun} of {_expected(answer.expected, answer)} most in these: "
        f"{'; '.join(named)}. The ends are what the column adds {_at_the_ends(answer)}{near}."
    )


def _at_the_ends(answer: EpisodeAnswer) -> str:
    """Return in which episodes a column adds the least and the most of what is told."""
    rarest = answer.parts["outermost"].min()
    usual = "at the 5th and the 95th percentile of episodes"
    if rarest >= OUTERMOST:
        return usual
    return (
        f"{usual} (of conditions and other columns with few values with {100 * rarest:.2g} % of "
        "episodes beyond on either side, so that rare ones count)"
    )


def _ends(one: Any, answer: EpisodeAnswer) -> str:
    low, high = (_expected(end, answer) for end in sorted((one.low, one.high)))
    return f"{low} to {high}" if low != high else f"{low} either way"


def _expected(value: float, answer: EpisodeAnswer) -> str:
    return format_number(value, sentence_decimals(answer.outcome))


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _episode_table(answer: EpisodeAnswer) -> Shown:
    decimals = explained_decimals(answer.outcome) + 1
    rows = tuple(
        (
            _label(one.feature, answer),
            _signed(one.contribution, decimals),
            _per_cent(one.beyond),
            _ends(one, answer),
        )
        for one in answer.parts.head(MOST_PARTS + 4).itertuples()
    )
    return Shown(
        f"Contributions to what is modelled, {explained_in(answer.outcome)}",
        ("column", "contribution", "moved as much", "otherwise expected"),
        rows,
        (False, True, True, True),
        "Moved as much: the share of episodes that the column moves by as much or more. Otherwise "
        f"expected ({answer.outcome.compares.noun}, {unit_phrase(answer.outcome)}): with what the "
        f"column adds {_at_the_ends(answer)}, all else as it is.",
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
    bars = [
        Bar(_label(str(one.feature), answer), value, _signed(value, decimals))
        for one, value in zip(top.itertuples(), top["contribution"].astype(float), strict=True)
    ]
    if left := len(answer.parts) - len(bars):
        rest = float(answer.parts["contribution"].iloc[len(bars) :].sum())
        bars.append(Bar(counted(left, "other"), rest, _signed(rest, decimals)))
    words = [f"{one.label} {one.text}" for one in bars]
    subtitle = (
        f"Contributions to the expectation, {explained_in(answer.outcome)}; {_right_of(answer)}. "
        "Not causes."
    )
    chart = draw_bars(bars)
    return to_svg(chart, "explanation", say(answer).title, subtitle, f"{'; '.join(words)}.")


def draw_peers(answer: ProviderAnswer) -> str:
    """Return the results of a provider and its peers, with intervals, as an SVG text."""
    outcome = answer.outcome
    per = answer.reference["gain"] if is_cost(outcome) else 1.0
    rows = [
        Interval(
            f"{one.provider_id} (n {format_number(int(one.n))})",
            float(one.ci_lower95) / per,
            float(one.adjusted) / per,
            float(one.ci_upper95) / per,
            one.provider_id == answer.provider_id,
        )
        for one in _with_itself(answer).itertuples()
    ]
    middle = float(answer.reference["gain"]) / per
    unit = "over the mean cost" if is_cost(outcome) else unit_phrase(outcome)
    subtitle = (
        f"Adjusted {outcome.compares.noun} with 95 % intervals beside providers of similar case "
        f"mix, the most alike first; the line is {population(outcome)}."
    )
    words = [f"{one.label} {one.low:.4g} to {one.high:.4g}" for one in rows]
    chart = draw_intervals(rows, middle, f"adjusted {outcome.compares.noun}, {unit}")
    return to_svg(chart, "peers", say(answer).title, subtitle, f"{'; '.join(words)}.")


def _right_of(answer: Answer) -> str:
    if isinstance(answer, EpisodeAnswer):
        return "right of the line: it raises what is modelled"
    return f"right of the line: {_WAYS[is_cost(answer.outcome)][0]} than all"


def write_explanation(answer: Answer, out: str | Path, run: str | Path | None = None) -> None:
    """Write an explanation's folder: all of it or nothing.

    `explanation.md`, `explanation.svg`, `contributions.csv`, of a provider `analyses.csv`,
    `peers.csv` and, where it has peers, `peers.svg`, and `provenance.json`, which names every file
    with its digest. An earlier explanation there is replaced; anything else is refused.

    Parameters
    ----------
    answer : Answer
    out : str or Path
    run : str or Path, optional
        The folder of the run that is explained: it is written down in its log before.

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
        if isinstance(answer, ProviderAnswer) and len(answer.peers):
            write_text(draw_peers(answer), staging / "peers.svg")
        digests = {name: digest_of_file(path) for name, path in files_in(staging).items()}
        told = {"format": FORMAT, "explanation": answer.run, "files": digests}
        write_json(told, staging / MARK)
        if run is not None:
            told_by = digest_of_file(staging / MARK)
            note_done("export", Path(run), f"explanation: {out.name}", provenance=told_by)
