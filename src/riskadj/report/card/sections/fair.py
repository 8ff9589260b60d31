"""What being fair to named groups costs in fit, and does to the others."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from riskadj.cohort.rates import ALL
from riskadj.fairness.fair import LEARNER, MODELS
from riskadj.report.blocks import (
    Block,
    estimate,
    estimated,
    number,
    paragraph,
    percent,
    table,
    text,
    warning,
)
from riskadj.report.findings import Findings
from riskadj.report.lookup import rows_of
from riskadj.report.words import (
    feature_label,
    format_number,
    in_order,
    kept_in,
    learner_title,
    named,
    table_decimals,
)
from riskadj.study import Outcome

MOST_OTHERS = 8


def fair(findings: Findings) -> Iterable[Block]:
    """Yield fair regressions: their fit, and what they expect of groups too much or too little."""
    if findings.fair.empty:
        return
    models = [f"{_title(name)}: {one.words}" for name, one in MODELS.items()]
    yield paragraph(
        "Regressions on top of a learner, under which the mean of observed \N{MINUS SIGN} expected "
        "of named groups is 0 among those who teach (Zink and Rose 2020, Biometrics 76:973-982); "
        "figures are of episodes that did not teach.",
        f"{'; '.join(models)}.",
        "Where a group is a covariate its own level is adjusted for, quality of those who treat it "
        "included; where it is case mix, stacked has it too, so that fair is much the same. Blind "
        "models know nothing of the columns of the groups named: others that go with them carry "
        "what is due, at a price in fit and to other groups. Their change is by what they do not "
        "know, and by the constraint. What other columns tell of a group (an age band beside an "
        "age) they do know.",
    )
    for outcome in findings.study.outcomes:
        rows = rows_of(findings.fair, outcome=outcome.name)
        if not rows.empty:
            yield _fits(outcome, rows)
            yield from _useless(outcome, rows)
            if (rows.loc[rows["group"] != ALL, "model"] == LEARNER).any():
                yield _nets(findings, outcome, rows)


def _fits(outcome: Outcome, rows: pd.DataFrame) -> Block:
    whole = rows[rows["group"] == ALL]
    return table(
        f"{named(outcome)}: fit of fair regressions",
        [text("Learner"), text("Model"), number("Episodes"), number("Providers"),
         estimate("R\N{SUPERSCRIPT TWO}", 3),
         estimate("Change", 3) | {"missing": ""}, percent("Out of range")],
        [
            [learner_title(one.learner), _title(one.model), one.n, one.providers,
             estimated(one.r2, one.r2_lower95, one.r2_upper95),
             estimated(one.r2_change, one.r2_change_lower95, one.r2_change_upper95)
             if one.model != LEARNER else None, one.out_of_range]
            for one in whole.itertuples(index=False)
        ],
        "Change: from the learner alone. Intervals of 95 %, by provider. Out of range: "
        "expectations that the outcome cannot have.",
    )  # fmt: skip


def _useless(outcome: Outcome, rows: pd.DataFrame) -> Iterable[Block]:
    """Yield which models come farther from what was observed than one mean for everybody."""
    worse = rows[(rows["group"] == ALL) & (rows["r2"] < 0)]
    for one in worse.itertuples(index=False):
        sure = "" if one.r2_upper95 < 0 else " The interval reaches above 0, so this may be chance."
        yield warning(
            f"{named(outcome)}: {_title(one.model)} has an R\N{SUPERSCRIPT TWO} below 0, "
            f"{format_number(one.r2, 3)}: what it expects is farther from what was observed than "
            f"one mean for everybody would be.{sure} Holding the groups named to 0 in this way "
            "costs more than case mix brings. Do not compare providers by it."
        )


def _title(model: str) -> str:
    return "learner alone" if model == LEARNER else model.replace("_", " ")


def _nets(findings: Findings, outcome: Outcome, rows: pd.DataFrame) -> Block:
    """Return the mean residual of the groups named, and of the others that move most."""
    groups = rows[rows["group"] != ALL]
    wide = groups.pivot_table(
        index=["group", "level", "targeted"], columns="model", values="mean_residual"
    )
    models = [name for name in (LEARNER, *MODELS) if name in wide]
    found = groups.set_index(["model", "group", "level", "targeted"])
    moved = wide[models[1:]].sub(wide[LEARNER], axis=0).abs().max(axis=1)
    order = pd.DataFrame({"moved": moved}).reset_index()
    order = order.sort_values(["group", "level"], key=lambda one: one.map(in_order))
    kept = pd.concat(
        [order[order["targeted"]], order[~order["targeted"]].nlargest(MOST_OTHERS, "moved")]
    )
    columns = {one.name: one for one in findings.casemix}
    decimals = table_decimals(outcome)
    return table(
        f"{named(outcome)}: observed \N{MINUS SIGN} expected, groups named and others",
        [text("Group"), text("Level"), text("Named"), number("Episodes"),
         *(estimate(_title(one).capitalize(), decimals) for one in models)],
        [
            [feature_label(group, columns), level, "yes" if targeted else "",
             found["n"].get((LEARNER, *key)), *(_interval(found, (one, *key)) for one in models)]
            for key in kept[["group", "level", "targeted"]].itertuples(index=False, name=None)
            for group, level, targeted in (key,)
        ],
        "Above 0 less is expected of the group than it has. Intervals of 95 %, by provider. "
        "Others: those that the regressions move most.",
        kept_in("fair.csv", "every group"),
    )  # fmt: skip


def _interval(found: pd.DataFrame, key: tuple[Any, ...]) -> list[float] | None:
    row = found.loc[key]
    return estimated(row["mean_residual"], row["lower95"], row["upper95"])
