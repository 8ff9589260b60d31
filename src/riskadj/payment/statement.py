"""Statements: one provider's settlement, line by line, for a person with a calculator."""

import re
from collections.abc import Iterable, Iterator
from textwrap import wrap
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.errors import UnknownNameError, did_you_mean
from riskadj.payment.basis import NOT_STATED, PERIOD, Fact
from riskadj.payment.contract import outcomes_wanted
from riskadj.payment.formula import decimal_text, number
from riskadj.payment.money import from_minor
from riskadj.payment.settle import WITH, Settlement
from riskadj.payment.status import MEANINGS, UNSETTLED
from riskadj.payment.words import for_people, rule_title

WIDTH = 78
_HEADINGS = ("provider_id", "place", "rule", "label", "kind", "formula", "value", "confirmed",
             "source")  # fmt: skip
_ROUNDED = MappingProxyType({"half_even": "half to even", "half_up": "half away from 0"})
_NAME_LENGTH, _MARGIN = 80, 18
UNCONFIRMED = "constants not confirmed in the source"
NOT_SHOWN = (
    "A settlement says what the contract's rules come to on these results. It does not show that "
    "paying this way improves outcomes."
)


def statement_text(settlement: Settlement, provider_id: str) -> str:
    """Return one provider's statement as plain text, at most 78 characters wide.

    Every formula is that of a spreadsheet; what it gives, rounded as stated, is the amount beside
    it, which has its thousands set off and a true minus. The total is the sum of the amounts
    marked with `+`.

    Raises
    ------
    UnknownNameError
        When the settlement has no such provider.
    """
    sheet = _sheets(settlement, [provider_id])[0]
    return _text(sheet, _head(settlement), _foot(settlement))


def statement_texts(settlement: Settlement) -> Iterator[tuple[str, str]]:
    """Yield every provider with its statement, as `statement_text` returns it."""
    head, foot = _head(settlement), _foot(settlement)
    for sheet in _sheets(settlement, settlement.totals["provider_id"]):
        yield sheet["provider_id"], _text(sheet, head, foot)


def _text(sheet: dict[str, Any], head: list[str], foot: list[str]) -> str:
    lines = [*head, *_facts(sheet["facts"]), ""]
    for block in sheet["blocks"]:
        lines += wrap(block["title"], WIDTH)
        for part in block["parts"]:
            lines += _sourced(part)
            lines += [text for one in part["lines"] for text in _line_text(one)]
        lines.append("")
    lines += [_row("TOTAL", sheet["total"]), *_indented(f"= {sheet['sum']}"), ""]
    lines += foot
    return "\n".join(lines) + "\n"


def statements_html(settlement: Settlement) -> str:
    """Return all statements as one self-contained page, a printed page or more for each provider.

    Every text is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("riskadj.payment", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = for_people
    sheets = _sheets(settlement, settlement.totals["provider_id"])
    outcomes = outcomes_wanted(settlement.contract)
    pool = for_people(from_minor(settlement.pool, settlement.currency))
    return environment.get_template("statements.html.jinja").render(
        contract=settlement.contract,
        settlement=settlement,
        code=settlement.currency.code,
        periods=f"period {_periods(settlement)}",
        rounding=rounding_words(settlement),
        sheets=sheets,
        by_total=sorted(sheets, key=lambda one: -one["minor"]),
        outcomes=outcomes,
        counted=_counted(settlement).lower(),
        opening=_opening(settlement, pool),
        ranked=_ranked(settlement, sheets),
        episodes=_all_of(settlement, "episodes"),
        counts=[_all_of(settlement, f"{WITH}{one}") for one in outcomes],
        pool=pool,
        unconfirmed=settlement.unconfirmed,
        unconfirmed_words=UNCONFIRMED,
        not_shown=NOT_SHOWN,
    )


def _opening(settlement: Settlement, pool: str) -> str:
    """Return what is due in all, and to how many."""
    totals = settlement.totals
    due, out = totals["total_minor"], totals["status"].isin(UNSETTLED)
    counts = {
        "are paid": (due > 0).sum(), "pay back": (due < 0).sum(),
        "neither": ((due == 0) & ~out).sum(), "not settled": out.sum(),
    }  # fmt: skip
    told = ", ".join(f"{n} {words}" for words, n in counts.items() if n)
    return f"{settlement.currency.code} {pool} in all: {told}."


def _ranked(settlement: Settlement, sheets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the results behind composite scores, as a table for each measure."""
    digits = settlement.contract.rounding.digits
    anchors = {one["provider_id"]: one["anchor"] for one in sheets}
    return [
        {
            "title": f"{one.measure}: results behind the points of step {one.step}",
            "rows": [
                {"provider_id": name, "anchor": anchors[name],
                 "result": decimal_text(number(result), digits),
                 "points": decimal_text(number(points), digits)}
                for name, result, points in one.rows
            ],
        }
        for one in settlement.ranked
    ]  # fmt: skip


