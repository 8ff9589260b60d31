"""What a card asks of a person: each text, where it stands, and whether somebody has written it.

The texts are in a study's `card:` block. Whether they are true, no program can tell.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from riskadj.report.blocks import TODO_MARK
from riskadj.study.report import TODO, CardText


class Asked(NamedTuple):
    """A text that a person has to write.

    Attributes
    ----------
    label : str
        How the card calls it.
    section : str
        The anchor of the section that shows it.
    about : str
        What to write.
    """

    label: str
    section: str
    about: str


ASKED: Mapping[str, Asked] = MappingProxyType({
    "contact": Asked("Contact", "identity", "who answers for the comparison; how to reach them"),
    "licence": Asked("Licence", "identity", "who may use the card, its figures and its data, how"),
    "intended_use": Asked("Intended use", "use", "which question it answers, and for what"),
    "users": Asked("Users", "use", "who reads it and acts on it"),
    "population": Asked("Population", "use", "which patients and providers it speaks of"),
    "out_of_scope": Asked("Out of scope", "use", "what it must not be used for"),
    "payment_use": Asked("Use in payment", "use", "whether money hangs on it, how, and how much"),
    "perverse_incentives": Asked(
        "Perverse incentives", "use", "what it could reward that nobody wants: choosing patients, "
        "coding more, following up fewer; and what is done about it",
    ),
    "appeal_route": Asked("Route of appeal", "use", "how a provider contests its result"),
    "human_oversight": Asked("Human oversight", "use", "who looks before anything follows from it"),
    "consent_and_representativeness": Asked(
        "Consent and representativeness", "data", "on what ground data are used; who is not in them"
    ),
    "rationale": Asked("Why these outcomes", "outcomes", "why these, these windows, thresholds"),
    "casemix_rationale": Asked(
        "Why these columns", "casemix", "why each is adjusted for, and why the others are not"
    ),
    "limitations": Asked("Stated by the study", "limitations", "what a reader must not conclude"),
    "maintenance": Asked("Maintenance", "limitations", "who makes it again, when, and what for"),
    "drift_plan": Asked(
        "Plan against drift", "limitations", "what is watched between periods, and what is done "
        "when case mix, coding, answering or calibration change",
    ),
    "change_log": Asked("Change", "limitations", "what changed with each version; the first too"),
    "sign_off": Asked("Sign-off", "limitations", "who approved this version, as what, and when"),
})  # fmt: skip
"""By field of the `card:` block, in the order of the card."""
_REMINDER = re.compile(rf"^{TODO_MARK}\b", re.IGNORECASE)


def told(card: CardText, *fields: str) -> list[tuple[str, str]]:
    """Return label and text of fields; one of several texts has its label several times.

    Examples
    --------
    >>> told(CardText(users="Payers.", contact=" "), "users", "contact")
    [('Users', 'Payers.'), ('Contact', 'TODO: to be written by a person')]
    """
    return [(ASKED[one].label, text) for one in fields for text in _texts(card, one)]


def unwritten(card: CardText) -> list[str]:
    """Return the fields that a person has still to write, in the order of the card.

    A text that is blank, or begins with `TODO` or `todo`, is not written.

    Examples
    --------
    >>> written = {one: "Somebody wrote it." for one in ASKED}
    >>> several = {"limitations": ("One.",), "change_log": ("1: the first.", "todo: 2")}
    >>> unwritten(CardText(**(written | several | {"users": " "})))
    ['users', 'change_log']
    """
    return [one for one in ASKED if any(text.startswith(TODO_MARK) for text in _texts(card, one))]


def _texts(card: CardText, field: str) -> tuple[str, ...]:
    given = getattr(card, field)
    texts = (given,) if isinstance(given, str) else given
    return tuple(_marked(one) for one in texts) or (TODO,)


def _marked(text: str) -> str:
    """Return a text, or the mark where there is none; a reminder keeps its words."""
    return _REMINDER.sub(TODO_MARK, text.strip()) or TODO
