"""riskadj schema: the JSON schema of a study, for editors."""

import json

import typer


def schema() -> None:
    """Print the JSON schema of a study, for editors that check YAML."""
    from riskadj.study import study_schema

    typer.echo(json.dumps(study_schema(), indent=2))