def _counted(settlement: Settlement) -> str:
    return "Cases" if settlement.contract.count == "table" else "Episodes"


def _all_of(settlement: Settlement, column: str) -> str:
    return for_people(f"{settlement.totals[column].sum()}")


def _periods(settlement: Settlement) -> str:
    return next(one.value for one in settlement.basis if one.label == PERIOD)


def file_names(provider_ids: Iterable[str]) -> dict[str, str]:
    """Return a file name for each provider, without what a file system could trip over.

    Two names that would be the same, capitals aside, get a number.

    Examples
    --------
    >>> file_names(["A/1", "A 1", "../etc"])
    {'A/1': 'A_1', 'A 1': 'A_1-2', '../etc': 'etc'}
    """
    taken: set[str] = set()
    names = {}
    for one in provider_ids:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", one).strip("._")[:_NAME_LENGTH] or "provider"
        name, times = plain, 1
        while name.lower() in taken:
            times += 1
            name = f"{plain}-{times}"
        taken.add(name.lower())
        names[one] = name
    return names


def rounding_words(settlement: Settlement) -> str:
    """Return how amounts were rounded, in a sentence."""
    rule, currency = settlement.contract.rounding, settlement.currency
    smallest = f"{1 / currency.minor_units:.{currency.minor_digits}f}"
    return (
        f"Each line is rounded {_ROUNDED[rule.method]} to {smallest} {currency.code}, and lines go "
        f"on from rounded lines. Measured ratios and rates are used as printed, to {rule.digits} "
        "digits."
    )


# --- from tables to sheets ------------------------------------------------------------------------


