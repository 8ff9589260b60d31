"""The page in a real browser: what a payer, a researcher and an auditor do with it, offline."""

import csv
import io
import re
import time
from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest
from page_folder import FORMULA, HIDDEN, NASTY, provider_names, write_run, write_settled

from riskadj.report.page.build import write_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (390, 768, 1280)
DOORS = {
    "payer": ("funnel", "caterpillar", "value", "settlement"),
    "researcher": ("analyses", "flags", "graded", "deciles", "calibration", "contributions",
                   "reliability", "ranks"),
    "auditor": ("flow", "subgroups"),
}  # fmt: skip
SCHEMES = ("light", "dark")
CHOSEN = "P0005"
"""Compared on every outcome."""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


def every(first, second, always):
    """Return all pairs as parameters, slow but for those that are always tried."""
    return [
        pytest.param(*pair, marks=() if pair in always else pytest.mark.slow)
        for pair in product(first, second)
    ]


def page_file(home, n):
    settled = write_settled(home / "settled", provider_names(n)[:-1])
    return write_page(write_run(home / "run", n), home / "page.html", settled).path


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return page_file(tmp_path_factory.mktemp("page"), 60).as_uri()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return page_file(tmp_path_factory.mktemp("large"), 4000).as_uri()


@pytest.fixture
def opened(browser, address):
    """Return a function that opens the page and remembers what it complained of and asked for."""
    contexts = []

    def visit(route="", width=1280, at=address, **settings):
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(f"{at}#{route}")
        page.wait_for_function("document.querySelector('#count').textContent")
        return page

    yield visit
    for context in contexts:
        context.close()


def choose(page, name):
    page.get_by_role("combobox", name="Provider").fill(name)
    page.keyboard.press("Enter")


def open_table(page, chart):
    page.locator(f'[data-chart="{chart}"] summary').click()
    page.locator(f'[data-chart="{chart}"] tbody tr').first.wait_for()


def marks_of(page, chart):
    return page.locator(f'[data-chart="{chart}"] .plot path.m').count()


def column(page, chart, head):
    """Return the texts of a column of the table behind a chart, which is open."""
    table = page.locator(f'[data-chart="{chart}"] table')
    heads = table.locator("thead th").all_inner_texts()
    return table.locator(f"tbody td:nth-child({heads.index(head) + 1})").all_inner_texts()


# --- it opens alone ---


@pytest.mark.parametrize(
    ("door", "width"), every(DOORS, WIDTHS, set(zip(DOORS, WIDTHS, strict=True)))
)
def test_it_opens_without_a_word_asks_for_nothing_and_fits(opened, address, door, width):
    page = opened(f"door={door}&provider={CHOSEN}", width)
    assert page.locator(f"#{door} figure:visible").count() == len(DOORS[door])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
    asked = {one.split("#")[0] for one in page.asked if not one.startswith("data:")}
    assert asked == {address}


def test_a_name_that_is_markup_is_shown_as_it_is_and_runs_nothing(opened):
    page = opened()
    page.on("dialog", lambda _: page.complaints.append("a dialog"))
    choose(page, NASTY)
    assert page.locator("#passport h2").inner_text() == NASTY
    assert page.locator('[data-chart="funnel"] .chosen text').text_content() == NASTY
    assert page.complaints == []


# --- a provider ---


def test_a_chosen_provider_is_marked_in_every_chart_that_has_providers(opened):
    page = opened(f"door=payer&learner=lightgbm&provider={CHOSEN}&outcome=ohs")
    no_mark = {"deciles", "flow", "subgroups"}  # of episodes and patients, not of providers
    for door, charts in DOORS.items():
        page.locator(f'#doors [data-door="{door}"]').click()
        for name in charts:
            figure = page.locator(f'[data-chart="{name}"]')
            assert figure.get_attribute("data-marked") == ("" if name in no_mark else CHOSEN), name
            assert (figure.locator(".chosen").count() > 0) == (name not in no_mark), name


def test_of_a_cost_the_tenths_have_the_mark_too(opened):
    page = opened(f"door=researcher&outcome=cost&provider={CHOSEN}")
    assert page.locator('[data-chart="deciles"]').get_attribute("data-marked") == CHOSEN


def test_its_figures_stand_with_episodes_and_interval(opened):
    page = opened(f"provider={CHOSEN}")
    rows = page.locator("#passport tbody tr:not(.why)")
    assert rows.count() == 3
    for row in rows.all():
        cells = row.locator("td").all_inner_texts()
        assert int(cells[1].replace(",", "")) > 0
        assert "(" in cells[4]
        assert " to " in cells[4]
    assert "points, higher is better" in rows.first.inner_text()
    assert "lower is better" in rows.last.inner_text()


