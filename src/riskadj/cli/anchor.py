"""riskadj anchor: the threshold of a cohort's own, by its anchor question."""

from typing import Annotated

import typer

from riskadj.cli.run import Set, Study


def anchor(
    study: Study,
    outcome: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the study; the first unless given.")
    ] = None,
    improved: Annotated[
        int,
        typer.Option(
            min=1, max=4,
            help="The worst answer that still is an improvement: 1 much, 2 a little better.",
        ),
    ] = 2,
    replicates: Annotated[int, typer.Option(min=100, help="Of the bootstrap of providers.")] = 500,
    set: Set = None,
) -> None:  # fmt: skip
    """Estimate which change patients call an improvement, and whether it hangs on the baseline."""
    from riskadj.cli.progress import show_anchored, stage_progress
    from riskadj.study import load_study

    loaded = load_study(study, set or [])
    with stage_progress(loaded.title) as on_stage:
        from riskadj.pipeline import anchor_study

        found = anchor_study(loaded, outcome, improved, replicates, on_stage)
    show_anchored(found, loaded.profile.suppress_below)
