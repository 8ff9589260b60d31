"""What a trial found, in words: what a terminal and a report say under its table."""

from collections.abc import Mapping
from typing import Any

from riskadj.trial.drift import found_in
from riskadj.trial.fair import Fair, interval_in_words
from riskadj.trial.run import Trial

Row = Mapping[str, Any]


def meanings(trial: Trial) -> list[str]:
    """Return what the columns of the comparison mean, and what has to be known of the worlds."""
    found, rules = trial.found.table, trial.settings
    first = found.iloc[0]
    years, worlds = int(first["provider_years"]), int(first["worlds"])
    told = [
        f"{worlds} world{'s' * (worlds > 1)}, {years:,} provider-years; under figures: 95 % "
        "intervals over worlds. off: half the sum of |paid - right|, of the money moved. follows: "
        "share of what payments differ by that is true. wrong: provider-years paid where repaying "
        "is right, or the other way round, or something for nothing, or nothing for something, "
        f"beyond {rules.tolerance:g} of the target; of it too few: results hidden or of too few "
        f"episodes. gate: passed or failed wrongly, where worse by more than {rules.margin:g} SD "
        "truly fails. fair from: episodes of a provider from which on "
        f"{100 * rules.target_share:g} % follows; none: no volume that there is here."
    ]
    rest = {one.name: len(one.contract.unconfirmed()) for one in trial.variants}
    told += [
        f"{name}: {number} of its rules not confirmed in their source"
        for name, number in rest.items() if number
    ]  # fmt: skip
    return [*told, *trial.told]


def too_few(trial: Trial) -> list[str]:
    """Return how much of what is wrongly paid is so for want of episodes, a line each."""
    return [_too_few(row) for row in trial.found.table.to_dict("records")]


def against_best(trial: Trial) -> list[str]:
    """Return how much more the others misallocate than the best, in the same worlds."""
    table = trial.found.differences
    mine = table[table["figure"] == "misallocated_share"]
    if mine.empty:
        return []
    best = mine.iloc[0]
    return [
        f"In the same worlds as {best['best_contract']} by {best['best_learner']}, the best here:",
        *(_against(row) for row in mine.to_dict("records")),
    ]


def drifted(trial: Trial) -> list[str]:
    """Return in how many worlds case mix changes more differently than by chance."""
    table = found_in(trial.drift)
    whole, rest = table.iloc[0], table.iloc[1:]
    if not whole["worlds"]:
        return []
    seen = rest[rest["found"] > 0].sort_values("found", ascending=False, kind="stable")
    named = ", ".join(f"{one.measure} ({one.found})" for one in seen.itertuples())
    return [
        f"Case mix: in {whole['found']} of {whole['worlds']} worlds providers change more "
        f"differently from period to period than by chance{f': {named}' if named else ''}."
    ]


def percent(share: float) -> str:
    """Return a share as a whole percentage; nothing where it is not known.

    Examples
    --------
    >>> percent(0.126), percent(float("nan"))
    ('13', '')
    """
    return "" if share != share else f"{100 * share:.0f}"


def with_interval(row: Row, name: str) -> str:
    r"""Return a share of a row, in per cent, and under it its interval where there is one.

    Examples
    --------
    >>> with_interval({"off": 0.132, "off_lower95": 0.118, "off_upper95": 0.151}, "off")
    '13\n12 to 15'
    """
    lower, upper = row[f"{name}_lower95"], row[f"{name}_upper95"]
    between = "" if lower != lower else f"\n{percent(lower)} to {percent(upper)}"
    return percent(row[name]) + between


def fair_shortly(row: Row) -> str:
    r"""Return the fair volume of a row and under it its interval, as a narrow column says them.

    Examples
    --------
    >>> fair_shortly({"fair_from": "100 (72 to none within these volumes)",
    ...     "fair_volume": 99.5, "fair_volume_lower95": 71.2, "fair_volume_upper95": float("nan")})
    '100\n72 to none'
    """
    nothing = float("nan")
    bounds = (row["fair_volume_lower95"], row["fair_volume_upper95"])
    fair = Fair(row["fair_volume"], *bounds, (nothing,) * 3, nothing, nothing)
    between = "" if all(one != one for one in bounds) else f"\n{interval_in_words(fair, 'none')}"
    return _first_word(row["fair_from"]) + between


def _first_word(told: str) -> str:
    """Return `every volume`, `none`, `not known` or the number of a fair volume."""
    words = [one for one in ("every volume", "not known") if told.startswith(one)]
    return words[0] if words else told.split()[0].rstrip(",")


def _too_few(row: Row) -> str:
    years = row["provider_years"]
    wrong, few = (round(row[one] * years) for one in ("wrongly_paid", "wrongly_paid_too_few"))
    money = percent(row["misallocated_too_few"])
    return (
        f"{row['contract']} by {row['learner']}: {wrong} of {years} provider-years wrongly paid, "
        f"of which too few {few}; too few in all {row['too_few']}, with {money or 'none'}"
        f"{' %' * bool(money)} of the misallocated money"
    )


def _against(row: Row) -> str:
    more = 100 * row["difference"]
    lower, upper = (100 * row[f"difference_{side}95"] for side in ("lower", "upper"))
    between = "interval needs more worlds" if lower != lower else f"{lower:.1f} to {upper:.1f}"
    apart = "" if lower > 0 or lower != lower else "; not told apart"
    return (
        f"{row['contract']} by {row['learner']}: {more:.1f} percentage points more misallocated "
        f"({between}{apart})"
    )