def test_why_it_has_its_flag_stands_behind_every_door(opened):
    page = opened(f"provider={CHOSEN}")
    for door in DOORS:
        page.locator(f'#doors [data-door="{door}"]').click()
        why = page.locator("#passport .why").all_inner_texts()
        assert len(why) == 3
        for words in why:
            assert re.search(r"is (within|above|below) the limits of 9", words)
            assert re.search(r" to .* \(z \S+\)", words)
            assert "5 of 12 analyses give this flag; 6 of 12 analyses put it on the same" in words
            assert "Another method or other limits alone would move it" in words
    choose(page, "P0000")
    assert "A comparison takes 30 episodes; it has 12 episodes" in (
        page.locator("#passport .why").first.inner_text()
    )


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("provider", [f"&provider={CHOSEN}", ""], ids=["one", "all"])
def test_names_of_analyses_lie_on_no_bar(opened, width, provider):
    page = opened(f"door=researcher&outcome=ohs{provider}", width)
    over = page.evaluate(
        """() => {
          const svg = document.querySelector('[data-chart="analyses"] svg');
          const boxes = (selector, keep) => [...svg.querySelectorAll(selector)].filter(keep)
            .map(one => one.getBoundingClientRect()).filter(box => box.width > 0);
          const names = boxes("text", one => /^\\d+: /.test(one.textContent));
          const drawn = boxes("rect, path.m, circle", () => true);
          const cross = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 1 && b.top < a.bottom - 1;
          return [names.length, names.filter(one => drawn.some(bar => cross(one, bar))).length];
        }"""
    )
    assert over == [12, 0]


def test_the_curve_of_social_adjustment_says_whose_flag_changes(opened):
    page = opened(f"door=researcher&outcome=ohs&learner=linear&provider={CHOSEN}")
    figure = page.locator('[data-chart="graded"]')
    assert figure.locator(".chosen path.m").count() == 5
    assert re.search(r"Its flag (stays|changes)", figure.locator(".sub").inner_text())
    open_table(page, "graded")
    shares = column(page, "graded", "adjusted for, %")
    assert sorted({int(one) for one in shares}) == [0, 25, 50, 75, 100]
    assert all(int(one) >= 30 for one in column(page, "graded", "episodes"))
    page.get_by_label("Outcome", exact=True).select_option("cost")
    assert "No curve was made of this outcome" in figure.locator(".sub").inner_text()
    assert page.complaints == []


def test_no_table_of_estimates_is_without_episodes_and_an_interval_or_the_word_why(opened):
    counts = {"settlement", "flow"}  # amounts that follow from rules, and counts
    for door, charts in DOORS.items():
        page = opened(f"door={door}&learner=lightgbm&outcome=ohs")
        for name in (one for one in charts if one not in counts):
            open_table(page, name)
            figure = page.locator(f'[data-chart="{name}"]')
            heads = figure.locator("thead th").all_inner_texts()
            assert any("episodes" in one for one in heads), name
            text = figure.inner_text()
            assert "95 % from" in heads or re.search("interval|flag", text), name
    assert min(int(one) for one in column_of(opened, "deciles", "episodes")) > 0
    assert all(column_of(opened, "deciles", "95 % from"))


def column_of(opened, chart, head):
    page = opened("door=researcher&outcome=ohs")
    open_table(page, chart)
    return column(page, chart, head)


def test_ways_to_treat_social_factors_are_in_words(opened):
    page = opened("door=auditor&outcome=ohs")
    page.get_by_text("Ways to treat social factors").first.click()
    table = page.locator("#auditor details[open] table").first
    table.wait_for()
    words = table.locator("tbody").inner_text()
    assert "as the study has it" in words
    assert "linear" not in words.replace("the linear model", "")
    page.locator("#auditor details[open] .tools button", has_text="Show more").first.click()
    assert "peer groups" in table.locator("tbody").inner_text()


def test_its_statement_ends_in_its_total(opened):
    page = opened(f"provider={CHOSEN}")
    lines = page.locator(".statement tbody tr")
    amounts = [one.locator("td").last.inner_text() for one in lines.all()]
    assert amounts[1] == amounts[-1]
    assert amounts[-1] in page.locator("#passport").inner_text()


def test_a_hidden_provider_says_so_and_shows_no_figure(opened):
    page = opened(f"provider={HIDDEN.replace(' ', '+')}")
    text = page.locator("#passport").inner_text()
    assert text.count("hidden: fewer than 6 episodes") == 3
    assert page.locator(".chosen").count() == 0


