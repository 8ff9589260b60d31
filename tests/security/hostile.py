"""Providers whose names would be code elsewhere, and a run and a settlement of them."""

from pathlib import Path

from worlds import LINEAR, episode_frame, study_content, write_study

from riskadj.payment.contract import load_contract
from riskadj.pipeline import run_study
from riskadj.report.settlement import settle_run, write_settlement
from riskadj.study import load_study

NAMES = (
    "<script>window.ran=1</script>",
    "</script><img src=x onerror=window.ran=2>",
    '"x" onmouseover="window.ran=3',
    "<svg/onload=window.ran=4><foreignObject>",
    '=HYPERLINK("http://x","y")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "-1+1",
    "Clinic;=1+1",
    "'=1",
    "-7",
    "[red]bold[/red] \\[x] [/]",
    "two\nlines 'quoted' \"twice\"",
    "\u202egnp.exe\u202c &amp; <b>",
    "{{7*7}} ${7*7} {% raw %}",
)
EVIL = ("<script", "<img", "<svg/onload", "<foreignObject", "<b>")
CONTRACT = Path(__file__).parents[2] / "configs" / "contracts" / "england_bpt_hip.yaml"
CONTRACT_SET = ["learner=linear", "count=records"]


def hostile_run(folder: Path) -> Path:
    """Run a small study of such providers; return the run's folder."""
    frame = episode_frame(1000, providers=len(NAMES))
    worse = frame["provider_id"].isin(["H00", "H01"])  # whose names figures show
    frame.loc[worse, "q2_score_ohs"] = (frame.loc[worse, "q2_score_ohs"] - 9).clip(0)
    named = dict(zip(sorted(frame["provider_id"].unique()), NAMES, strict=True))
    frame.assign(provider_id=frame["provider_id"].map(named)).to_csv(
        folder / "episodes.csv", index=False
    )
    study = write_study(folder, study_content(learners=LINEAR))
    return run_study(load_study(study), folder / "run").folder


def hostile_settlement(run: Path, out: Path) -> Path:
    """Settle a contract on the run; return the settlement's folder."""
    write_settlement(settle_run(load_contract(CONTRACT, CONTRACT_SET), run), out)
    return out
