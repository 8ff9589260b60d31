"""riskadj demo: the whole journey in a simulated world, with nothing to fetch."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the run goes; its world goes to DIR-world.")
]


def demo(out: Out = Path("runs/demo")) -> None:
    """Make a world whose truth is known, run a study in it, and compare with the truth."""
    from riskadj.cli.progress import show_demo, show_run, stage_progress

    with stage_progress("A simulated world of hip replacements") as on_stage:
        from riskadj.demo import run_demo

        finished = run_demo(out, on_stage)
    show_run(finished.run)
    show_demo(finished)
