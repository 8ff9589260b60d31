"""Where other frameworks' headings are in this card, and which are not in it."""

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from riskadj.report.blocks import Block, paragraph, table, text
from riskadj.report.card.crosswalk import FRAMEWORKS, SUMMARY, Entry, Framework
from riskadj.report.card.person import ASKED
from riskadj.report.words import counted, listed

NOTHING = "not covered"
NOT_CHECKED = "headings as summarised, not checked against the text"
_WHAT_IT_IS = (
    "These tables say where to look; they claim conformity with nothing. Headings are in our "
    "words. Whether what stands here is enough, and whether a framework applies to a comparison of "
    "providers at all, is for whoever answers for its use to say, with the primary text in hand."
)
_WHAT_WAS_SEEN = (
    "Checked against the framework's own text: {checked}. Only as summarised by others, and not "
    "checked: {others}; headings there may be left out, merged or out of date."
)


class Contents(NamedTuple):
    """What a card holds.

    Attributes
    ----------
    titles : mapping of str to str
        Of every section that a card can have, by its anchor.
    there : container of str
        The anchors of those that this one has.
    todo : container of str
        The fields that a person has still to write.
    """

    titles: Mapping[str, str]
    there: Container[str]
    todo: Container[str]


def crosswalk(contents: Contents) -> Iterable[Block]:
    """Yield a table for each framework: what it asks for, where that is, and what is not."""
    yield paragraph(_WHAT_IT_IS)
    checked, others = (
        listed([one.title for one in FRAMEWORKS if one.is_checked == is_checked])
        for is_checked in (True, False)
    )
    yield paragraph(_WHAT_WAS_SEEN.format(checked=checked, others=others))
    for one in FRAMEWORKS:
        caption = f"{one.title}: where it is in this card"
        yield table(
            caption if one.is_checked else f"{caption} ({NOT_CHECKED})",
            [
                text("Asked for" if one.is_checked else "Asked for, as summarised"),
                text("Here"),
                text("Not here"),
            ],
            [(e.asks, _here(e, contents), _not_here(e, contents)) for e in one.entries],
            f"{one.about} Headings from {one.seen}.",
            _counts(one, contents),
        )


def _here(entry: Entry, contents: Contents) -> str:
    return "; ".join(_place(one, contents) for one in entry.where if _is_there(one, contents))


def _not_here(entry: Entry, contents: Contents) -> str:
    if not entry.where:
        return NOTHING
    absent = [
        f"this run has no section {contents.titles[one]}"
        for one in entry.where
        if not _is_there(one, contents)
    ]
    return "; ".join([*filter(None, [entry.lacks]), *absent])


def _counts(one: Framework, contents: Contents) -> str:
    found = [[w for w in entry.where if _is_there(w, contents)] for entry in one.entries]
    here = sum(map(bool, found))
    waiting = sum(any(_field(place) in contents.todo for place in some) for some in found)
    return (
        f"Of {counted(len(found), 'heading')}, {here} have a place here, {waiting} of them with a "
        f"text that is still to be written; {len(found) - here} are not covered."
    )


def _is_there(place: str, contents: Contents) -> bool:
    return place == SUMMARY or _section(place) in contents.there


def _place(place: str, contents: Contents) -> str:
    if place == SUMMARY:
        return "the summary above"
    title, field = contents.titles[_section(place)], _field(place)
    if not field:
        return title
    waits = " (still to be written)" if field in contents.todo else ""
    return f"{title}, {ASKED[field].label.lower()}{waits}"


def _section(place: str) -> str:
    return place.partition(": ")[0]


def _field(place: str) -> str:
    return place.partition(": ")[2]
