"""The page where MLflow's own pages show it: among the artifacts of a run, as `riskadj ui` does."""

from pathlib import Path

import pytest
from page_folder import provider_names, write_run, write_settled

from riskadj.report.page.build import write_page
from riskadj.tracking.serve import mlflow_pages

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
PATIENCE = 90_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]


@pytest.fixture
def logged(tmp_path):
    """Return a store with a page among the artifacts of a run, and the run."""
    from mlflow import MlflowClient

    settled = write_settled(tmp_path / "settled", provider_names(40)[:-1])
    page = write_page(write_run(tmp_path / "run", 40), tmp_path / "page.html", settled).path
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment("hips", artifact_location=(tmp_path / "kept").as_uri())
    run = client.create_run(number).info.run_id
    client.log_artifact(run, str(page))
    return uri, run


def test_the_page_is_rendered_and_used_among_the_artifacts(logged):
    uri, run = logged
    with mlflow_pages(uri, "hips") as address, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"{address}/runs/{run}/artifacts/page.html")
        frame = page.frame_locator("iframe")
        frame.locator("#count").wait_for(timeout=PATIENCE)
        assert frame.locator("#count").inner_text() == "40 of 40 providers"
        frame.get_by_role("combobox", name="Provider").fill("P0005")
        page.keyboard.press("Enter")
        assert frame.locator("#passport h2").inner_text() == "P0005"
        frame.locator('#doors [data-door="researcher"]').click()
        frame.locator('[data-chart="analyses"] summary').click()
        copy = frame.locator('[data-chart="analyses"] .copy')
        copy.click()
        assert copy.inner_text() == "Copied"
        browser.close()
