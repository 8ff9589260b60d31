"""A provider may be called anything: pages, figures, terminal and tables show it and no more."""

import csv
import io
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from security.hostile import CONTRACT, CONTRACT_SET, NAMES

from riskadj.audit import audit_run, diff_runs
from riskadj.audit.runs import open_run
from riskadj.cli import main
from riskadj.report.explaining import read_explained
from riskadj.report.folder import no_formula, read_csv
from riskadj.report.page.tables import read_tables

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGES = ("run/card.html", "run/page.html", "settled/statements.html")
ELEMENTS = {
    "run/card.html": set(), "run/page.html": {"script"}, "settled/statements.html": set(),
}  # fmt: skip


class Seen(HTMLParser):
    """What a page is made of: elements, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("page", PAGES)
def test_no_name_becomes_part_of_a_page(page: str, home: Path):
    text = (home / page).read_text(encoding="utf-8")
    seen = Seen(text)
    assert not seen.elements & ({"script", "img", "iframe", "object"} - ELEMENTS[page])
    assert not [one for one in seen.attributes if one.startswith("on")]
    assert "window.ran" in seen.text or "window.ran" in text
    assert "Content-Security-Policy" in text


@pytest.mark.parametrize("page", ["run/card.html", "settled/statements.html"])
def test_names_are_shown_as_they_are(page: str, home: Path):
    shown = " ".join(Seen((home / page).read_text(encoding="utf-8")).text.split())
    found = [one for one in NAMES if " ".join(one.split()) in shown]
    assert len(found) >= (len(NAMES) if "statements" in page else 3)


def test_no_name_becomes_part_of_a_figure(home: Path):
    drawn = sorted((home / "run" / "figures").glob("*.svg"))
    assert len(drawn) > 2
    held = ""
    for path in drawn:
        tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        elements = list(tree.iter())
        assert not {one.tag.split("}")[-1] for one in elements} & {"script", "foreignObject"}
        assert not [name for one in elements for name in one.attrib if name.startswith("on")]
        held += "".join(tree.itertext())
    assert any(name in held for name in NAMES[:4])


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@pytest.mark.parametrize("name", PAGES)
def test_no_script_of_a_name_runs_in_a_browser(name: str, home: Path, browser):
    page = browser.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((home / name).as_uri())
    page.mouse.move(300, 300)
    assert page.evaluate("window.ran") is None
    assert page.locator("img").count() == 0
    assert said == []
    assert asked == [(home / name).as_uri()]
    page.close()


def call(capsys, monkeypatch, *arguments) -> str:
    monkeypatch.setattr(sys, "argv", ["riskadj", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main()
    printed = capsys.readouterr()
    assert not left.value.code, printed.err
    return printed.out


def test_markup_in_a_name_is_shown_and_not_followed(capsys, monkeypatch, home, tmp_path):
    setting = [part for one in CONTRACT_SET for part in ("--set", one)]
    said = call(
        capsys, monkeypatch, "settle", CONTRACT, home / "run", "--out", tmp_path / "out", *setting
    )
    assert "[red]bold[/red]" in said
    for name in (NAMES[0], NAMES[10]):
        said = call(capsys, monkeypatch, "explain", home / "run", f"--provider={name}")
        assert name.split()[0] in said


def test_a_run_of_such_names_is_read_back_settled_and_audited(home: Path):
    providers = read_csv(home / "run" / "providers.csv", dtype=str, keep_default_na=False)
    assert set(providers["provider_id"]) == set(NAMES)
    totals = read_csv(home / "settled" / "settlement.csv", dtype=str, keep_default_na=False)
    assert set(totals["provider_id"]) == set(NAMES)
    assert set(open_run(home / "run").providers["provider_id"]) == set(NAMES)
    assert set(read_tables(home / "run")["providers"]["provider_id"]) == set(NAMES)
    assert set(read_explained(home / "run").tables["providers"]["provider_id"]) == set(NAMES)
    assert audit_run(home / "run", data=[home / "episodes.csv"], rerun=False).faults == ()
    assert diff_runs(home / "run", home / "run").flags.empty


def test_every_table_is_neutral_to_a_spreadsheet(home: Path):
    tables = [*home.glob("run/*.csv"), *home.glob("settled/*.csv")]
    assert len(tables) > 10
    for path in tables:
        cells = pd.read_csv(path, dtype=str, keep_default_na=False, header=None).to_numpy().ravel()
        risky = [one for one in cells if one[:1] in tuple("=+-@\t\r")]
        assert pd.to_numeric(pd.Series(risky, dtype=str), errors="coerce").notna().all(), path.name


TEXTS = (
    *NAMES, "-1.5", "+7", "-1e5", "-.5", "-inf", "a;-b", "\t=1", "\r=1", "''=1", "d'Or",
    "\uff1d1", "x", "\t\t;=1", "=;=;'=",
)  # fmt: skip


def test_a_page_s_downloads_are_neutral_in_the_same_way(browser):
    script = (files("riskadj.report") / "templates" / "page.table.js").read_text(encoding="utf-8")
    begin = script.index("const FORMULA")
    part = script[begin : script.index("function csvText")]
    page = browser.new_page()
    cells = page.evaluate(
        f"texts => {{ const isBlank = value => value === ''; {part}\nreturn texts.map(csvCell); }}",
        list(TEXTS),
    )
    page.close()
    written = [next(csv.reader(io.StringIO(one, newline="")))[0] for one in cells]
    assert written == [no_formula(one) for one in TEXTS]