def _sheets(settlement: Settlement, provider_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return what a statement shows, by provider."""
    totals = settlement.totals.set_index("provider_id")
    lines = dict(iter(settlement.lines.groupby("provider_id", sort=False)))
    wanted = list(provider_ids)
    for one in wanted:
        if one not in totals.index:
            raise UnknownNameError(
                f"statement: wanted a provider of the settlement; got {one!r}."
                f"{did_you_mean(one, totals.index)}"
            )
    places = {one: f"s{place}" for place, one in enumerate(totals.index, start=1)}
    return [
        _sheet(one, totals.loc[one], lines[one], settlement) | {"anchor": places[one]}
        for one in wanted
    ]


def _sheet(
    provider_id: str, total: pd.Series, lines: pd.DataFrame, settlement: Settlement
) -> dict[str, Any]:
    rows = [
        one | {"paid": one["kind"] == "payment", "shown": for_people(one["value"])}
        for one in lines[list(_HEADINGS)].to_dict("records")
    ]
    minor = int(total["total_minor"])
    return {
        "provider_id": provider_id,
        "status": total["status"],
        "episodes": _count(total["episodes"]),
        "target": for_people(total["target"]),
        "counts": [_count(total[f"{WITH}{one}"]) for one in outcomes_wanted(settlement.contract)],
        "total": for_people(total["total"]),
        "minor": minor,
        "below": minor < 0,
        "sum": _summed([one["value"] for one in rows if one["paid"]]),
        "facts": _provider_facts(provider_id, total, settlement),
        "blocks": _blocks(rows),
    }


def _provider_facts(provider_id: str, total: pd.Series, settlement: Settlement) -> list[Fact]:
    counts = {name: total[f"{WITH}{name}"] for name in outcomes_wanted(settlement.contract)}
    due = f"{settlement.currency.code} {for_people(total['total'])}"
    if total["status"] in UNSETTLED:
        due = f"not worked out; counts {due} in sums"
    elif total["total_minor"] < 0:
        due = f"{due}, to be paid back"
    return [
        Fact("Provider", " ".join(provider_id.split())),
        Fact("Status", f"{total['status']}: {MEANINGS[total['status']]}"),
        Fact(_counted(settlement), _count(total["episodes"])),
        *(Fact(f"with {name}", _count(value)) for name, value in counts.items()),
        Fact("Due", due),
    ]


def _count(value: Any) -> str:
    return "not shown" if pd.isna(value) else for_people(f"{value}")


def _summed(paid: list[str]) -> str:
    """Return amounts as a sum; the signs of the amounts are those between them.

    Examples
    --------
    >>> _summed(["-1.50", "2.00"]), _summed(["2.00", "-1.50"]), _summed([])
    ('0 - 1.50 + 2.00', '2.00 - 1.50', '0')
    """
    parts = [f"- {one[1:]}" if one.startswith("-") else f"+ {one}" for one in paid]
    text = " ".join(parts)
    return f"0 {text}" if text.startswith("-") else text.removeprefix("+ ") or "0"


def _blocks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return lines of the same rule together, in order, and in them those of the same source."""
    blocks: list[dict[str, Any]] = []
    for one in rows:
        key = (one["place"], one["rule"])
        if not blocks or blocks[-1]["key"] != key:
            blocks.append({"key": key, "title": rule_title(*key), "parts": []})
        parts = blocks[-1]["parts"]
        if not parts or parts[-1]["source"] != one["source"]:
            parts.append({"source": one["source"], "confirmed": one["confirmed"], "lines": []})
        parts[-1]["lines"].append(one)
    return blocks


# --- as text --------------------------------------------------------------------------------------


def _head(settlement: Settlement) -> list[str]:
    contract = settlement.contract
    run = Fact("Run", settlement.run_digest[:16] or NOT_STATED)
    return [
        *wrap(f"Statement: {contract.title}", WIDTH),
        *wrap(contract.about, WIDTH),
        "",
        *_facts([*settlement.basis, run]),
        "",
    ]


def _facts(facts: Iterable[Fact]) -> list[str]:
    return [
        line
        for one in facts
        for line in wrap(one.value, WIDTH, initial_indent=f"{one.label:<{_MARGIN}}",
                         subsequent_indent=" " * _MARGIN)
    ]  # fmt: skip


def _sourced(part: dict[str, Any]) -> list[str]:
    doubt = "" if part["confirmed"] else f" [{UNCONFIRMED}]"
    return _indented(f"Source: {part['source']}{doubt}")


def _line_text(one: dict[str, Any]) -> list[str]:
    mark = "+ " if one["paid"] else "  "
    return [*_label(f"{mark}{one['label']}", one["shown"]), *_indented(one["formula"], 6)]


def _label(label: str, value: str) -> list[str]:
    room = WIDTH - len(value) - 2
    told = wrap(label, room, initial_indent="" if label.startswith("+") else "  ",
                subsequent_indent="    ") or [""]  # fmt: skip
    return [*told[:-1], _row(told[-1], value)]


def _row(label: str, value: str) -> str:
    return f"{label}{value:>{max(WIDTH - len(label), len(value) + 2)}}".rstrip()


def _indented(text: str, by: int = 2) -> list[str]:
    return wrap(text, WIDTH, initial_indent=" " * by, subsequent_indent=" " * by,
                break_long_words=False, break_on_hyphens=False)  # fmt: skip


def _foot(settlement: Settlement) -> list[str]:
    lines = wrap(rounding_words(settlement), WIDTH)
    if settlement.unconfirmed:
        lines += ["", f"Rules with {UNCONFIRMED}:"]
        for rule, source in settlement.unconfirmed:
            lines += _indented(f"- {rule}: {source}")
    return [*lines, "", *wrap(NOT_SHOWN, WIDTH), f"Settlement {settlement.digest[:16]}"]
