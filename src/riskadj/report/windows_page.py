"""Variation between providers by component and window, as one page: tables scroll in their box."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from riskadj.expected.windows import COMPONENTS
from riskadj.profile.windows import WindowVariation
from riskadj.report import blocks
from riskadj.report.blocks import Block, Column, estimated
from riskadj.report.render import render_html
from riskadj.study import Study

FIGURE = "windows.svg"
_NOTHING = "-"


def page(
    found: WindowVariation,
    study: Study,
    *,
    summary: Sequence[str],
    titles: Mapping[str, str],
    how: Iterable[str],
    svg: str,
) -> str:
    """Return the findings as one page that needs nothing else.

    Parameters
    ----------
    found : WindowVariation
    study : Study
    summary : sequence of str
        What was found, in sentences.
    titles : mapping of str to str
        What components are called.
    how : iterable of str
        How it was done, in sentences.
    svg : str
        The figure.
    """
    sections = {
        "Figure": [blocks.figure(FIGURE, summary[0], "Variance between providers by window")],
        "Windows": [_windows(found)],
        "Components": [_components(found, titles)],
        "Amounts": [_amounts(found, titles)],
        "How it was done": [blocks.paragraph(one) for one in how],
    }
    card = {
        "title": f"{study.title}: cost of an episode by component and window",
        "study": {"name": study.name, "version": study.version},
        "summary": list(summary),
        "todo": [],
        "sections": [
            {"title": title, "anchor": title.lower().replace(" ", "-"), "blocks": some}
            for title, some in sections.items()
        ],
    }
    return render_html(card, {FIGURE: svg})


def _windows(found: WindowVariation) -> Block:
    columns = [
        blocks.number("to day"), _number("mean"), _number("fifths, %"),
        _estimate("SD over the mean, %", 1), _estimate("variance added, %", 0),
    ]  # fmt: skip
    rows = (
        [row["window"], row["mean"], 100 * row["relative_gap"], _share(row, "cv"),
         _share(row, "variance_added")]
        for row in (found.row(days) for days in found.costs.windows)
    )  # fmt: skip
    return blocks.table(
        "Adjusted cost of providers by window",
        columns,
        rows,
        "Fifths: how much more the fifth of providers with the highest adjusted cost costs than "
        "the one with the lowest; chance is in it. The standard deviation between providers is "
        "without chance. Variance added: of that between providers at the longest window. In "
        "brackets: 95 % intervals.",
    )


def _components(found: WindowVariation, titles: Mapping[str, str]) -> Block:
    windows = found.costs.windows
    columns = [blocks.text("component"), *(_estimate(f"to day {one}, %", 0) for one in windows)]
    rows = (
        [titles[one], *(_share(found.row(days, one), "share_of_variance") for days in windows)]
        for one in COMPONENTS
    )
    return blocks.table(
        "What carries the variance between providers, of the total's", columns, rows
    )


def _amounts(found: WindowVariation, titles: Mapping[str, str]) -> Block:
    cost = found.costs.outcome
    columns = [
        blocks.number("to day"), blocks.text("component"), _number("mean"),
        _number("lowest fifth"), _number("highest fifth"), _number("gap"),
        _number("gap, fifths of the longest window"), _estimate("SD beyond chance", 0),
        _number("reliability", 2),
    ]  # fmt: skip
    rows = (
        [row["window"], titles[row["component"]], row["mean"], row["quintile_1"],
         row["quintile_5"], row["gap"], row["gap_by_longest"],
         _between(row, "between_sd", 1), row["reliability"]]
        for row in found.table.to_dict("records")
    )  # fmt: skip
    return blocks.table(
        f"Adjusted cost by window and component, {cost.currency} of {cost.price_year}",
        columns,
        rows,
    )


def _number(label: str, decimals: int = 0) -> Column:
    return blocks.number(label, decimals, missing=_NOTHING)


def _estimate(label: str, decimals: int) -> Column:
    return blocks.estimate(label, decimals) | {"missing": _NOTHING}


def _share(row: Mapping[str, Any], name: str) -> list[float] | None:
    return _between(row, name, 100)


def _between(row: Mapping[str, Any], name: str, times: float) -> list[float] | None:
    return estimated(*(times * float(row[f"{name}{end}"]) for end in ("", "_lower95", "_upper95")))
