"""The verbs and their help."""

from typing import Any

import typer
from typer.core import TyperGroup

from riskadj.cli.anchor import anchor
from riskadj.cli.approve import approve
from riskadj.cli.audit import audit
from riskadj.cli.card import cards
from riskadj.cli.columns import columns
from riskadj.cli.compare import compare
from riskadj.cli.contract import contracts
from riskadj.cli.demo import demo
from riskadj.cli.diff import diff
from riskadj.cli.experiment import experiment
from riskadj.cli.explain import explain
from riskadj.cli.export import export
from riskadj.cli.log import log
from riskadj.cli.report import report
from riskadj.cli.run import run
from riskadj.cli.schema import schema
from riskadj.cli.settle import settle
from riskadj.cli.simulate import simulate
from riskadj.cli.thresholds import thresholds
from riskadj.cli.ui import ui
from riskadj.cli.validate import validate
from riskadj.cli.windows import windows
from riskadj.stopping import was_told

EPILOG = (
    "Exit codes: 0 done, 2 command line, 10-12 study, 20-23 data, 30-34 cohort and comparison, "
    "40 output, 41 tracking, 42 cluster, 50-55 audit, 60 card, 70 a defect of ours, "
    "130 interrupted."
)


class Interrupted(Exception):
    """A verb that was stopped by Ctrl-C or SIGTERM; the message says what is left of it."""


class Verbs(TyperGroup):
    """The verbs, whose interruption is ours to report: Typer would leave without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            raise Interrupted(str(stopped)) from None
        except Exception:
            if was_told():  # and it came out as something else
                raise Interrupted("") from None
            raise


app = typer.Typer(
    name="riskadj",
    cls=Verbs,
    help="Compare providers on patient-reported outcomes, adjusted for case mix.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    run, demo, validate, simulate, columns, thresholds, anchor, schema, log, export, report, settle,
    ui, windows, explain, audit, diff, experiment, compare, approve,
):  # fmt: skip
    app.command()(verb)
app.add_typer(contracts)
app.add_typer(cards)


def _flowing(text: str) -> str:
    r"""Return a text whose paragraphs break where the terminal does, not where the source did.

    Examples
    --------
    >>> _flowing("Check a run.\n\n    Its files,\n    and its data.\n    ")
    'Check a run.\n\nIts files, and its data.'
    """
    return "\n\n".join(" ".join(one.split()) for one in text.strip().split("\n\n"))


for group in (app, contracts, cards):
    for one in group.registered_commands:
        one.help = _flowing(str(one.callback.__doc__))


@app.callback()
def _version(
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", is_eager=True,
        callback=lambda wanted: _show_version() if wanted else None,
    ),
) -> None:  # fmt: skip
    pass


def _show_version() -> None:
    from riskadj import __version__

    typer.echo(f"riskadj {__version__}")
    raise typer.Exit
