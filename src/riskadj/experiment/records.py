"""What `experiment.yaml` says: a question, what was expected, and a grid of settings of a study."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from riskadj.errors import FileMissingError, StudyError, did_you_mean
from riskadj.experiment.figures import FIGURES, NEEDS_TRUTH
from riskadj.record import Record
from riskadj.study import read_yaml
from riskadj.study.load import build
from riskadj.study.profile import FEWEST_REPLICATES
from riskadj.study.report import Tracking

FILE = "experiment.yaml"
MOST_CELLS = 10_000
"""Of a grid: more would take months."""
Settings = tuple[str, ...]
Options = dict[str, Settings]
OF_SCENARIO = "scenario."
"""How a setting begins that is one of the simulated world, not of the study."""


class Experiment(Record):
    """A question and the cells that answer it: the product of all axes of the grid."""

    question: str = Field(min_length=1)
    expectation: str = Field(min_length=1, description="what was expected, written before")
    study: Path = Field(description="relative to the experiment's folder")
    scenario: Path | None = Field(
        None, description="a world to simulate, whose episodes the study then reads"
    )
    settings: Settings = Field(
        (), description="KEY=VALUE for every cell; scenario.KEY=VALUE changes the world"
    )
    grid: tuple[Options, ...] = Field(
        min_length=1, description="axes: each the settings of its options, by their name"
    )
    repeat: Options = Field(
        {}, description="what each cell is done with anew, such as seeds; figures are means of it"
    )
    baseline: str | None = Field(
        None, description="the cell that others are held against; null: the first"
    )
    figures: tuple[str, ...] = Field(min_length=1, description="columns of the comparison table")
    chart: str | None = Field(None, description="the figure that is drawn; null: the first")
    seed: int = Field(ge=0, description="of the bootstrap behind intervals")
    replicates: int = Field(1000, ge=FEWEST_REPLICATES, description="of the same")
    tracking: Tracking = Tracking(experiment="experiments")

    @field_validator("settings")
    @classmethod
    def _settings_have_values(cls, settings: Settings) -> Settings:
        return _checked(settings)

    @field_validator("grid")
    @classmethod
    def _axes_have_options(cls, grid: tuple[Options, ...]) -> tuple[Options, ...]:
        if not all(grid):
            raise ValueError("wanted one option or more of every axis; got an axis without any")
        for settings in (one for axis in grid for one in axis.values()):
            _checked(settings)
        if prod(map(len, grid)) > MOST_CELLS:
            raise ValueError(f"wanted up to {MOST_CELLS:,} cells; got more")
        names = [" / ".join(one) for one in product(*grid)]
        twice = sorted({one for one in names if names.count(one) > 1})
        if twice:
            raise ValueError(f"wanted cells of different names; got {twice[0]!r} twice")
        return grid

    @model_validator(mode="after")
    def _knows_its_figures(self) -> "Experiment":
        asked = (*self.figures, *([self.chart] if self.chart else []))
        for name in asked:
            if name not in FIGURES:
                raise ValueError(
                    f"wanted figures among those of an experiment; got {name!r}."
                    f"{did_you_mean(name, FIGURES) or ' Known: ' + ', '.join(FIGURES) + '.'}"
                )
        truths = [one for one in asked if one in NEEDS_TRUTH]
        if truths and self.scenario is None:
            raise ValueError(
                f"wanted a scenario with {truths[0]}, as only a world has a truth; got none"
            )
        return self

    @model_validator(mode="after")
    def _has_its_baseline(self) -> "Experiment":
        if self.baseline is not None and self.baseline not in self.names:
            raise ValueError(
                f"wanted a cell as baseline ({', '.join(self.names)}); got {self.baseline!r}."
                f"{did_you_mean(self.baseline, self.names)}"
            )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of cells, in the order of the grid."""
        return tuple(" / ".join(one) for one in product(*self.grid))

    @property
    def against(self) -> str:
        """The cell that others are held against."""
        return self.baseline or self.names[0]

    def cells(self) -> Iterator["Cell"]:
        """Yield every cell, as often as it is repeated, with its settings."""
        for chosen in product(*(one.items() for one in self.grid)):
            name = " / ".join(option for option, _ in chosen)
            own = [text for _, settings in chosen for text in settings]
            for again, more in (self.repeat or {"": ()}).items():
                yield Cell(name, again, (*self.settings, *own, *more))


@dataclass(frozen=True)
class Cell:
    """One study of the grid.

    Attributes
    ----------
    name : str
        Of its options.
    repeat : str
        Which repeat; empty without.
    settings : tuple of str
    """

    name: str
    repeat: str
    settings: Settings

    @property
    def label(self) -> str:
        """Its name, and which repeat it is."""
        return f"{self.name} [{self.repeat}]" if self.repeat else self.name

    @property
    def of_study(self) -> Settings:
        """Settings of the study."""
        return tuple(one for one in self.settings if not one.startswith(OF_SCENARIO))

    @property
    def of_scenario(self) -> Settings:
        """Settings of the simulated world."""
        return tuple(
            one.removeprefix(OF_SCENARIO) for one in self.settings if one.startswith(OF_SCENARIO)
        )


def load_experiment(folder: str | Path) -> Experiment:
    """Read the experiment of a folder.

    Parameters
    ----------
    folder : str or Path
        The folder, or its `experiment.yaml`. Paths in it are relative to the folder.

    Raises
    ------
    FileMissingError
        When there is none.
    StudyError
        When it cannot be read as one.

    Examples
    --------
    >>> load_experiment("experiments/04_linear_or_boosting").names  # doctest: +SKIP
    ('linear', 'boosting')
    """
    path = Path(folder)
    path = path / FILE if path.is_dir() or not path.suffix else path
    if not path.is_file():
        raise FileMissingError(
            f"{path.parent}: wanted the folder of an experiment, with {FILE}; got none. "
            "Give one, such as experiments/04_linear_or_boosting."
        )
    content = read_yaml(path)
    if isinstance(content.get("variants"), Mapping):
        raise StudyError(
            f"{path}: wanted a grid; got variants, as experiments had before. Write them as "
            "grid: [{name: [settings]}]."
        )
    return build(Experiment, _anchored(content, path.parent), str(path), whole="experiment")


def _anchored(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make paths relative to here instead of to the folder; lines stay known."""
    for key in ("study", "scenario"):
        if isinstance(content.get(key), str):
            content[key] = str(folder / content[key])
    return content


def _checked(settings: Settings) -> Settings:
    for one in settings:
        if "=" not in one:
            raise ValueError(f"wanted settings as KEY=VALUE; got {one!r}")
    return settings
