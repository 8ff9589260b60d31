"""The card: everything a reader is told about a run, as one JSON-ready value.

Markdown and HTML are renderings of it and add nothing. Numbers keep their full precision here;
each column says how many decimals people want to see. A text that begins with `TODO` is one that
a person has still to write.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from riskadj.casemix.roles import refusal
from riskadj.instruments import Instrument
from riskadj.report.figures import (
    BEYOND_998,
    FLAGS,
    LEARNER_TITLES,
    TOP_FEATURES,
    UNIT_DECIMALS,
    UNIT_PHRASES,
    compared,
    feature_label,
    figure_descriptions,
    figure_name,
    format_number,
)
from riskadj.report.findings import Findings
from riskadj.study import Outcome

Block = dict[str, Any]
Column = dict[str, Any]

TODO_MARK = "TODO"
SUPPRESSED = "suppressed"
WITHHELD = "withheld"
NAMED_PARTS = 3
MISSING_SHOWN = 0.0005


def build_card(findings: Findings) -> dict[str, Any]:
    """Put into words and tables what a run found.

    Returns
    -------
    dict
        `title`; `study` (name, version); `summary`, a list of sentences; `todo`, the fields that a
        person has still to write; `sections`, each with `title`, `anchor` and `blocks`. A block's
        `kind` is `paragraph`, `facts`, `table` or `figure`.

    Examples
    --------
    >>> card = build_card(findings)  # doctest: +SKIP
    >>> [one["anchor"] for one in card["sections"]][:2]  # doctest: +SKIP
    ['identity', 'use']
    """
    study = findings.study
    return {
        "title": study.title,
        "study": {"name": study.name, "version": study.version},
        "summary": _summary(findings),
        "todo": _todo(findings),
        "sections": [
            {"title": title, "anchor": anchor, "blocks": [*blocks(findings)]}
            for title, anchor, blocks in _SECTIONS
        ],
    }


def _summary(findings: Findings) -> list[str]:
    study = findings.study
    periods = ", ".join(study.split.test)
    names = _list(_measure(one) for one in study.outcomes)
    first = (
        f"Providers of {study.cohort.procedure_group} in {periods}, compared on {names} under "
        f"{_counted(len(study.learners), 'expectation')} from case mix."
    )
    return [first, *(_verdict(findings, one) for one in study.outcomes)]


def _verdict(findings: Findings, outcome: Outcome) -> str:
    """Return how many providers lie outside the limits, and how far that hangs on the learner."""
    flags = _flags_by_learner(findings, outcome)
    above, below = (_between((flags == flag).sum()) for flag in BEYOND_998)
    whole = flags.dropna()
    changing = int((whole.nunique(axis=1) > 1).sum())
    text = (
        f"{_measure(outcome)}: {_counted(len(flags), 'provider')} compared; {above} above and "
        f"{below} below the 99.8 % limits"
    )
    if flags.shape[1] == 1:
        return f"{text}."
    return (
        f"{text}, depending on the learner. {changing} of {len(whole)} change flag when the "
        "learner changes."
    )


def _between(counts: "pd.Series[int]") -> str:
    low, high = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
    return str(low) if low == high else f"{low} to {high}"


def _todo(findings: Findings) -> list[str]:
    card = findings.study.card
    texts = {name: getattr(card, name) for name in type(card).model_fields}
    return [name for name, text in texts.items() if not text or str(text).startswith(TODO_MARK)]


# --- blocks ---------------------------------------------------------------------------------------


def _paragraph(text: str) -> Block:
    return {"kind": "paragraph", "text": text}


def _facts(items: Iterable[tuple[str, Any]], caption: str = "") -> Block:
    return {"kind": "facts", "caption": caption, "items": [_fact(*one) for one in items]}


def _fact(label: str, value: Any) -> dict[str, Any]:
    plain = _plain(value)
    todo = isinstance(plain, str) and plain.startswith(TODO_MARK)
    return {"label": label, "value": plain, "format": _format_of(plain), "todo": todo}


def _format_of(value: Any) -> str:
    if isinstance(value, (int, float)):
        return "number"
    return "code" if re.fullmatch("[0-9a-f]{64}", str(value)) else "text"


def _table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *notes: str
) -> Block:
    return {
        "kind": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [[_plain(value) for value in row] for row in rows],
        "notes": list(notes),
    }


def _text(label: str, *, code: bool = False) -> Column:
    return {"label": label, "format": "code" if code else "text", "missing": ""}


def _number(label: str, decimals: int = 0, missing: str = SUPPRESSED) -> Column:
    return {"label": label, "format": "number", "decimals": decimals, "missing": missing}


def _percent(label: str, missing: str = "") -> Column:
    return {"label": label, "format": "percent", "decimals": 1, "missing": missing}


def _estimate(label: str, decimals: int) -> Column:
    return {"label": label, "format": "estimate", "decimals": decimals, "missing": SUPPRESSED}


def _figures(findings: Findings, kind: str, outcome: Outcome) -> list[Block]:
    return [
        {
            "kind": "figure",
            "file": figure_name(kind, outcome.name, learner),
            "alt": description,
            "caption": f"{outcome.name}, {learner}",
        }
        for learner, description in figure_descriptions(findings, kind, outcome).items()
    ]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null for missing, Python's own numbers, lists."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if value is None or pd.isna(value):
        return None
    number = value.item() if hasattr(value, "item") else value
    return int(number) if isinstance(number, float) and number.is_integer() else number


# --- words ----------------------------------------------------------------------------------------


def _measure(outcome: Outcome) -> str:
    return outcome.definition.title.split(",")[0]


def _decimals(outcome: Outcome) -> int:
    return UNIT_DECIMALS.get(outcome.definition.unit, 2) + 1


def _named(outcome: Outcome) -> str:
    return f"{_measure(outcome)} ({outcome.name}), {outcome.definition.unit}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _list(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _of(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Return the rows whose columns hold the values wanted."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def _learners(findings: Findings) -> list[str]:
    return [one.kind for one in findings.study.learners]


# --- identity, use, data --------------------------------------------------------------------------


def _identity(findings: Findings) -> Iterable[Block]:
    study, origin = findings.study, findings.provenance
    yield _facts([
        ("Study", study.name),
        ("Version", study.version),
        ("Title", study.title),
        ("Digest of the study", origin["study"]["digest"]),
        ("Version of the code", origin["code"]["version"]),
        ("Digest of the code", origin["code"]["digest"]),
        ("Made", origin["created"]),
        ("Contact", study.card.contact),
        ("Licence", study.card.licence),
    ])  # fmt: skip


def _use(findings: Findings) -> Iterable[Block]:
    card = findings.study.card
    yield _facts([
        ("Intended use", card.intended_use),
        ("Users", card.users),
        ("Population", card.population),
        ("Out of scope", card.out_of_scope),
        ("Use in payment", card.payment_use),
        ("Route of appeal", card.appeal_route),
        ("Human oversight", card.human_oversight),
    ])  # fmt: skip


def _data(findings: Findings) -> Iterable[Block]:
    yield _table(
        "Sources",
        [_text("File"), _text("Digest (SHA-256)", code=True), _number("Rows")],
        [(one["name"], one["digest"], one["rows"]) for one in findings.provenance["data"]],
    )
    for outcome in findings.study.outcomes:
        yield _flow(findings, outcome)
    yield from _missing(findings)
    text = findings.study.card.consent_and_representativeness
    yield _facts([("Consent and representativeness", text)])


def _flow(findings: Findings, outcome: Outcome) -> Block:
    rows = _of(findings.flow, outcome=outcome.name)
    return _table(
        f"{_measure(outcome)} ({outcome.name}): flow of episodes",
        [_text("Station"), _text("Reason"), _number("Left"), _number("Remaining")],
        rows[["station", "reason", "left", "remaining"]].itertuples(index=False),
    )


def _missing(findings: Findings) -> Iterable[Block]:
    table = findings.missing
    if table.empty:
        return
    wide = table.pivot(index="column", columns="outcome", values="share")
    wide = wide.reindex(table["column"].unique())[[one.name for one in findings.study.outcomes]]
    some = wide[wide.max(axis=1) >= MISSING_SHOWN]
    rest = _counted(len(wide) - len(some), "further column")
    yield _table(
        "Case mix that was not recorded, share of the episodes compared",
        [_text("Column", code=True), *(_percent(name) for name in wide.columns)],
        ([name, *shares] for name, *shares in some.itertuples()),
        f"Complete, or lacking in less than 0.05 %: {rest}.",
    )


# --- outcome, case mix, models --------------------------------------------------------------------

_KINDS = {
    "gain": "Gain: the score after minus the score before, signed so that positive is better. The "
    "score after is modelled given the score before."
}
_DIRECTIONS = {1: "higher is better", -1: "lower is better"}


def _outcomes(findings: Findings) -> Iterable[Block]:
    study = findings.study
    for outcome in study.outcomes:
        one = outcome.definition
        low, high = one.score_range
        yield _facts(
            [
                ("Instrument", one.title),
                ("Range", f"{_range(low, high)} {one.unit}; {_DIRECTIONS[one.direction]}"),
                ("Missing answers", _missing_rule(one)),
                ("Source", one.source),
                ("Compared on", _KINDS[outcome.kind]),
                ("Window", _window(findings)),
                ("Learned from", ", ".join(study.split.train)),
                ("Compared", ", ".join(study.split.test)),
            ],
            _named(outcome),
        )
    yield _facts([("Why these outcomes", study.card.rationale)])


def _range(low: float, high: float) -> str:
    return f"{low:g} to {high:g}".replace("-", "\N{MINUS SIGN}")


def _missing_rule(one: Instrument) -> str:
    if one.items == 0:
        return "The score is asked for directly; without an answer there is none."
    if one.max_missing == 0:
        return f"Any of the {one.items} items missing: {one.missing_rule}."
    return (
        f"Up to {one.max_missing} of {one.items} items missing: {one.missing_rule}; more: no score."
    )


def _window(findings: Findings) -> str:
    window = findings.study.cohort.follow_up_days
    if window is None:
        return "As the publisher applied it; the files carry no dates."
    return f"{window.at_least:g} to {window.at_most:g} days after the operation."


def _casemix(findings: Findings) -> Iterable[Block]:
    yield _table(
        "Adjusted for",
        [_text("Column", code=True), _text("Meaning"), _text("Unit"), _text("Role"),
         _text("Known at")],
        [
            (one.name, one.meaning, one.unit, one.role.replace("_", " "), one.known_at)
            for one in findings.casemix
        ],
    )  # fmt: skip
    allowed = findings.study.casemix.allow_provider_influenced
    yield _facts([("Columns that the provider can influence", "allowed" if allowed else "refused")])
    reasons: dict[str, list[str]] = {}
    for one in findings.refused:
        why = refusal(one, allow_provider_influenced=allowed) or "not chosen"
        reasons.setdefault(why, []).append(one.name)
    if reasons:
        yield _table(
            "Refused: columns of the data that case mix may not hold",
            [_text("Because"), _number("How many"), _text("Columns")],
            [(why, len(names), ", ".join(names)) for why, names in reasons.items()],
        )


_LEARNER_MEANINGS = {
    "reference": "An expectation that somebody else computed and published with each record. It "
    "was not fitted here, and its coefficients are not known here.",
    "linear": "Least squares with a constant per level of every discrete factor.",
    "lightgbm": "Gradient-boosted trees (Ke et al. 2017).",
}
_RECALIBRATIONS = {
    "shift": "Shift: a constant is added so that the mean residual of the episodes compared is 0.",
    "line": "Line: a constant and a slope, so that the episodes compared have a mean residual of 0 "
    "and a calibration slope of 1.",
    "none": "None: expectations are used as learned.",
}


def _models(findings: Findings) -> Iterable[Block]:
    study, split = findings.study, findings.study.split
    yield _table(
        "Learners",
        [_text("Learner", code=True), _text("What it is"), _text("Settings")],
        [(one.kind, _LEARNER_MEANINGS.get(one.kind, ""), _settings(one.model_dump()))
         for one in study.learners],
    )  # fmt: skip
    kept_whole = f"{split.folds} folds, each {split.group} whole in one"
    yield _facts([
        ("Split", _split(findings)),
        ("Folds", "not used: the periods are apart" if split.out_of_time else kept_whole),
        ("Seed", str(split.seed)),
        ("Recalibration", _RECALIBRATIONS[study.recalibration.method]),
    ])  # fmt: skip


def _settings(settings: Mapping[str, Any]) -> str:
    named = [
        f"{name.replace('_', ' ')} {one:g}" for name, one in settings.items() if name != "kind"
    ]
    return ", ".join(named) or "none"


def _split(findings: Findings) -> str:
    split = findings.study.split
    if split.out_of_time:
        return (
            f"Out of time: learned from {', '.join(split.train)}, compared in "
            f"{', '.join(split.test)}."
        )
    return f"Out of fold within {', '.join(split.test)}: no model has seen whom it judges."


# --- performance, calibration, subgroups ----------------------------------------------------------


class _Metric(NamedTuple):
    """A figure of performance; `in_score` ones have the decimals of the score."""

    key: str
    label: str
    decimals: int
    in_score: bool = False


_METRICS = (
    _Metric("n", "Episodes", 0),
    _Metric("r2", "R\N{SUPERSCRIPT TWO}", 3),
    _Metric("r2_before_recalibration", "R\N{SUPERSCRIPT TWO} before recalibration", 3),
    _Metric("mae", "MAE", 0, True),
    _Metric("rmse", "RMSE", 0, True),
    _Metric("bias", "Bias", 0, True),
    _Metric("drift", "Drift removed", 0, True),
    _Metric("calibration_slope", "Calibration slope", 3),
    _Metric("calibration_intercept", "Calibration intercept", 0, True),
    _Metric("largest_decile_error", "Largest error by tenth", 0, True),
    _Metric("total_ratio", "Total O/E", 4),
)
_HELD_OUT = (
    "These are held-out figures: no episode here was among those its model learned from, and they "
    "are on the score after, not on the gain. R\N{SUPERSCRIPT TWO} of the gain would be far "
    "higher, only because the score before then stands on both sides."
)


def _performance(findings: Findings) -> Iterable[Block]:
    yield _paragraph(_HELD_OUT)
    for outcome in findings.study.outcomes:
        by_learner = findings.metrics.get(outcome.name, {})
        yield _table(
            f"{_named(outcome)}: performance",
            [
                _text("Learner", code=True),
                *(_number(one.label, _shown(one, outcome), "") for one in _METRICS),
            ],
            [
                [learner, *(by_learner[learner].get(one.key) for one in _METRICS)]
                for learner in _learners(findings)
                if learner in by_learner
            ],
        )
    yield _paragraph(
        "MAE and RMSE: mean absolute and root mean squared error. Bias: mean of observed minus "
        "expected. Drift removed: what that mean was before recalibration. Total O/E: summed "
        "observed over summed expected score; recalibration by shift or line makes it 1."
    )


def _shown(metric: _Metric, outcome: Outcome) -> int:
    return _decimals(outcome) if metric.in_score else metric.decimals


def _calibration(findings: Findings) -> Iterable[Block]:
    yield _paragraph(
        "Episodes in tenths of their expected score after, from lowest to highest. For each "
        "outcome the table is of the learner with the largest difference in any tenth."
    )
    for outcome in findings.study.outcomes:
        rows = _of(findings.calibration, outcome=outcome.name)
        if not rows.empty:
            worst = rows.loc[rows["difference"].abs().idxmax(), "learner"]
            yield _deciles(_of(rows, learner=worst), outcome, worst)
        yield from _figures(findings, "calibration", outcome)


def _deciles(rows: pd.DataFrame, outcome: Outcome, learner: str) -> Block:
    names = ("Expected", "Observed", "Observed \N{MINUS SIGN} expected")
    return _table(
        f"{_named(outcome)}: calibration of {learner}",
        [
            _number("Tenth"),
            _number("Episodes"),
            *(_number(one, _decimals(outcome)) for one in names),
        ],
        rows[["decile", "n", "expected", "observed", "difference"]].itertuples(index=False),
    )


def _subgroups(findings: Findings) -> Iterable[Block]:
    if findings.subgroups.empty:
        yield _paragraph("The study names no subgroups (report.subgroups).")
        return
    yield _paragraph(
        "Mean of observed minus expected score after, with its 95 % interval. Above 0 the group "
        "does better than expected. A group with too few episodes is suppressed, and so is "
        "another one where the first would follow from the total."
    )
    for outcome in findings.study.outcomes:
        yield _subgroup_table(findings, outcome)


def _subgroup_table(findings: Findings, outcome: Outcome) -> Block:
    rows = _of(findings.subgroups, outcome=outcome.name)
    learners = [one for one in _learners(findings) if one in set(rows["learner"])]
    groups = rows[["column", "level"]].drop_duplicates().itertuples(index=False, name=None)
    cells = {(one.column, one.level, one.learner): one for one in rows.itertuples(index=False)}
    return _table(
        f"{_named(outcome)}: observed minus expected, by subgroup and learner",
        [_text("Column", code=True), _text("Level"), _number("Episodes"),
         _number("Observed", _decimals(outcome)),
         *(_estimate(one, _decimals(outcome)) for one in learners)],
        [_subgroup_row(group, [cells.get((*group, one)) for one in learners]) for group in groups],
    )  # fmt: skip


def _subgroup_row(group: tuple[str, str], cells: Sequence[Any]) -> list[Any]:
    first = next(one for one in cells if one is not None)
    return [*group, first.n, first.observed, *map(_interval, cells)]


def _interval(cell: Any) -> list[float] | None:
    if cell is None or pd.isna(cell.difference):
        return None
    return [cell.difference, cell.lower95, cell.upper95]


# --- providers ------------------------------------------------------------------------------------

_PROVIDER_METHODS = {
    "nhs_england": "NHS England's (A Guide to PROMs Methodology, version 12). Adjusted gain: the "
    "mean gain of the reference population plus the provider's mean residual, residuals being "
    "centred on that population. Limits: that mean gain plus and minus 1.96 and 3.0902 times the "
    "standard deviation of the population's residuals over the square root of the provider's "
    "episodes."
}


def _providers(findings: Findings) -> Iterable[Block]:
    rules = findings.study.profile
    yield _facts([
        ("Method", _PROVIDER_METHODS[rules.method]),
        ("Minimum", f"{rules.minimum_n} episodes; with fewer nothing is adjusted or flagged"),
        ("Suppression", f"under {rules.suppress_below} episodes nothing of a provider is shown"),
        ("Reading", "A flag says that a difference is larger than chance would make it, given the "
         "case mix recorded. It does not say why; it is a reason to look."),
    ])  # fmt: skip
    yield _reference(findings)
    yield _flag_counts(findings)
    for outcome in findings.study.outcomes:
        yield from _figures(findings, "funnel", outcome)
        yield from _figures(findings, "caterpillar", outcome)
        yield _beyond(findings, outcome)
    yield _agreement(findings)


def _reference(findings: Findings) -> Block:
    units = {one.name: one.definition.unit for one in findings.study.outcomes}
    return _table(
        "The reference population: all episodes compared",
        [_text("Outcome"), _text("Unit"), _text("Learner", code=True), _number("Episodes"),
         *(_number(label, 3) for label in
           ("Mean score before", "Mean gain", "SD of residuals"))],
        [
            (one.outcome, units[one.outcome], one.learner, one.n, one.baseline, one.gain, one.sd)
            for one in findings.reference.itertuples(index=False)
        ],
    )  # fmt: skip


def _flag_counts(findings: Findings) -> Block:
    rows = []
    for outcome in findings.study.outcomes:
        for learner in _learners(findings):
            everybody = _of(findings.providers, outcome=outcome.name, learner=learner)
            flags = compared(findings.providers, outcome.name, learner)["flag"]
            counts = [int((flags == one.flag).sum()) for one in FLAGS]
            rows.append([outcome.name, learner, *counts, len(everybody) - len(flags)])
    return _table(
        "Providers by flag",
        [_text("Outcome"), _text("Learner", code=True),
         *(_number(one.place[0].upper() + one.place[1:]) for one in FLAGS),
         _number("Not compared")],
        rows,
        "Above and below: of the limits around the reference gain; above is better. Those beyond "
        "the 99.8 % limits are not counted again at 95 %.",
    )  # fmt: skip


def _beyond(findings: Findings, outcome: Outcome) -> Block:
    flags = _flags_by_learner(findings, outcome)
    rows = _of(findings.providers, outcome=outcome.name)
    rows = rows[rows["adjusted"].notna() & rows["flag"].isin(BEYOND_998)]
    middle = rows.groupby("provider_id")["z"].transform("mean")
    rows = rows.assign(middle=middle).sort_values(["middle", "provider_id", "z"])
    score = _decimals(outcome)
    return _table(
        f"{_named(outcome)}: providers beyond the 99.8 % limits",
        [_text("Provider"), _text("Learner", code=True), _number("Episodes"),
         _number("Observed gain", score), _number("Expected gain", score),
         _number("O/E", 3, WITHHELD), _number("O \N{MINUS SIGN} E", score),
         _number("Adjusted gain", score), _number("Lower limit", score),
         _number("Upper limit", score), _number("z", 2), _text("Learners that agree")],
        [
            (one.provider_id, one.learner, one.n, one.observed, one.expected, one.ratio,
             one.difference, one.adjusted, one.lower998, one.upper998, one.z,
             _same_flag(flags, one.provider_id, one.flag))
            for one in rows.itertuples(index=False)
        ],
        "In order of the provider's mean z. Gains are means per episode. O/E is withheld where the "
        "expected gain is too near 0 to divide by. A provider is unnamed in the figure where its "
        "name has no room. Every provider is in providers.csv.",
    )  # fmt: skip


def _flags_by_learner(findings: Findings, outcome: Outcome) -> pd.DataFrame:
    """Return flags of the providers compared: a row per provider, a column per learner."""
    by_learner = {
        learner: compared(findings.providers, outcome.name, learner)
        .set_index("provider_id")["flag"]
        .astype(object)
        for learner in _learners(findings)
    }
    return pd.DataFrame(by_learner)


def _same_flag(flags: pd.DataFrame, provider: str, flag: str) -> str:
    same = int((flags.loc[provider] == flag).sum())
    return f"{same} of {flags.shape[1]}"


def _agreement(findings: Findings) -> Block:
    if len(_learners(findings)) == 1:
        return _paragraph("With one learner, agreement between learners cannot be shown.")
    rows = [
        [outcome.name, first, second, *_agreed(flags[first], flags[second])]
        for outcome in findings.study.outcomes
        for flags in [_flags_by_learner(findings, outcome)]
        for first, second in combinations(flags.columns, 2)
    ]
    return _table(
        "How many providers change flag when the learner changes",
        [_text("Outcome"), _text("From", code=True), _text("To", code=True),
         *(_number(one) for one in
           ("Compared", "Same flag", "Change flag", "In or out of the 99.8 % limits",
            "From one side to the other"))],
        rows,
    )  # fmt: skip


def _agreed(first: "pd.Series[Any]", second: "pd.Series[Any]") -> list[int]:
    both = first.notna() & second.notna()
    a, b = first[both], second[both]
    beyond = a.isin(BEYOND_998) != b.isin(BEYOND_998)
    opposite = a.map(_side) * b.map(_side) < 0
    same = int((a == b).sum())
    return [len(a), same, len(a) - same, int(beyond.sum()), int(opposite.sum())]


def _side(flag: str) -> int:
    return int(flag.startswith("Positive")) - int(flag.startswith("Negative"))


# --- explanation ----------------------------------------------------------------------------------

_NOT_CAUSES = (
    "Contributions say how the model arrives at an expected score. They are not causes, and they "
    "speak of whom a provider treats, not of how well it treats them."
)


def _explanation(findings: Findings) -> Iterable[Block]:
    if findings.features.empty:
        yield _paragraph("No learner of this study has contributions to show.")
        return
    yield _paragraph(_NOT_CAUSES)
    for outcome in findings.study.outcomes:
        yield from _figures(findings, "features", outcome)
        yield _feature_table(findings, outcome)
        yield from _worked(findings, outcome)


def _feature_table(findings: Findings, outcome: Outcome) -> Block:
    every = _of(findings.features, outcome=outcome.name)
    largest = [
        _of(every, learner=one).nlargest(TOP_FEATURES, "mean_absolute")
        for one in _learners(findings)
    ]
    columns = {one.name: one for one in findings.casemix}
    return _table(
        f"{_named(outcome)}: the {TOP_FEATURES} largest contributions to the expected score",
        [_text("Learner", code=True), _text("Column", code=True), _text("Meaning"),
         _number("Mean absolute", _decimals(outcome)), _percent("Share")],
        [
            (one.learner, one.feature, columns[one.feature].meaning if one.feature in columns
             else "", one.mean_absolute, one.share)
            for rows in largest for one in rows.itertuples(index=False)
        ],
    )  # fmt: skip


def _worked(findings: Findings, outcome: Outcome) -> Iterable[Block]:
    """Yield a sentence on the provider whose expectation differs most from the average one."""
    keys = ["outcome", "learner", "provider_id"]
    shown = findings.providers.loc[findings.providers["suppression"] == "", keys]
    rows = _of(findings.provider_features, outcome=outcome.name).merge(shown, on=keys)
    rows = rows[rows["difference"].notna()]
    if rows.empty:
        return
    top = rows.loc[rows["difference"].abs().idxmax()]
    parts = _of(rows, learner=top["learner"], provider_id=top["provider_id"])
    yield _paragraph(_worked_sentence(findings, outcome, parts))


def _worked_sentence(findings: Findings, outcome: Outcome, parts: pd.DataFrame) -> str:
    first = parts.iloc[0]
    sign = -1.0 if first["difference"] < 0 else 1.0
    total = sign * first["difference"]
    pull = (sign * parts.set_index("feature")["contribution"]).sort_values(ascending=False)
    named = pull[pull > 0].head(NAMED_PARTS)
    columns = {one.name: one for one in findings.casemix}
    shown = [
        f"{_score(value, outcome)} from {feature_label(str(name), columns)}"
        for name, value in named.items()
    ]
    unit = outcome.definition.unit
    return (
        f"An example, {_measure(outcome)}: in {LEARNER_TITLES.get(first['learner'], '')} provider "
        f"{first['provider_id']}'s expected score after is {_score(total, outcome)} "
        f"{UNIT_PHRASES.get(unit, unit)} {'below' if sign < 0 else 'above'} that of the reference "
        f"population: {_list([*shown, *_rest(pull.drop(named.index), outcome)])}. "
        "That describes the model and the patients treated; it is not a cause."
    )


def _rest(others: "pd.Series[float]", outcome: Outcome) -> list[str]:
    if others.empty:
        return []
    rest, columns = float(others.sum()), _counted(len(others), "other column")
    if rest < 0:
        return [f"{_score(-rest, outcome)} the other way from the {columns} together"]
    return [f"{_score(rest, outcome)} from the {columns} together"]


def _score(value: float, outcome: Outcome) -> str:
    return format_number(float(value), _decimals(outcome))


# --- limitations, provenance ----------------------------------------------------------------------


def _limitations(findings: Findings) -> Iterable[Block]:
    card = findings.study.card
    stated = card.limitations or (f"{TODO_MARK}: to be written by a person",)
    yield _facts([("Stated by the study", one) for one in stated])
    follows = [
        (label, text) for label, applies, text in _AUTOMATIC if applies is None or applies(findings)
    ]
    yield _facts([*follows, ("Chance", _chance(findings))], "What follows from the method")
    yield _facts([("Maintenance", card.maintenance)])


def _is_recalibrated(findings: Findings) -> bool:
    return findings.study.recalibration.method != "none"


def _has_reference(findings: Findings) -> bool:
    return "reference" in _learners(findings)


def _lets_in_influenced(findings: Findings) -> bool:
    return findings.study.casemix.allow_provider_influenced


_AUTOMATIC: Sequence[tuple[str, Callable[[Findings], bool] | None, str]] = (
    ("Over-dispersion", None,
     "The limits hold only the chance variation of patients. They ignore over-dispersion, so that "
     "more providers fall outside them than chance alone would put there."),
    ("Missing follow-up", None,
     "Only episodes with both scores are compared. The share of missing follow-up is not modelled; "
     "where those who answer differ from those who do not, adjusted gains are off by an unknown "
     "amount."),
    ("Case mix not recorded", None,
     "What the data do not hold is not adjusted for. A difference may be unrecorded case mix, "
     "quality of care, or both."),
    ("Uncertainty of the model", None,
     "Limits and intervals take the expected scores as known; what learning from a sample adds is "
     "not in them."),
    ("Ends of the scale", None,
     "Scores are bounded. Near the best score there is little room to improve, and the learners do "
     "not model the bound."),
    ("Relative comparison", _is_recalibrated,
     "Expectations are moved to the episodes compared, so that providers are compared with their "
     "mean. Whether all of them became better or worse shows only in the drift removed."),
    ("Published expectation", _has_reference,
     "How the published expectation was computed cannot be checked here, nor can contributions "
     "explain it."),
    ("Influence of providers", _lets_in_influenced,
     "Some columns adjusted for can be influenced by the provider, and may adjust quality away."),
)  # fmt: skip


def _chance(findings: Findings) -> str:
    most = max(
        len(compared(findings.providers, outcome.name, learner))
        for outcome in findings.study.outcomes
        for learner in _learners(findings)
    )
    return (
        f"Many providers are compared at once. Among {most} that do not differ, about "
        f"{format_number(0.05 * most, 0)} would lie outside the 95 % limits and "
        f"{format_number(0.002 * most, 1)} outside the 99.8 % limits, per outcome and learner."
    )


def _provenance(findings: Findings) -> Iterable[Block]:
    origin = findings.provenance
    environment = origin["environment"]
    yield _paragraph(
        "The digest of each stage is made from its content and from the digest of the stage "
        "before it; the last one changes when anything before it does."
    )
    yield _table(
        "The chain of digests",
        [_text("Stage"), _text("Digest (SHA-256)", code=True), _number("Seconds", 1, "")],
        [
            ("study", origin["study"]["digest"], None),
            *((f"data: {one['name']}", one["digest"], None) for one in origin["data"]),
            ("code", origin["code"]["digest"], None),
            *((one["stage"], one["digest"], one.get("seconds")) for one in origin["stages"]),
        ],
    )
    yield _table(
        "Environment",
        [_text("Software"), _text("Version", code=True)],
        [("python", environment["python"]), *sorted(environment["packages"].items())],
    )
    yield _facts([("Seed", str(origin["seed"])), ("Made", origin["created"])])


_SECTIONS: Sequence[tuple[str, str, Callable[[Findings], Iterable[Block]]]] = (
    ("Identity", "identity", _identity),
    ("Intended use", "use", _use),
    ("Data and flow", "data", _data),
    ("Outcome definition", "outcomes", _outcomes),
    ("Case mix", "casemix", _casemix),
    ("Models", "models", _models),
    ("Performance", "performance", _performance),
    ("Calibration", "calibration", _calibration),
    ("Subgroups", "subgroups", _subgroups),
    ("Providers", "providers", _providers),
    ("Explanation", "explanation", _explanation),
    ("Limitations", "limitations", _limitations),
    ("Provenance", "provenance", _provenance),
)
