"""The page of statements in a real browser: alone, on a desk, on a phone and on paper."""

from pathlib import Path

import pytest
from settling import STUDY, contract, step, steps, tables

from riskadj.payment.settle import settle
from riskadj.payment.statement import statements_html

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    shared = {"provider": 0.5, "payer": 0.5}
    made = contract(steps=steps(step("risk_share", gain=shared, loss=shared)), title="Care " * 20)
    costly = tables().replace({"provider_id": {"B": "A provider with a name of some length"}})
    costly[["observed", "expected"]] *= 1000
    path = tmp_path_factory.mktemp("page") / "statements.html"
    path.write_text(statements_html(settle(made, costly, study=STUDY)), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def opened(browser, address):
    """Return a function that opens the page and remembers what it complained of and asked for."""
    contexts = []

    def visit(width, media="screen"):
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.emulate_media(media=media)
        page.complaints, page.asked = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_without_a_word_and_nothing_sticks_out(opened, address, width, media):
    page = opened(width, media)
    assert (page.complaints, page.asked) == ([], [address])
    if media == "screen":
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_index_leads_to_each_provider_and_back(opened):
    page = opened(1280)
    page.click("#providers a >> nth=0")
    first = page.evaluate("location.hash")
    assert page.locator(first).evaluate("one => one.getBoundingClientRect().top") < 60
    page.click(f"{first} a.back")
    assert page.evaluate("location.hash") == "#providers"


@pytest.mark.parametrize(("media", "shown"), [("screen", False), ("print", True)])
def test_a_printed_statement_says_itself_what_it_rests_on(opened, media, shown):
    page = opened(1280, media)
    assert page.locator("#s1 dl.printed").is_visible() == shown
