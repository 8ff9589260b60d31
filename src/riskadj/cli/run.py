"""riskadj run: a study from its file to its run folder and its log."""

from pathlib import Path
from typing import Annotated

import typer

Study = Annotated[Path, typer.Argument(help="The study, a YAML file.", metavar="STUDY.yaml")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key: --set 'split.test=[2018/19]'. Repeatable.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The run folder; an earlier run there is replaced."),
]
Fresh = Annotated[
    bool,
    typer.Option("--fresh", help="Begin from the beginning, whatever an ended run had finished."),
]


def run(study: Study, set: Set = None, out: Out = None, fresh: Fresh = False) -> None:
    """Run a study: expected values, provider profiles, explanations, card, log.

    A run that was ended is taken up where it was, by the same command.
    """
    from riskadj.cli.progress import show_run, stage_progress
    from riskadj.study import load_study

    loaded = load_study(study, set or [])
    with stage_progress(loaded.title) as on_stage:
        from riskadj.pipeline import run_study

        finished = run_study(loaded, out, on_stage, fresh=fresh)
    show_run(finished)
