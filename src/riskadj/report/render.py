"""Renderings of a card: Markdown, and one self-contained HTML page without JavaScript.

Both add nothing to the card and escape every text in it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from riskadj.report.blocks import TODO_MARK, Block
from riskadj.report.card.person import ASKED
from riskadj.report.words import format_number, three_digits

DIGEST_SHOWN = 16
"""Signs of a digest that is shown: as many as an audit asks for of one kept elsewhere."""
SHORT = 24
"""Letters up to which a cell of words stays on one line."""
HALF_A_PAGE = 80
"""Letters up to which a table has room in half the width of a desk's page."""
_GAP, _WORDS_BREAK, _BRIEF = 2.6, 45, 64
_DIGEST = re.compile("[0-9a-f]{64}")
_MARKDOWN_SIGNS = re.compile(r"([\\`*_\[\]|#~])")


def render_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown, with figures as links to `figures/<name>`.

    Parameters
    ----------
    card : mapping
        As `build_card` returns it, or as read back from `card.json`.

    Examples
    --------
    >>> card = {"title": "A <title>", "study": {"name": "a", "version": "1"}, "summary": [],
    ...         "todo": [], "sections": []}
    >>> print(render_markdown(card))
    # A &lt;title&gt;
    <BLANKLINE>
    a, version 1
    <BLANKLINE>
    """
    study = card["study"]
    parts = [
        f"# {_md(card['title'])}",
        f"{_md(study['name'])}, version {_md(study['version'])}",
        *(_md(one) for one in card["summary"]),
    ]
    if card["todo"]:
        parts.append(f"**{_md(todo_notice(card['todo']))}**")
    for section in card["sections"]:
        parts.append(f"## {_md(section['title'])}")
        parts += [_MARKDOWN[block["kind"]](block) for block in section["blocks"]]
    return "\n\n".join(parts) + "\n"


def render_html(card: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    """Return the card as one page that needs nothing else: no script, no request, no font.

    Parameters
    ----------
    card : mapping
        As `build_card` returns it, or as read back from `card.json`.
    figures : mapping
        File name -> SVG text, as `draw_figures` returns it; it goes into the page as it is.

    Examples
    --------
    >>> card = {"title": "A <title>", "study": {"name": "a", "version": "1"}, "summary": [],
    ...         "todo": [], "sections": []}
    >>> "<h1>A &lt;title&gt;</h1>" in render_html(card, {})
    True
    """
    template = environment().get_template("card.html.jinja")
    # Figures are drawn by charts/, where every name is escaped.
    drawn = {name: Markup(svg) for name, svg in figures.items()}  # nosec B704
    return template.render(card=card, figures=drawn)


def format_value(value: Any, column: Mapping[str, Any]) -> str:
    """Return a value as its column wants it shown; a missing one as the column words it.

    Examples
    --------
    >>> format_value(0.0812, {"format": "percent", "decimals": 1})
    '8.1 %'
    >>> format_value([0.31, 0.1, 0.52], {"format": "estimate", "decimals": 2})
    '0.31 (0.10 to 0.52)'
    >>> format_value(None, {"format": "number", "missing": "suppressed"})
    'suppressed'
    """
    if value is None:
        return str(column.get("missing", ""))
    if _is_words(column):
        return _WORDS[column["format"]](value)
    return _NUMBERS[column["format"]](value, column.get("decimals"))


def todo_notice(fields: Sequence[str]) -> str:
    """Return the sentence that names what a person has still to write."""
    names = ", ".join(map(_words_of, fields))
    return f"{_todo_head(fields)} {names}."


def _todo_head(fields: Sequence[str]) -> str:
    return f"{TODO_MARK}: {len(fields)} of the card's texts are still to be written:"


def _words_of(field: str) -> str:
    return field.replace("_", " ")


def is_turned(block: Block) -> bool:
    """Whether a table is shown with a line for each of its columns; one without rows never is."""
    return bool(block.get("turned") and block["rows"])


def _percent(value: float, decimals: int | None) -> str:
    return f"{format_number(100 * value, decimals)} %"


def _estimate(value: Sequence[float], decimals: int | None) -> str:
    if decimals is None:
        decimals = three_digits(max(map(abs, value)))
    middle, low, high = (format_number(one, decimals) for one in value)
    return f"{middle} ({low} to {high})"


def _shortened(value: Any) -> str:
    return str(value)[:DIGEST_SHOWN] if _DIGEST.fullmatch(str(value)) else str(value)


def _is_words(column: Mapping[str, Any]) -> bool:
    return column["format"] in _WORDS


def _is_short(value: Any) -> bool:
    return len(str(value)) <= SHORT


_WORDS: Mapping[str, Callable[[Any], str]] = {"text": str, "code": _shortened}
_NUMBERS: Mapping[str, Callable[[Any, int | None], str]] = {
    "number": format_number,
    "percent": _percent,
    "estimate": _estimate,
}


# --- Markdown -------------------------------------------------------------------------------------


def _md(text: Any) -> str:
    """Return text on one line that Markdown takes as it stands."""
    one_line = " ".join(str(text).split())
    signs = _MARKDOWN_SIGNS.sub(r"\\\1", one_line)
    signs = re.sub(r"(?<=\w)\\_(?=\w)", "_", signs)
    return escape(signs, quote=False)


def _md_value(value: Any, column: Mapping[str, Any]) -> str:
    shown = format_value(value, column)
    if column["format"] == "code" and shown:
        return f"`{shown.replace('`', '')}`".replace("|", r"\|")
    return _md(shown)


def _md_paragraph(block: Block) -> str:
    return _md(block["text"])


def _md_warning(block: Block) -> str:
    return f"**{_md(block['text'])}**"


def _md_facts(block: Block) -> str:
    lines = [
        f"- **{_md(one['label'])}**: " + ("**{}**" if one["todo"] else "{}").format(
            _md_value(one["value"], one)
        )
        for one in block["items"]
    ]  # fmt: skip
    caption = [f"**{_md(block['caption'])}**", ""] if block["caption"] else []
    return "\n".join([*caption, *lines])


def _md_table(block: Block) -> str:
    rows = _md_turned(block) if is_turned(block) else _md_rows(block)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [part for note in block["notes"] for part in ("", _md(note))]
    return "\n".join([f"**{_md(block['caption'])}**", "", *lines, *notes])


def _md_rows(block: Block) -> list[list[str]]:
    columns = block["columns"]
    rule = ["---" if _is_words(one) else "---:" for one in columns]
    rows = [[_md(one["label"]) for one in columns], rule]
    rows += [
        [_md_value(value, column) for value, column in zip(row, columns, strict=True)]
        for row in block["rows"]
    ]
    return rows if block["rows"] else [*rows, ["none", *("" for _ in columns[1:])]]


def _md_turned(block: Block) -> list[list[str]]:
    first, *columns = block["columns"]
    head = [_md(first["label"]), *(_md_value(row[0], first) for row in block["rows"])]
    return [
        head,
        ["---", *("---:" for _ in block["rows"])],
        *(
            [_md(column["label"]), *(_md_value(row[place], column) for row in block["rows"])]
            for place, column in enumerate(columns, start=1)
        ),
    ]


def _md_figure(block: Block) -> str:
    return f"![{_md(block['alt'])}](figures/{block['file']})"


_MARKDOWN: Mapping[str, Callable[[Block], str]] = {
    "paragraph": _md_paragraph,
    "warning": _md_warning,
    "facts": _md_facts,
    "table": _md_table,
    "figure": _md_figure,
}


# --- HTML -----------------------------------------------------------------------------------------


def environment() -> Environment:
    """Return where templates are, and the filters that they use."""
    made = Environment(
        loader=PackageLoader("riskadj.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "shown": format_value,
        "words": _is_words,
        "groups": _groups,
        "is_brief": _is_brief,
        "is_short": _is_short,
        "together": _together,
        "is_turned": is_turned,
    }
    made.globals |= {
        "todo_notice": todo_notice,
        "todo_head": _todo_head,
        "words_of": _words_of,
        "section_of": _section_of,
    }
    return made


def _section_of(field: str) -> str:
    """Return the anchor of the section that shows a text of a person."""
    return ASKED[field].section if field in ASKED else ""


def _together(words: str) -> str:
    """Return words in which no line ends between a number and its per cent sign."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%")


def _groups(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Return blocks with neighbours together that can stand side by side."""
    return [(kind, list(some)) for kind, some in groupby(blocks, key=_shape)]


def _shape(block: Block) -> str:
    is_narrow = block["kind"] == "table" and _letters(block) <= HALF_A_PAGE
    return "narrow" if is_narrow else str(block["kind"])


def _letters(block: Block) -> float:
    """Return about how many letters a table is wide."""
    columns = block["columns"]
    shown = [
        [len(format_value(value, column)) for value, column in zip(row, columns, strict=True)]
        for row in block["rows"]
    ]
    if is_turned(block):
        widths = [max(len(one["label"]) for one in columns), *map(max, shown)]
    else:
        words = [max(map(len, one["label"].split()), default=0) for one in columns]
        widths = [*map(max, zip(words, *shown, strict=True))]
    return sum(min(one, _WORDS_BREAK) + _GAP for one in widths)


def _is_brief(block: Block) -> bool:
    """Whether facts are several short ones, which can stand in two columns."""
    facts = block["items"]
    return len(facts) > 3 and all(len(format_value(one["value"], one)) <= _BRIEF for one in facts)
