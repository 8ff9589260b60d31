"""riskadj validate: every fault of a study and its data at once, touching nothing."""

import typer

from riskadj.cli.run import Set, Study


def validate(study: Study, set: Set = None) -> None:
    """List every fault of a study and of its data; write nothing."""
    from riskadj.cli.progress import show_faults, show_flow, stage_progress

    with stage_progress(f"Checking {study}") as on_stage:
        from riskadj.pipeline import check_study

        checked = check_study(study, set or [], on_stage)
    if checked.faults:
        show_faults(checked.faults)
        raise typer.Exit(checked.faults[0].exit_code)
    show_flow(checked.flow)