def test_a_provider_can_be_linked_to_and_an_unknown_one_is_named(opened):
    page = opened("provider=P0007")
    assert page.locator("#passport h2").inner_text() == "P0007"
    page.evaluate("location.hash = '#provider=P9999'")
    page.locator("#stranger").wait_for()
    assert "P9999, which is no provider" in page.locator("#stranger").inner_text()
    choose(page, CHOSEN)
    assert f"provider={CHOSEN}" in page.url
    assert not page.locator("#stranger").is_visible()


def test_a_mark_can_be_clicked(opened):
    page = opened("outcome=ohs")
    mark = page.locator('[data-chart="funnel"] path.m').first
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = page.locator('[data-chart="funnel"] .tip').inner_text()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert "episodes" in said
    assert " to " in said
    assert page.locator("#passport h2").inner_text() == said.split("\n")[0]


# --- by keyboard ---


def test_a_provider_is_found_by_keyboard_alone(opened):
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for _ in range(4):
        page.keyboard.press("Tab")
    combo = page.get_by_role("combobox", name="Provider")
    assert combo.evaluate("one => one === document.activeElement")
    page.keyboard.type("p001")
    assert combo.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    active = combo.get_attribute("aria-activedescendant")
    name = page.locator(f"#{active}").evaluate("one => one.firstChild.textContent")
    page.keyboard.press("Enter")
    assert page.locator("#passport h2").inner_text() == name == "P0011"
    assert page.locator("#said").inner_text().endswith("P0011 is marked.")
    page.keyboard.press("Escape")
    assert not page.locator("#passport").is_visible()


