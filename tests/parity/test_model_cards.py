"""The cards in model_cards/: every number in them is in the record, and comes out again.

Each rendering is taken apart here, without the code that made it, and held against the record cell
by cell. The demonstration is then run again and gives its record; the others are, too, with
`-m slow`, where their data are at hand. `make cards` makes all of them anew.
"""

import importlib.util
import json
import re
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from riskadj.errors import FileMissingError, StudyError
from riskadj.pipeline import Stages, follow_outcome, read_study
from riskadj.report.blocks import TODO_MARK
from riskadj.report.card.card import build_card
from riskadj.report.card.person import ASKED, told
from riskadj.report.card.published import figures_of, read_card, unwritten_of_card
from riskadj.report.folder import files_in, json_text
from riskadj.report.provenance import build_provenance
from riskadj.report.render import DIGEST_SHOWN, render_html, render_markdown
from riskadj.report.results import build_findings
from riskadj.study import load_study

SHELF = Path(__file__).parents[2] / "model_cards"
CARDS = sorted(path.parent for path in SHELF.glob("*/*/card.json"))
IDS = [f"{one.parent.name}-{one.name}" for one in CARDS]
each = pytest.mark.parametrize("folder", CARDS, ids=IDS)
MOST_BYTES = 8_000_000
DIGEST = re.compile("[0-9a-f]{64}")
NUMBER = re.compile(r"[-\N{MINUS SIGN}]?\d[\d,]*(?:\.\d+)?")
OF_THIS_RUN = {"Made", "Version of the code"}
"""Facts that differ from run to run, or with the version installed."""
RELATIVE, ABSOLUTE = 1e-6, 1e-9


def _maker():
    spec = importlib.util.spec_from_file_location("make_cards", SHELF / "make.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


make = _maker()


@cache
def record(folder):
    return read_card(folder)


@cache
def markdown(folder):
    return (folder / "card.md").read_text(encoding="utf-8")


@cache
def html(folder):
    return (folder / "card.html").read_text(encoding="utf-8")


def blocks(card, kind):
    return [one for part in card["sections"] for one in part["blocks"] if one["kind"] == kind]


def one_line(text):
    return " ".join(str(text).replace("\N{NO-BREAK SPACE}", " ").split())


# --- a card in Markdown, taken apart --------------------------------------------------------------


def plain(text):
    """Return what a reader of Markdown sees of a piece of it."""
    inner = text.strip()
    if inner.startswith("`"):
        return unescape(inner.strip("`").replace(r"\|", "|"))
    bold = re.fullmatch(r"\*\*(.*)\*\*", inner)
    return one_line(re.sub(r"\\(.)", r"\1", unescape(bold[1] if bold else inner)))


def cells(line):
    return [plain(one) for one in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def is_row(line):
    return line.startswith("| ")


def tables_in(text):
    """Return the tables of a text in Markdown: rows of cells, without the rule."""
    found, before = [], ""
    for line in text.splitlines():
        if is_row(line):
            if not is_row(before):
                found.append([])
            found[-1].append(cells(line))
        before = line
    return [[table[0], *table[2:]] for table in found]


def facts_in(text):
    lines = [line for line in text.splitlines() if line.startswith("- **")]
    split = [re.fullmatch(r"- \*\*(.*?)\*\*: ?(.*)", one).groups() for one in lines]
    return [(plain(label), plain(value)) for label, value in split]


def texts_in(text):
    """Return what is neither a table nor a fact: headings, captions, sentences, figures."""
    lines = [one for one in text.splitlines() if one and not is_row(one) and one[:4] != "- **"]
    return [plain(re.sub(r"^#+ ", "", one)) for one in lines]


# --- what the record has in the same places -------------------------------------------------------


def wanted_tables(card):
    """Return each table of a record as rows of (value, column), its head first."""
    for block in blocks(card, "table"):
        columns = block["columns"]
        head = [(one["label"], None) for one in columns]
        rows = [list(zip(row, columns, strict=True)) for row in block["rows"]]
        if block["turned"] and rows:
            whole = [head, *rows]
            yield [list(one) for one in zip(*whole, strict=True)]
        else:
            yield [head, *(rows or [[("none", None), *([("", None)] * (len(columns) - 1))]])]


def wanted_texts(card):
    """Return the texts of a record in the order in which they are read."""
    yield card["title"]
    yield f"{card['study']['name']}, version {card['study']['version']}"
    yield from card["summary"]
    if card["todo"]:
        names = ", ".join(one.replace("_", " ") for one in card["todo"])
        number = len(card["todo"])
        yield f"{TODO_MARK}: {number} of the card's texts are still to be written: {names}."
    for section in card["sections"]:
        yield section["title"]
        for block in section["blocks"]:
            yield from _texts(block)


def _texts(block):
    if block["kind"] in ("paragraph", "warning"):
        yield block["text"]
    elif block["kind"] == "figure":
        yield f"![{block['alt']}](figures/{block['file']})"
    else:
        yield from filter(None, [block["caption"]])
        yield from block.get("notes", ())


def is_shown(value, column, shown):
    """Whether a cell shows a value of the record: words as they are, numbers rounded."""
    if column is None or isinstance(value, str):
        whole = str(value)
        return shown == one_line(whole[:DIGEST_SHOWN] if DIGEST.fullmatch(whole) else whole)
    if value is None:
        return shown == column.get("missing", "")
    values = value if isinstance(value, list) else [value]
    found = NUMBER.findall(shown)
    scale = 100 if column["format"] == "percent" else 1
    return len(found) == len(values) and all(map(is_rounded, (scale * v for v in values), found))


def is_rounded(value, text):
    digits = len(text.partition(".")[2])
    read = float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))
    return abs(value - read) <= 0.5 * 10**-digits * (1 + 1e-9) + 1e-12 * abs(value)


