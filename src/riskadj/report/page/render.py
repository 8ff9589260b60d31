"""A page's data and sections of its card as one HTML file: no request, no font, no framework."""

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from riskadj.report.render import environment

SCRIPTS = ("core", "plot", "charts", "table", "doors")
"""The parts of the script, in order."""

DOORS: Mapping[str, tuple[str, ...]] = {
    "payer": (),
    "researcher": ("models", "performance", "belief", "followup"),
    "auditor": ("identity", "use", "data", "outcomes", "casemix", "subgroups", "fairness", "social",
                "limitations", "provenance"),
}  # fmt: skip
"""Which sections of the card stand behind which door."""


def render_page(content: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    content : mapping
        As `page_content` returns it.
    card : mapping
        As in `card.json`; its sections stand as text behind the doors, without figures.
    """
    template = environment().get_template("page.html.jinja")
    script, style = _script(), _text("page.css")
    return template.render(
        run=content["run"],
        card=card,
        sections={door: _sections(card, anchors) for door, anchors in DOORS.items()},
        # Of this package, but for the data, in which `json_text` leaves no sign of HTML.
        data=Markup(json_text(content)),  # nosec B704
        script=Markup(script),  # nosec B704
        style=Markup(style),  # nosec B704
        policy=_policy(script, style),
    )


def json_text(content: Mapping[str, Any]) -> str:
    r"""Return data as JSON that can stand in a script element, whatever the names in it.

    Examples
    --------
    >>> json_text({"name": "</script><b>"})
    '{"name":"\\u003c/script\\u003e\\u003cb\\u003e"}'
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _sections(card: Mapping[str, Any], anchors: tuple[str, ...]) -> list[dict[str, Any]]:
    by_anchor = {one["anchor"]: one for one in card["sections"]}
    return [
        {**one, "blocks": [block for block in one["blocks"] if block["kind"] != "figure"]}
        for one in (by_anchor[anchor] for anchor in anchors if anchor in by_anchor)
    ]


def _script() -> str:
    parts = "\n".join(_text(f"page.{one}.js") for one in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def _text(name: str) -> str:
    return (files("riskadj.report") / "templates" / name).read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    """Return what the page may do: run this script, wear this style, and ask nobody anything."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
