"""What people see while they wait, and when it is done."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from riskadj.errors import RiskadjError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from riskadj.cohort import AnchoredThresholds
    from riskadj.demo import Demo
    from riskadj.episodes import Column
    from riskadj.pipeline import Run

STAGES = {
    "simulate": "making the world",
    "read": "reading episodes",
    "select": "selecting the cohort",
    "anchor": "estimating thresholds",
    "expect": "fitting and testing expectations",
    "profile": "profiling providers",
    "follow_up": "following up who did not answer",
    "fairness": "auditing groups and drift",
    "explain": "explaining expectations",
    "value": "looking at outcome and cost together",
    "report": "writing the report",
    "track": "logging to MLflow",
}
_METRICS = (
    ("n", "n", ",.0f"),
    ("R2", "r2", ".4f"),
    ("MAE", "mae", ".3f"),
    ("slope", "calibration_slope", ".3f"),
    ("drift", "drift", ".4f"),
)


@contextmanager
def stage_progress(title: str) -> Iterator[Callable[[str, str, float | None], None]]:
    """Show on stderr which stage is under way, and how long each took."""
    console = Console(stderr=True)
    console.print(f"[bold]{title}[/bold]", highlight=False)
    with console.status("starting") as status:

        def on_stage(name: str, outcome: str, seconds: float | None) -> None:
            label = f"{outcome}: {STAGES[name]}" if outcome else STAGES[name]
            if seconds is None:
                status.update(label)
            else:
                console.print(f"  {label:<52} {_told(seconds)}", highlight=False)

        yield on_stage


def _told(seconds: float) -> str:
    from riskadj.pipeline import TakenUp

    return f"{'taken up':>9}" if isinstance(seconds, TakenUp) else f"{seconds:7.1f} s"


def show_run(run: "Run") -> None:
    """Show what a run found, how long it took, and where it is."""
    console = Console()
    console.print(_metrics_table(run))
    for one in run.findings.fit_warnings:
        console.print(f"warning   {one}", soft_wrap=True, highlight=False, markup=False)
    console.print(_seconds_table(run.seconds))
    console.print(f"card      {run.folder / 'card.html'}", soft_wrap=True, highlight=False)
    console.print(f"providers {run.folder / 'providers.csv'}", soft_wrap=True, highlight=False)
    console.print(f"seal      {_seal(run)}", soft_wrap=True, highlight=False)
    if run.replaced:
        told = f"replaced  a run of other data: {run.replaced}"
        console.print(told, soft_wrap=True, highlight=False, markup=False)
    if run.told_with_replaced:
        told = (
            f"warning   {run.told_with_replaced} numbers tell of few patients beside those of the "
            "run that was here before: if that has left, keep this one, or set "
            "report.round_counts_to"
        )
        console.print(told, soft_wrap=True, highlight=False, markup=False)
    if run.logged:
        where = f"run {run.logged.run_id} at {run.logged.uri}"
        console.print(f"MLflow    {where}", soft_wrap=True, highlight=False)


def _seal(run: "Run") -> str:
    """Return the digest of the whole folder, to be kept elsewhere: `riskadj audit` checks it."""
    from riskadj.report.folder import MARK, read_json

    return str(read_json(run.folder / MARK)["seal"])


def show_demo(demo: "Demo") -> None:
    """Show how close the adjusted gains came to the truth that was planted."""
    console = Console()
    table = Table(title="Adjusted against true provider effects (known here, never in life)")
    for name in ("outcome", "learner", "providers", "correlation", "raw gain instead"):
        table.add_column(name, justify="left" if name in ("outcome", "learner") else "right")
    for row in demo.truth.itertuples():
        table.add_row(
            row.outcome, row.learner, f"{row.providers}", f"{row.adjusted:.2f}", f"{row.raw:.2f}"
        )
    console.print(table)


def show_faults(faults: Iterable[RiskadjError]) -> None:
    """Show every fault, a line each."""
    console = Console(stderr=True)
    listed = list(faults)
    for one in listed:
        console.print(f"- {one}", soft_wrap=True, highlight=False, markup=False)
    noun = "fault" if len(listed) == 1 else "faults"
    console.print(f"{len(listed)} {noun}; nothing was written.", highlight=False)


def show_flow(flow: "pd.DataFrame") -> None:
    """Show who would be left at every station."""
    console = Console()
    table = Table(title="No faults. Episodes by outcome:")
    for name in flow.columns:
        table.add_column(name, justify="right" if name in ("left", "remaining") else "left")
    for row in flow.itertuples(index=False):
        table.add_row(row.outcome, row.station, row.reason, f"{row.left:,}", f"{row.remaining:,}")
    console.print(table)


def show_columns(pattern: str) -> None:
    """Show the declarations of the columns whose name matches a pattern.

    On a terminal as a table; else a line for each column, with tabs between.
    """
    from fnmatch import fnmatchcase

    from riskadj.episodes.columns import COLUMNS

    matched = [one for one in COLUMNS.values() if fnmatchcase(one.name, pattern)]
    if not matched:
        hint = did_you_mean(pattern, COLUMNS) or " riskadj columns lists them all."
        raise UnknownNameError(
            f"columns: wanted a column or a pattern; got {pattern!r}, which matches none.{hint}"
        )
    rows = [(one.name, one.meaning, _holds(one), one.known_at, one.role) for one in matched]
    console = Console()
    if console.file.isatty():
        console.print(_columns_table(rows, console.width))
        return
    for cells in (_DECLARED, *rows):
        console.file.write("\t".join(cells) + "\n")


_DECLARED = ("column", "meaning", "holds", "known", "role")
_MEANING_AT_LEAST = 30
_HOLDS_AT_LEAST = 12


def _columns_table(rows: Sequence[tuple[str, ...]], width: int) -> Table:
    """Return the declarations in so many columns; what is narrow is folded under the meaning."""
    longest = [max(map(len, cells)) for cells in zip(_DECLARED, *rows, strict=True)]
    name, meaning, _, known, role = longest
    left = width - name - known - role - 2 * (len(longest) - 1)
    wide = left >= _MEANING_AT_LEAST + _HOLDS_AT_LEAST
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("column", no_wrap=True)
    if not wide:
        table.add_column("meaning, and what it holds, when it is known, role", overflow="fold")
        for one, means, *rest in rows:
            table.add_row(one, Text.assemble(means, "\n", ("; ".join(rest), "dim")))
        return table
    meaning = min(meaning, left - _HOLDS_AT_LEAST)
    table.add_column("meaning", width=meaning, overflow="fold")
    table.add_column("holds", max_width=left - meaning, overflow="fold")
    table.add_column("known", no_wrap=True)
    table.add_column("role", no_wrap=True)
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def show_thresholds(pattern: str) -> None:
    """Show the registered thresholds whose id matches a pattern."""
    from fnmatch import fnmatchcase

    from riskadj.instruments.thresholds import KINDS, THRESHOLDS

    matched = [one for name, one in THRESHOLDS.items() if fnmatchcase(name, pattern)]
    if not matched:
        hint = did_you_mean(pattern, THRESHOLDS) or " riskadj thresholds lists them all."
        raise UnknownNameError(
            f"thresholds: wanted an id or a pattern; got {pattern!r}, which matches none.{hint}"
        )
    console = Console()
    for one in matched:
        console.print(f"[bold]{one.id}[/bold]  {one.value:g} {one.unit}", highlight=False)
        console.print(f"  {one.meaning}: {KINDS[one.kind].title}", highlight=False)
        told = f"{one.anchor}; {one.method}; {one.follow_up}; {one.population}"
        console.print(f"  {told}", highlight=False, markup=False)
        console.print(f"  {one.source}", highlight=False, markup=False)
        if not one.verified:
            console.print(f"  not verified: {one.why_unverified}", highlight=False, markup=False)


def show_anchored(found: "AnchoredThresholds", suppress_below: int) -> None:
    """Show thresholds with their intervals, the answers, and how they hang on the baseline."""
    console = Console()
    measured = found.measured
    table = Table(title="Change from which on patients say that they are better")
    for name in ("method", "threshold", "95 % interval"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in found.thresholds.itertuples():
        table.add_row(row.method, f"{row.value:.3g}", f"{row.lower95:.3g} to {row.upper95:.3g}")
    console.print(table)
    console.print(
        f"{measured.n:,} episodes, {measured.share_improved:.1%} improved; correlation of answer "
        f"and change {measured.correlation:.2f}, area under the curve {measured.auc:.2f}. "
        "Intervals draw providers.",
        highlight=False,
    )
    console.print(_answers_table(found.answers, suppress_below))
    slope, low, high = found.slope
    table = Table(title="Predictive threshold by the score before")
    for name in ("score before", "threshold", "95 % interval"):
        table.add_column(name, justify="right")
    for one in found.along.itertuples():
        table.add_row(
            f"{one.baseline:.3g}", f"{one.threshold:.3g}", f"{one.lower95:.3g} to {one.upper95:.3g}"
        )
    console.print(table)
    console.print(
        f"It changes by {slope:.2f} ({low:.2f} to {high:.2f}) per unit of the score before"
        f"{_BASELINE_OF[found.baseline_of]}",
        highlight=False,
    )


_BASELINE_OF = {
    "items": ": one half of the items is the score before, the other half tells the change.",
    "score": "; part of that is error of measurement, as the change is made of the same score.",
}


def _answers_table(answers: "pd.DataFrame", suppress_below: int) -> Table:
    table = Table(title="Change by answer, 1 much better to 5 much worse")
    for name in ("answer", "n", "share", "mean change", "SD"):
        table.add_column(name, justify="right")
    few = answers["n"] < suppress_below
    if few.sum() == 1:  # what one row hides, the sum of the others would tell
        few |= answers["n"] == answers.loc[~few, "n"].min()
    for row, hidden in zip(answers.itertuples(), few, strict=True):
        shown = (f"{row.n:,}", f"{row.share:.1%}", f"{row.mean_change:.2f}", f"{row.sd:.2f}")
        table.add_row(f"{row.answer}", *(("*",) * 4 if hidden else shown))
    return table


def _holds(column: "Column") -> str:
    if column.kind == "flag":
        return "1 yes, 0 no"
    if column.codes:
        return ", ".join(dict.fromkeys(str(value) for value in column.codes.values()))
    if column.low is None or column.high is None:
        return column.kind
    return f"{column.low:g} to {column.high:g} {column.unit}"


def _metrics_table(run: "Run") -> Table:
    from riskadj.report.lookup import compared, places_of

    told = places_of(run.findings)
    inner = told.limits[0][2]
    title = f"Held-out figures on {_modelled(run)}, and providers outside the {inner} limits"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("outcome", "learner"):
        table.add_column(name, overflow="fold")
    for name in (*(one for one, _, _ in _METRICS), "outside"):
        table.add_column(name, justify="right", no_wrap=True)
    for outcome, learners in run.findings.metrics.items():
        for learner, figures in learners.items():
            cells = [format(figures[key], spec) for _, key, spec in _METRICS]
            flags = compared(run.findings, outcome=outcome, learner=learner)["flag"]
            outside = int(flags.isin(told.outside).sum())
            table.add_row(outcome, learner, *cells, f"{outside}/{len(flags)}")
    return table


def _modelled(run: "Run") -> str:
    """Return what the figures are on, which of a gain is not what is compared."""
    kinds = {one.kind for one in run.findings.study.outcomes}
    if kinds == {"gain"}:
        return "the score after"
    return "what is modelled (of a gain the score after)" if "gain" in kinds else "what is compared"


def _seconds_table(seconds: dict[str, float]) -> Table:
    table = Table(title="Seconds per stage")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name, spent in seconds.items():
        table.add_row(STAGES[name], f"{spent:.1f}")
    table.add_section()
    table.add_row("all", f"{sum(seconds.values()):.1f}")
    return table