def test_a_name_that_nobody_has_is_said_and_leaves_the_choice(opened):
    page = opened(f"provider={CHOSEN}")
    page.get_by_role("combobox", name="Provider").fill("zzz")
    assert page.locator("#options li").all_inner_texts() == ["No provider of that name"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.locator("#passport h2").inner_text() == CHOSEN


def test_a_door_opens_by_keyboard_and_the_content_can_be_skipped_to(opened):
    page = opened(f"provider={CHOSEN}")
    page.locator('#doors [data-door="auditor"]').focus()
    page.keyboard.press("Enter")
    page.locator("#auditor").wait_for()
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert f"provider={CHOSEN}" in page.url


# --- filters ---


def test_filters_hold_in_every_chart_and_table(opened):
    page = opened("outcome=ohs&learner=linear")
    open_table(page, "funnel")
    before = marks_of(page, "funnel")
    page.get_by_label("Episodes, at least").fill("150")
    page.get_by_label("Episodes, at least").press("Enter")
    episodes = [int(one.replace(",", "")) for one in column(page, "funnel", "episodes")]
    assert min(episodes) >= 150
    marks = [marks_of(page, one) for one in ("funnel", "caterpillar")]
    assert marks[0] == marks[1] < before
    assert page.locator("#count").inner_text().startswith(f"{len(episodes)} of")
    page.get_by_role("checkbox", name="within limits").uncheck()
    assert "within limits" not in column(page, "funnel", "flag")
    assert page.locator('[data-chart="caterpillar"] .plot path.m.within').count() == 0
    page.get_by_role("button", name="Show all").click()
    assert marks_of(page, "funnel") == before


def test_who_is_chosen_stays_marked_outside_the_filter(opened):
    page = opened("provider=P0000&least=300&outcome=ohs")
    assert "Outside the filters" in page.locator("#passport").inner_text()


def test_another_outcome_is_drawn_with_its_own_words(opened):
    page = opened(f"provider={CHOSEN}")
    page.get_by_label("Outcome", exact=True).select_option("cost")
    assert "SEK" in page.locator('[data-chart="funnel"] svg').first.text_content()
    assert "outcome=cost" in page.url


# --- tables ---


def test_a_table_stands_behind_every_chart(opened):
    for door, charts in DOORS.items():
        page = opened(f"door={door}&learner=lightgbm&outcome=ohs")
        for name in charts:
            open_table(page, name)
            assert page.locator(f'[data-chart="{name}"] caption').inner_text(), name


def test_a_table_sorts_by_any_column_and_stays_sorted(opened):
    page = opened("outcome=ohs")
    open_table(page, "funnel")
    head = page.locator('[data-chart="funnel"] th', has_text="episodes")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = [int(one) for one in column(page, "funnel", "episodes") if one]
    assert down == sorted(down, reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    page.locator('[data-chart="funnel"] button.name').first.click()
    up = [int(one) for one in column(page, "funnel", "episodes") if one]
    assert up == sorted(up)
    assert page.locator('[data-chart="funnel"] tr.is-chosen').count() == 1


def test_a_table_downloads_whole_with_formulas_as_text(opened):
    page = opened("outcome=ohs&learner=linear")
    open_table(page, "funnel")
    with page.expect_download() as waiting:
        page.locator('[data-chart="funnel"] .download').click()
    assert waiting.value.suggested_filename == "example_hip_providers_ohs.csv"
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {one["provider"] for one in rows} == {*provider_names(60)} - {FORMULA} | {f"'{FORMULA}"}
    assert float(rows[1]["episodes"]) == 350
    (hidden,) = (one for one in rows if one["provider"] == HIDDEN)
    assert hidden["episodes"] == hidden["observed gain"] == ""


VIEWER = """html => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  frame.width = 1200; frame.height = 900;
  frame.src = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  document.body.append(frame);
}"""
"""How MLflow 3 shows a page among a run's artifacts: shut off, from a blob."""


def test_in_a_frame_that_is_shut_off_doors_open_and_tables_can_be_copied(opened, address):
    page = opened()
    page.goto("about:blank")
    page.evaluate(VIEWER, Path(address.removeprefix("file://")).read_text(encoding="utf-8"))
    frame = page.frame_locator("iframe")
    frame.get_by_role("combobox", name="Provider").fill(CHOSEN)
    page.keyboard.press("Enter")
    frame.locator('#doors [data-door="researcher"]').click()
    frame.locator('[data-chart="analyses"] summary').click()
    tools = frame.locator('[data-chart="analyses"] .tools')
    assert "may block downloads" in tools.inner_text()
    assert tools.locator(".download").count() == 0
    tools.locator(".copy").click()
    assert tools.locator(".copy").inner_text() == "Copied"
    page.goto("about:blank")
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    heads = page.locator("textarea").input_value().split("\n")[0]
    assert heads.startswith("provider,episodes,expected by,method,limits")
    assert page.complaints == []


def test_a_door_is_left_by_the_way_back(opened):
    page = opened(f"provider={CHOSEN}")
    page.locator('#doors [data-door="auditor"]').click()
    page.locator("#auditor").wait_for()
    page.go_back()
    page.locator("#payer").wait_for()


# --- how it looks ---


def test_print_leaves_out_what_is_clicked_and_keeps_charts_and_statement(opened):
    page = opened(f"provider={CHOSEN}", 794)
    page.emulate_media(media="print")
    for gone in ("#doors", "#provider", "#flags", "#print"):
        assert not page.locator(gone).is_visible()
    for kept in ('[data-chart="funnel"] svg', ".statement", "#passport"):
        assert page.locator(kept).first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize(
    ("door", "scheme"), every(DOORS, SCHEMES, {("payer", "light"), ("researcher", "dark")})
)
def test_axe_finds_nothing_serious(opened, door, scheme):
    package = pytest.importorskip("axe_playwright_python", reason="axe is not installed")
    page = opened(f"door={door}&provider={CHOSEN}&outcome=ohs", color_scheme=scheme)
    page.locator("figure:visible summary").first.click()
    page.evaluate((files(package.__name__) / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [
        (one["id"], one["nodes"][0]["html"][:120], one["nodes"][0]["failureSummary"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_charts_tell_what_they_show_to_those_who_do_not_see_them(opened):
    page = opened(f"door=researcher&provider={CHOSEN}")
    labels = [one.get_attribute("aria-label") for one in page.get_by_role("img").all()]
    assert len(labels) == 7  # the linear model is not explained
    assert all(len(one) > 20 for one in labels)


def test_better_and_worse_differ_in_shape_not_in_colour_alone(opened):
    page = opened("outcome=ohs")
    shapes = page.evaluate(
        """() => ["better", "worse", "within"].map(look => document.querySelector(
            `[data-chart="funnel"] path.m.${look}`).getAttribute("d"))"""
    )
    assert len(set(shapes)) == 3


# --- many ---


@pytest.mark.slow
def test_4000_providers_stay_responsive(opened, large):
    began = time.perf_counter()
    page = opened(at=large)
    assert time.perf_counter() - began < 20
    assert page.locator('[data-chart="funnel"] canvas').count() == 1
    assert marks_of(page, "funnel") == 0  # they are on the canvas
    began = time.perf_counter()
    choose(page, "P2345")
    page.locator('[data-chart="funnel"] .chosen').wait_for(state="attached")
    page.locator('#doors [data-door="researcher"]').click()
    page.locator('[data-chart="ranks"] svg').first.wait_for()
    assert time.perf_counter() - began < 10
    open_table(page, "ranks")
    assert page.locator('[data-chart="ranks"] tbody tr').count() == 60
    assert page.complaints == []