# --- every rendering against the record -----------------------------------------------------------


def test_there_are_cards():
    assert {one.parent.name for one in CARDS} == set(make.STUDIES)


def test_every_shipped_study_has_a_card_or_is_said_to_be_like_one_that_has():
    shipped = {one.stem for one in (make.CONFIGS / "studies").glob("*.yaml")} | {"demo"}
    assert {*make.STUDIES, *make.LIKE} == shipped
    assert not {*make.STUDIES} & {*make.LIKE}
    assert {*make.LIKE.values()} <= {*make.STUDIES}


@each
def test_every_cell_of_a_table_is_a_value_of_the_record_and_every_value_has_one(folder):
    shown, wanted = tables_in(markdown(folder)), [*wanted_tables(record(folder))]
    assert len(shown) == len(wanted) > 10
    for table, values in zip(shown, wanted, strict=True):
        assert [len(row) for row in table] == [len(row) for row in values]
        wrong = [
            (cell, value)
            for row, found in zip(table, values, strict=True)
            for cell, (value, column) in zip(row, found, strict=True)
            if not is_shown(value, column, cell)
        ]
        assert wrong == []


@each
def test_every_fact_is_in_the_record_and_every_one_of_the_record_is_shown(folder):
    items = [item for block in blocks(record(folder), "facts") for item in block["items"]]
    shown = facts_in(markdown(folder))
    assert [label for label, _ in shown] == [one_line(one["label"]) for one in items]
    wrong = [
        (value, one) for (_, value), one in zip(shown, items, strict=True)
        if not is_shown(one["value"], one, value)
    ]  # fmt: skip
    assert wrong == []


@each
def test_every_sentence_is_in_the_record_and_every_one_of_the_record_is_shown(folder):
    assert texts_in(markdown(folder)) == [one_line(one) for one in wanted_texts(record(folder))]


@each
def test_the_renderings_are_those_of_the_record(folder):
    assert markdown(folder) == render_markdown(record(folder))
    drawn = {one: (folder / "figures" / one).read_text(encoding="utf-8")
             for one in figures_of(record(folder))}  # fmt: skip
    assert seen(html(folder)) == seen(render_html(record(folder), drawn))


