"""Make the cards that are published here: simulate, run, publish.

    python model_cards/make.py                  every one
    python model_cards/make.py demo nhs_hip     some
    python model_cards/make.py --to DIR         on another shelf
    python model_cards/make.py --render         Markdown and HTML again, from the records there

Runs go to runs/cards/. One that is there is taken as it is where files, study, data, code and
packages are those that it was made from; `--again` runs it all the same. A study whose data are not
here is passed over, and its card left as it is.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from riskadj.audit import audit_run
from riskadj.audit.inputs import is_same_software
from riskadj.audit.subject import open_subject
from riskadj.cli.progress import stage_progress
from riskadj.demo import STUDY
from riskadj.errors import FileMissingError, RiskadjError
from riskadj.pipeline import run_study
from riskadj.report.card.published import figures_of, publish_card, read_card
from riskadj.report.folder import MARK, write_text
from riskadj.report.render import render_html, render_markdown
from riskadj.simulate import load_scenario, simulate_world, write_world
from riskadj.study import load_study

SHELF = Path(__file__).parent
ROOT = SHELF.parent
CONFIGS = ROOT / "configs"
WORLDS = {
    "demo": "demo",
    "england_hip": "england_hip",
    "norway_neck": "norway_neck",
    "netherlands_lbp": "low_back",
    "stockholm_spine": "spine",
    "us_tha": "us_tha",
}
"""Studies in a simulated world, and the scenario of it."""
FROM_FILES = ("nhs_hip", "nhs_knee", "sparcs_cost")
"""Studies of public files, which are not ours to pass on."""
STUDIES = (*WORLDS, *FROM_FILES)
LIKE = {
    "england_knee": "england_hip",
    "norway_lumbar": "norway_neck",
    "us_tka": "us_tha",
    "us_spine": "us_tha",
    "us_hrrp": "us_tha",
    "nhs_hip_full": "nhs_hip",
    "fhir_hip": "demo",
    "redcap_hip": "demo",
    "norway_cervical": "norway_neck",
    "norway_disc": "norway_neck",
    "norway_stenosis": "norway_neck",
}
"""Shipped studies without a card, and one of the same programme or data that has one: another
joint, region, measure or format of files, or a registry's episodes, which are not public."""


def study_file(name: str) -> Path:
    """Return the file of a study."""
    return Path(str(STUDY)) if name == "demo" else CONFIGS / "studies" / f"{name}.yaml"


OnStage = Callable[[str, str, float | None], None]


def run_of(name: str, place: Path, again: bool = True, on_stage: OnStage | None = None) -> Path:
    """Return the run of a study in a folder, with its world where it looks for it."""
    on_stage = on_stage or (lambda *_: None)
    path = study_file(name)
    if name in WORLDS:
        path = laid_out(name, place, on_stage)
    folder = place / "runs" / name
    if not again and is_what_would_come(folder, path):
        return folder
    return run_study(load_study(path, ["tracking.uri=off"]), folder, on_stage).folder


def is_what_would_come(folder: Path, study: Path) -> bool:
    """Whether a run is there whole, of this study, these data, this code and these packages."""
    if not (folder / MARK).is_file():
        return False
    with suppress(RiskadjError):
        holds = audit_run(folder, study=study, rerun=False).exit_code == 0
        return holds and is_same_software(open_subject(folder))
    return False


def laid_out(name: str, place: Path, on_stage: OnStage = lambda *_: None) -> Path:
    """Lay a study and its world out as in the project; those of the demonstration side by side."""
    began = perf_counter()
    on_stage("simulate", "", None)
    study = place / "configs" / "studies" / f"{name}.yaml"
    study.parent.mkdir(parents=True, exist_ok=True)
    write_text(study_file(name).read_text(encoding="utf-8"), study)
    world = simulate_world(load_scenario(CONFIGS / "scenarios" / f"{WORLDS[name]}.yaml"))
    home = place / "worlds" / WORLDS[name]
    write_world(world, study.parent / "episodes.parquet" if name == "demo" else home)
    on_stage("simulate", "", perf_counter() - began)
    return study


def render_again(folder: Path) -> None:
    """Write Markdown and HTML of a published card again, from its record and its figures."""
    card = read_card(folder)
    drawn = {
        one: (folder / "figures" / one).read_text(encoding="utf-8") for one in figures_of(card)
    }
    write_text(render_markdown(card), folder / "card.md")
    write_text(render_html(card, drawn), folder / "card.html")


def make_card(name: str, title: str, shelf: Path, work: Path, again: bool) -> str:
    """Make the card of a study; return what became of it: made, passed over, or failed."""
    began = perf_counter()
    try:
        with stage_progress(title) as on_stage:
            card = publish_card(run_of(name, work, again, on_stage), shelf)
    except FileMissingError as error:
        there = "its card stays" if any(shelf.glob(f"{name}/*/card.json")) else "no card"
        print(f"{name}: passed over, {there}: {error}", flush=True)
        return "passed over"
    except RiskadjError as error:
        print(f"{name}: failed: {error}", flush=True)
        return "failed"
    print(f"{card} ({perf_counter() - began:.0f} s)", flush=True)
    return "made"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every card, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--render", action="store_true", help="only render what is there again")
    parser.add_argument("--again", action="store_true", help="run what is there already, too")
    parser.add_argument("--to", type=Path, default=SHELF, metavar="DIR", help="another shelf")
    work = ROOT / "runs" / "cards"
    parser.add_argument("--work", type=Path, default=work, metavar="DIR", help="where runs go")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.studies) - set(STUDIES)):
        parser.error(f"wanted studies among {', '.join(STUDIES)}; got {', '.join(unknown)}")
    names = given.studies or STUDIES
    if given.render:
        for card in (one for name in names for one in sorted(given.to.glob(f"{name}/*/card.json"))):
            render_again(card.parent)
            print(card.parent, flush=True)
        return
    came = [
        make_card(name, f"{number}/{len(names)} {name}", given.to, given.work, given.again)
        for number, name in enumerate(names, 1)
    ]
    told = (f"{came.count(one)} {one}" for one in ("made", "passed over", "failed"))
    print(", ".join(told), flush=True)
    if "failed" in came:
        sys.exit(1)


if __name__ == "__main__":
    main()
