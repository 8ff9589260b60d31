"""How far flags hang on choices that nobody can prove right."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pandas as pd

from riskadj.profile.sensitivity import CHOICES
from riskadj.report.blocks import Block, number, paragraph, percent, table, text
from riskadj.report.choices import LIMITS, METHODS
from riskadj.report.contest import Contest, contest
from riskadj.report.figures import figure_blocks
from riskadj.report.findings import Findings
from riskadj.report.lookup import compared, learner_names, places_of, told_of
from riskadj.report.words import counted, learner_title, listed, named

NOT_VARIED = "not varied"
_TITLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "method": {name: one.title for name, one in METHODS.items()},
        "limits": {name: one.title for name, one in LIMITS.items()},
    }
)
_NONE = (
    "The study declares no other analyses to hold flags against (profile.sensitivity), and has "
    "one learner: how far its flags hang on its choices is not known."
)


def sensitivity(findings: Findings) -> Iterable[Block]:
    """Yield how many flags hold under the other analyses, which choice moves them, and whose."""
    contests = [contest(findings, one) for one in findings.study.outcomes]
    if not any(len(one.analyses) > 1 for one in contests):
        yield paragraph(_NONE)
        return
    yield paragraph(*_declared(contests))
    yield _overall(findings, contests)
    for one in contests:
        yield from figure_blocks(findings, "sensitivity", one.outcome)
        yield _by_option(one)
        yield _beyond(findings, one)


def _declared(contests: Sequence[Contest]) -> Iterable[str]:
    """Yield what flags are held against."""
    one = max(contests, key=lambda each: len(each.analyses))
    most = "" if len({len(each.analyses) for each in contests}) == 1 else "up to "
    options = [
        counted(len(one.options("learner")), "learner"),
        counted(len(one.options("method")), "method"),
        f"{counted(len(one.options('limits')), 'kind')} of limits",
    ]
    yield f"Every flag is held against {most}{len(one.analyses)} analyses: {listed(options)}."
    yield (
        "Methods that draw effects to the middle already allow for differences between providers, "
        "so that they go with nominal limits only."
    )
    yield "A flag that few analyses share says as much about the choice of one as about a provider."


def _overall(findings: Findings, contests: Iterable[Contest]) -> Block:
    rows = [
        [one.outcome.name, learner, *_holding(findings, one, learner)]
        for one in contests
        for learner in learner_names(findings, one.outcome)
    ]
    return table(
        "How many flags hold, and how many another choice moves when all else is equal",
        [text("Outcome"), text("Learner", code=True), number("Compared"),
         number("One flag in all analyses"), percent("Share"), number("Flagged"),
         number("Same flag in all"), number("Same side in all"),
         *(number(f"Moved by another {one}" if one != "limits" else "Moved by other limits",
                  0, NOT_VARIED) for one in CHOICES)],
        rows,
        "Most with one flag in all analyses are never flagged. Flagged: outside limits by the "
        "study's own method and limits with that learner; beside it, how many of these keep the "
        "flag, and the side, in all analyses.",
    )  # fmt: skip


def _holding(findings: Findings, one: Contest, learner: str) -> list[Any]:
    rows = compared(findings, outcome=one.outcome.name, learner=learner)
    holding = int((rows["flag_share"] == 1).sum())
    flagged = rows[rows["flag"].isin(one.told.outside)]
    moved = [rows["flag_moved_by"].str.split().map(set).ge({choice}).sum() for choice in CHOICES]
    return [
        len(rows),
        holding,
        holding / len(rows) if len(rows) else None,
        len(flagged),
        int((flagged["flag_share"] == 1).sum()),
        int((flagged["flag_side_share"] == 1).sum()),
        *(
            int(number) if len(one.options(choice)) > 1 else None
            for choice, number in zip(CHOICES, moved, strict=True)
        ),
    ]


def _by_option(one: Contest) -> Block:
    rows = [
        [choice, _title(choice, option), *one.moved(choice, option)]
        for choice in CHOICES
        for option in one.options(choice)
    ]
    learners = [learner for learner, _, _ in one.own]
    return table(
        f"{named(one.outcome)}: flags that change when one choice changes",
        [text("Choice"), text("To"), *(number(f"From {name}", 0, "") for name in learners)],
        [row for row in rows if any(cell is not None for cell in row[2:])],
        f"Of {counted(len(one.flags), 'provider')}. Columns: the study's own method and limits "
        "with that learner. Empty: the study's own option, or not declared.",
    )


def _title(choice: str, option: str) -> str:
    titles = _TITLES.get(choice)
    return titles[option] if titles else learner_title(option)


# --- provider by provider -------------------------------------------------------------------------


def _beyond(findings: Findings, one: Contest) -> Block:
    told, named_here = places_of(findings, one.outcome), told_of(findings, one.outcome)
    words = {place.flag: place.words for place in told.all}
    rows = [
        [provider, words[flag], *_told(one, provider, flag, some)]
        for (provider, flag), some in _flagged(findings, one).groupby(
            ["provider_id", "flag"], sort=False
        )
    ]
    return table(
        f"{named(one.outcome)}: how firm the flags {named_here.whom} are",
        [text("Provider"), text("Place"), text("Under", code=True), text("Same flag"),
         text("Same side"), text("Moved by")],
        rows,
        "Under: the learners with which the study's own method and limits give the flag. Most "
        "contested first. Same flag, same side: analyses that give this flag, and that put the "
        "provider on this side of the limits. Moved by: choices of which another option, all else "
        "equal, gives another flag with any of these learners; choices change one at a time, and "
        "several at once may still move a flag.",
    )  # fmt: skip


def _flagged(findings: Findings, one: Contest) -> pd.DataFrame:
    rows = compared(findings, outcome=one.outcome.name)
    told = told_of(findings, one.outcome).flags
    rows = rows[rows["flag"].isin(told) & rows["provider_id"].isin(one.flags.index)]
    order = {name: place for place, name in enumerate(learner_names(findings))}
    return rows.assign(order=rows["learner"].map(order)).sort_values(
        ["flag_share", "provider_id", "order"]
    )


def _told(one: Contest, provider: str, flag: str, rows: pd.DataFrame) -> list[str]:
    flags = one.flags.loc[provider].dropna()
    agreeing = int((flags == flag).sum())
    beside = int((flags.map(one.told.sides) == one.told.sides[flag]).sum())
    moving = {name for names in rows["flag_moved_by"] for name in names.split()}
    moved = [name for name in CHOICES if name in moving]
    nothing = "nothing" if agreeing == len(flags) else "only several at once"
    return [
        " ".join(rows["learner"]),
        f"{agreeing} of {len(flags)}",
        f"{beside} of {len(flags)}",
        listed(moved) if moved else nothing,
    ]
