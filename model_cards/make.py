"""Make the cards that are published here: simulate, run, publish.

    python model_cards/make.py                  every one
    python model_cards/make.py demo nhs_hip     some
    python model_cards/make.py --render         Markdown and HTML again, from the records here

Runs go to runs/cards/. A study whose data are not here is passed over, and its card left as it is.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from riskadj.demo import STUDY
from riskadj.errors import FileMissingError
from riskadj.pipeline import run_study
from riskadj.report.card.published import figures_of, publish_card, read_card
from riskadj.report.folder import write_text
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


def study_file(name: str) -> Path:
    """Return the file of a study."""
    return Path(str(STUDY)) if name == "demo" else CONFIGS / "studies" / f"{name}.yaml"


def run_of(name: str, place: Path) -> Path:
    """Run a study in a folder, with its world where it looks for it, and return its run."""
    path = study_file(name)
    if name in WORLDS:
        path = laid_out(name, place)
    study = load_study(path, ["tracking.uri=off"])
    return run_study(study, place / "runs" / name).folder


def laid_out(name: str, place: Path) -> Path:
    """Lay a study and its world out as in the project; those of the demonstration side by side."""
    study = place / "configs" / "studies" / f"{name}.yaml"
    study.parent.mkdir(parents=True, exist_ok=True)
    write_text(study_file(name).read_text(encoding="utf-8"), study)
    world = simulate_world(load_scenario(CONFIGS / "scenarios" / f"{WORLDS[name]}.yaml"))
    home = place / "worlds" / WORLDS[name]
    write_world(world, study.parent / "episodes.parquet" if name == "demo" else home)
    return study


def render_again(folder: Path) -> None:
    """Write Markdown and HTML of a published card again, from its record and its figures."""
    card = read_card(folder)
    drawn = {
        one: (folder / "figures" / one).read_text(encoding="utf-8") for one in figures_of(card)
    }
    write_text(render_markdown(card), folder / "card.md")
    write_text(render_html(card, drawn), folder / "card.html")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every card, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--render", action="store_true", help="only render what is here again")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.studies) - set(STUDIES)):
        parser.error(f"wanted studies among {', '.join(STUDIES)}; got {', '.join(unknown)}")
    for name in given.studies or STUDIES:
        if given.render:
            for card in sorted(SHELF.glob(f"{name}/*/card.json")):
                render_again(card.parent)
            continue
        try:
            print(publish_card(run_of(name, ROOT / "runs" / "cards"), SHELF), flush=True)
        except FileMissingError as error:
            print(f"{name}: passed over: {error}", flush=True)


if __name__ == "__main__":
    main()