class Page(HTMLParser):
    """The cells of the tables of a page, its facts, and every text outside its figures."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.facts, self.texts = [], [], []
        self.inside = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("meta", "link", "br", "img"):
            return
        self.inside.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("dt", "dd"):
            self.facts.append("")

    def handle_endtag(self, tag):
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data):
        if {"svg", "style", "nav"} & set(self.inside):
            return
        if {"td", "th"} & set(self.inside):
            self.tables[-1][-1][-1] += data
        elif {"dt", "dd"} & set(self.inside):
            self.facts[-1] += data
        elif data.strip():
            self.texts.append(one_line(data))


def seen(text):
    page = Page(text)
    return page.tables, page.facts, page.texts


@each
def test_the_page_shows_the_cells_and_facts_that_markdown_shows(folder):
    page = Page(html(folder))
    without_rows = [["none"]]
    shown = [
        [[one_line(cell) for cell in row] for row in table] for table in page.tables
    ]  # fmt: skip
    wanted = [
        [table[0], *(without_rows if len(table) == 2 and table[1][0] == "none" else table[1:])]
        for table in tables_in(markdown(folder))
    ]
    assert shown == wanted
    pairs = [*zip(page.facts[::2], page.facts[1::2], strict=True)]
    assert [(one_line(a), one_line(b)) for a, b in pairs] == facts_in(markdown(folder))


@each
def test_the_figures_are_those_that_the_record_names_and_are_in_the_page(folder):
    names = figures_of(record(folder))
    there = {"card.json", "card.md", "card.html", *(f"figures/{one}" for one in names)}
    assert set(files_in(folder)) == there
    for name in names:
        assert (folder / "figures" / name).read_text(encoding="utf-8") in html(folder)


@each
def test_a_card_is_small(folder):
    assert sum(path.stat().st_size for path in files_in(folder).values()) < MOST_BYTES


# --- whose card it is -----------------------------------------------------------------------------


@each
def test_a_card_stands_under_its_study_and_version(folder):
    study = load_study(make.study_file(folder.parent.name))
    card = record(folder)
    assert card["study"] == {"name": folder.parent.name, "version": folder.name}
    assert (study.name, study.version, study.title) == (*card["study"].values(), card["title"])


@each
def test_what_a_person_says_is_what_the_study_says_now(folder):
    study = load_study(make.study_file(folder.parent.name))
    shown = facts_in(markdown(folder))
    for field in ASKED:
        texts = [(label, one_line(text)) for label, text in told(study.card, field)]
        assert [one for one in shown if one[0] == ASKED[field].label] == texts
    assert unwritten_of_card(record(folder)).fields == tuple(record(folder)["todo"])


# --- made again -----------------------------------------------------------------------------------


def different(old, new, place="card"):
    """Return where two records differ by more than rounding; digests and times aside."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("label") in OF_THIS_RUN and old["label"] == new.get("label"):
            return []
        keys = [*old, *(new.keys() - old.keys())]
        named = f"{place}/{old.get('anchor') or old.get('caption') or old.get('label') or ''}"
        return [d for k in keys for d in different(old.get(k), new.get(k), f"{named}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [d for i, (a, b) in enumerate(zip(old, new, strict=True))
                for d in different(a, b, f"{place}[{i}]")]  # fmt: skip
    if type(old) in (int, float) and type(new) in (int, float):
        return [] if new == pytest.approx(old, rel=RELATIVE, abs=ABSOLUTE) else [(place, old, new)]
    both = [DIGEST.sub("", one) if isinstance(one, str) else one for one in (old, new)]
    return [] if both[0] == both[1] else [(place, old, new)]


def of_results(card):
    """Return the part of a record that a study, its data and its method make."""
    told_here = ("format", "title", "study", "summary", "todo")
    sections = [one for one in card["sections"] if one["anchor"] != "provenance"]
    return {key: card[key] for key in told_here} | {"sections": sections}


def test_the_demonstration_gives_its_card_again(tmp_path):
    study = load_study(make.laid_out("demo", tmp_path))
    episodes, stages = read_study(study), Stages(lambda *_: None)
    results = tuple(follow_outcome(episodes, study, one, stages) for one in study.outcomes)
    provenance = build_provenance(study, episodes.sources, stages.table())
    fresh = build_card(build_findings(study, results, provenance))
    (published,) = [record(one) for one in CARDS if one.parent.name == "demo"]
    assert different(of_results(published), of_results(json.loads(json_text(fresh)))) == []
    assert published["provenance"]["study"] == fresh["provenance"]["study"]
    assert published["provenance"]["seed"] == fresh["provenance"]["seed"]


@pytest.mark.slow
@pytest.mark.data
@each
def test_every_card_and_figure_comes_out_again(folder, tmp_path):
    try:
        run = make.run_of(folder.parent.name, tmp_path)
    except FileMissingError as error:
        pytest.skip(f"the data are not here: {error}")
    fresh = record(run)
    assert different(of_results(record(folder)), of_results(fresh)) == []
    assert record(folder)["provenance"]["study"] == fresh["provenance"]["study"]
    assert files_in(folder).keys() <= files_in(run).keys()
    for name in figures_of(fresh):
        old, new = ((one / "figures" / name).read_text(encoding="utf-8") for one in (folder, run))
        assert NUMBER.sub("0", old) == NUMBER.sub("0", new), name
        numbers = [[float(one.replace(",", "").replace("\N{MINUS SIGN}", "-"))
                    for one in NUMBER.findall(text)] for text in (old, new)]  # fmt: skip
        assert numbers[1] == pytest.approx(numbers[0], rel=1e-3, abs=0.02), name


# --- how cards are made ---------------------------------------------------------------------------


def test_a_study_without_its_data_is_passed_over_and_its_card_stays(tmp_path, monkeypatch, capsys):
    def absent(name, *_):
        if name == "nhs_hip":
            raise FileMissingError("proms.csv: wanted a file of data; there is none.")
        raise StudyError("no study")

    monkeypatch.setattr(make, "run_of", absent)
    card = tmp_path / "nhs_hip" / "1" / "card.json"
    card.parent.mkdir(parents=True)
    card.write_text("{}")
    with pytest.raises(SystemExit) as left:
        make.main(["nhs_hip", "sparcs_cost", "--to", str(tmp_path), "--work", str(tmp_path)])
    told = capsys.readouterr()
    assert left.value.code == 1
    assert "nhs_hip: passed over, its card stays: proms.csv: wanted a file" in told.out
    assert "sparcs_cost: failed: no study" in told.out
    assert "0 made, 1 passed over, 1 failed" in told.out
    assert "1/2 nhs_hip" in told.err
    assert card.read_text() == "{}"


def test_every_study_that_has_a_card_can_be_read_and_names_what_it_is_called():
    for name in make.STUDIES:
        assert load_study(make.study_file(name)).name == name
    scenarios = {make.CONFIGS / "scenarios" / f"{one}.yaml" for one in make.WORLDS.values()}
    assert all(one.is_file() for one in scenarios)


@pytest.mark.slow
def test_a_run_is_taken_again_only_while_it_is_what_would_come(tmp_path):
    run = make.run_of("norway_neck", tmp_path)
    study = make.laid_out("norway_neck", tmp_path)
    assert make.is_what_would_come(run, study)
    card = make.publish_card(make.run_of("norway_neck", tmp_path, again=False), tmp_path / "shelf")
    assert record(card) == record(run)
    study.write_text(study.read_text().replace("minimum_n: 20", "minimum_n: 21"))
    assert not make.is_what_would_come(run, study)
    make.laid_out("norway_neck", tmp_path)
    (run / "flow.csv").write_text("changed")
    assert not make.is_what_would_come(run, study)


# --- the comparison itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "same"),
    [
        (0.31249, "0.312", True), (0.3125, "0.313", True), (0.3131, "0.312", False),
        (-1234.5, "\N{MINUS SIGN}1,234.5", True), (1234.5, "\N{MINUS SIGN}1,234.5", False),
        (12, "12", True), (12, "13", False),
    ],
)  # fmt: skip
def test_a_number_is_shown_if_it_rounds_to_what_is_shown(value, text, same):
    assert is_rounded(value, text) == same


@each
def test_a_changed_number_would_be_found_in_every_table(folder):
    card = json.loads(json.dumps(record(folder)))
    numeric = 0
    for table in wanted_tables(card):
        for row in table:
            for value, column in row:
                if column and isinstance(value, (int, float)):
                    numeric += 1
                    shown = f"{100 * value if column['format'] == 'percent' else value:,.2f}"
                    assert not is_shown(value + 1, column, shown)
    assert numeric > 100
    assert different(card, json.loads(json.dumps(card))) == []
    card["summary"][0] += "."
    assert [place for place, _, _ in different(record(folder), card)] == ["card/.summary[0]"]
