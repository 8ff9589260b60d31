"""The page of a comparison of windows in a real browser: wide tables scroll in their own box."""

from pathlib import Path

import pytest
from window_worlds import costly, study_of
from worlds import as_episodes

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.expected.windows import expect_windows
from riskadj.profile.windows import vary_by_window
from riskadj.report.windows import as_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    study = study_of()
    outcome = study.outcomes[0]
    casemix = choose_casemix(select_cohort(as_episodes(costly()), study, outcome), study)
    found = vary_by_window(expect_windows(casemix, study, outcome), study, 100)
    path = tmp_path_factory.mktemp("page") / "windows.html"
    path.write_text(as_page(found, study), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield running
        running.close()


@pytest.mark.parametrize(("width", "scrolls"), [(1200, 0), (390, 1)])
def test_nothing_sticks_out_and_wide_tables_scroll_in_their_box(browser, address, width, scrolls):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(one => [one.scrollWidth, one.clientWidth])"
    )
    assert len(boxes) == 3
    assert all(seen <= width for _, seen in boxes)
    assert sum(whole > seen for whole, seen in boxes) >= scrolls
    if not scrolls:
        assert all(whole <= seen for whole, seen in boxes)
    page.close()
