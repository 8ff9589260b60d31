"""The card's page in a real browser: it opens from a file, alone, on a desk and on a phone."""

import dataclasses
from pathlib import Path

import pytest
from findings_example import example_findings

from riskadj.report.blocks import estimate, number, table, text, turned
from riskadj.report.card.card import build_card
from riskadj.report.figures import draw_figures
from riskadj.report.render import render_html

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (390, 768, 1280)

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def card():
    return build_card(example_findings())


@pytest.fixture(scope="module")
def address(card, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "card.html"
    path.write_text(render_html(card, draw_figures(example_findings())), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Return a function that opens the page and remembers what it complained of and asked for."""
    contexts = []

    def visit(width=1280, **settings):
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.asked = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_a_word_and_asks_for_nothing_else(opened, address, width):
    page = opened(width)
    assert page.complaints == []
    assert [one for one in page.asked if not one.startswith("data:")] == [address]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_sideways(opened, width):
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.body.scrollWidth") <= width
    outside = page.evaluate(
        """width => [...document.querySelectorAll("p, dl, h2, figure, .scroll, svg")]
            .filter(one => one.getBoundingClientRect().right > width + 0.5)
            .filter(one => !one.closest(".scroll") || one.matches(".scroll"))
            .map(one => one.outerHTML.slice(0, 80))""",
        width,
    )
    assert outside == []


def test_every_section_has_its_heading_in_order(opened, card):
    page = opened()
    assert page.locator("h1").all_inner_texts() == [card["title"]]
    titles = [one["title"] for one in card["sections"]]
    assert page.locator("h2").all_inner_texts() == titles
    assert page.locator("nav a").all_inner_texts() == titles


@pytest.mark.parametrize("width", WIDTHS)
def test_the_contents_stay_in_sight_and_lead_there(opened, width):
    page = opened(width)
    link = page.get_by_role("navigation").get_by_role("link", name="Provenance")
    link.click()
    heading = page.get_by_role("heading", name="Provenance")
    assert heading.is_visible()
    bar = page.locator("nav").bounding_box()
    assert 0 <= bar["y"] < 60
    if width < 1000:
        assert heading.bounding_box()["y"] >= bar["y"] + bar["height"]


def test_figures_are_seen_and_can_be_heard(opened):
    page = opened()
    drawn = page.get_by_role("img")
    assert drawn.count() == 20
    assert all(one.get_attribute("aria-label") for one in drawn.all())
    assert all(one.bounding_box()["width"] > 300 for one in drawn.all())


@pytest.mark.parametrize("width", WIDTHS)
def test_the_grid_of_flags_can_be_read(opened, width):
    page = opened(width)
    grid = page.locator("figure svg[aria-label*='Grid of flags']").first
    assert grid.bounding_box()["width"] > 330
    size = grid.evaluate(
        """svg => [...svg.querySelectorAll("text")]
            .map(one => one.getBoundingClientRect())
            .map(box => Math.min(box.width, box.height))
            .filter(size => size > 0)
            .reduce((a, b) => Math.min(a, b))"""
    )
    assert size > 4


def test_figures_of_a_kind_stand_side_by_side_on_a_desk(opened):
    boxes = [
        one.bounding_box()
        for one in opened(1280).locator("#belief .figures").first.locator("figure").all()
    ]
    assert len(boxes) == len({round(one["x"]) for one in boxes}) == 2


def test_warnings_stand_out(browser, tmp_path):
    found = dataclasses.replace(example_findings(), fit_warnings=("ohs, linear: not converged",))
    path = tmp_path / "card.html"
    path.write_text(render_html(build_card(found), {}), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    warning = page.locator("#providers .warning")
    assert warning.inner_text() == "ohs, linear: not converged"
    weight, border = warning.evaluate(
        "one => [getComputedStyle(one).fontWeight, getComputedStyle(one).borderLeftWidth]"
    )
    assert int(weight) >= 600
    assert border == "4px"
    page.close()


def test_captions_wrap_to_a_phone_and_stay_when_their_table_scrolls(opened):
    page = opened(390)
    beyond = page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].map(one => {
            one.scrollLeft = 100;
            const [box, all] = [one.querySelector("caption"), one].map(
                each => each.getBoundingClientRect());
            return Math.max(box.right - all.right, all.left - box.left);
        })"""
    )
    assert len(beyond) > 10
    assert max(beyond) <= 1


def test_short_words_in_tables_stay_on_one_line(opened):
    page = opened(390)
    heights = page.evaluate(
        """() => [...document.querySelectorAll("#sensitivity td.short")]
            .map(one => one.getBoundingClientRect().height)"""
    )
    assert heights
    assert max(heights) < 40


def test_wide_tables_scroll_by_keyboard_on_a_phone(opened):
    page = opened(390)
    region = page.get_by_role("region", name="Oxford Hip Score (ohs), points: performance")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("one => one.scrollLeft > 0", arg=region.element_handle())


def test_text_stands_out_in_light_and_dark(opened):
    lightness = """selector => {
        const rgb = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
        const mean = text => rgb(text).reduce((a, b) => a + b) / 3;
        const style = getComputedStyle(document.querySelector(selector));
        return [mean(style.color), mean(getComputedStyle(document.body).backgroundColor)];
    }"""
    for scheme in ("light", "dark"):
        text, paper = opened(color_scheme=scheme).evaluate(lightness, "main p")
        assert abs(text - paper) > 150
        assert (paper > 128) == (scheme == "light")


def test_what_is_still_to_be_written_is_marked(opened, card):
    page = opened()
    assert page.locator("dd.todo").count() == len(card["todo"])
    assert page.locator(".notice").inner_text().startswith(f"TODO: {len(card['todo'])} of")


def test_what_is_still_to_be_written_is_said_first_and_each_text_leads_to_its_place(opened, card):
    page = opened()
    notice = page.locator(".notice")
    assert notice.bounding_box()["y"] < page.locator(".summary").bounding_box()["y"]
    links = notice.get_by_role("link")
    assert links.all_inner_texts() == [one.replace("_", " ") for one in card["todo"]]
    for one in links.all():
        section = page.locator(one.get_attribute("href"))
        assert section.locator("dd.todo").count() > 0
    weight = page.locator(".notice strong").evaluate("one => getComputedStyle(one).fontWeight")
    assert int(weight) >= 600


def test_tables_use_the_page_on_a_desk(opened):
    page = opened(1280)
    room = page.locator("main").bounding_box()["width"]
    lone = page.evaluate(
        """() => [...document.querySelectorAll("main > section > .table table")]
            .map(one => one.getBoundingClientRect().width)"""
    )
    assert len(lone) > 5
    assert min(lone) >= room - 1
    side_by_side = page.locator(".narrow.columns").first.locator("table").all()
    lefts = {round(one.bounding_box()["x"]) for one in side_by_side}
    assert len(lefts) == 2


def test_tables_side_by_side_need_no_scrolling(opened):
    over = opened(1280).evaluate(
        """() => [...document.querySelectorAll(".columns .scroll")]
            .map(one => one.scrollWidth - one.clientWidth)"""
    )
    assert over
    assert max(over) <= 1


def test_print_leaves_out_the_contents_and_keeps_every_table(opened):
    page = opened(794)
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("table").count() == page.locator("table:visible").count()


# --- tables that are wider than their box ---------------------------------------------------------

A4 = 717
"""Pixels between the margins of a page of A4."""


def wide_card():
    """Return a card with a table turned, one that is wide, and a narrow one with a long caption."""
    learners = [f"learner_{number}" for number in range(9)]
    figures = [text("Learner", code=True), *(estimate(f"Figure {one}", 3) for one in range(20))]
    rows = [[one, *([[0.117, 0.076, 0.163]] * 20)] for one in learners]
    wide = [text("Provider"), *(number(f"Figure {one}", 2) for one in range(13))]
    blocks = [
        turned(table("Turned: performance", figures, rows)),
        table("Wide", wide, [[f"P{one}", *([1234.5] * 13)] for one in range(3)]),
        table(f"Narrow, {'with many words ' * 5}", [text("A"), number("B")], [["a", 1]]),
    ]
    section = {"title": "Tables", "anchor": "tables", "blocks": blocks}
    study = {"name": "wide", "version": "1"}
    return {"title": "Wide", "study": study, "summary": [], "todo": [], "sections": [section]}


@pytest.fixture(scope="module")
def wide_address(tmp_path_factory):
    path = tmp_path_factory.mktemp("wide") / "card.html"
    path.write_text(render_html(wide_card(), {}), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_wider_than_its_box_scrolls_in_it(opened, wide_address, width):
    page = opened(width)
    page.goto(wide_address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ends = page.evaluate(
        """() => [...document.querySelectorAll(".scroll")].slice(0, 2).map(one => {
            one.scrollLeft = 1e6;
            const cells = [...one.querySelectorAll("td:last-child")];
            return [one.scrollWidth - one.clientWidth,
                    Math.max(...cells.map(cell => cell.getBoundingClientRect().right))];
        })"""
    )
    assert ends[0][0] > 0
    assert all(right <= width for _, right in ends)


def test_the_names_of_figures_stay_in_sight_while_learners_scroll(opened, wide_address):
    page = opened(390)
    page.goto(wide_address)
    region = page.get_by_role("region", name="Turned: performance")
    region.evaluate("one => { one.scrollLeft = 300; }")
    heads = region.locator("tbody th")
    assert heads.count() == 20
    assert heads.first.bounding_box()["x"] == pytest.approx(region.bounding_box()["x"], abs=1)


def test_a_wide_table_prints_whole(opened, wide_address):
    page = opened(A4)
    page.goto(wide_address)
    page.emulate_media(media="print")
    rights = page.evaluate(
        """() => [...document.querySelectorAll("th, td")]
            .map(one => one.getBoundingClientRect().right)"""
    )
    assert len(rights) > 200
    assert max(rights) <= A4


def test_every_table_of_the_card_prints_whole(opened):
    page = opened(A4)
    page.emulate_media(media="print")
    rights = page.evaluate(
        """() => [...document.querySelectorAll("table")]
            .map(one => one.getBoundingClientRect().right)"""
    )
    assert max(rights) <= A4


def test_a_caption_is_not_squeezed_into_a_narrow_table(opened, wide_address):
    page = opened()
    page.goto(wide_address)
    region = page.locator(".scroll").last
    assert region.locator("caption").bounding_box()["height"] < 40
    assert region.locator("table").bounding_box()["width"] < 700  # no wider than its sentences
    assert region.evaluate("one => one.scrollWidth - one.clientWidth") == 0
