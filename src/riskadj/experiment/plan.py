"""From an experiment to the studies of its cells, each with the digest of all that it hangs on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import riskadj
from riskadj.digest import digest_of_file, digest_of_json
from riskadj.errors import FileMissingError, RiskadjError, StudyError
from riskadj.experiment.figures import NEEDS_FOLLOW_UP
from riskadj.experiment.records import Cell, Experiment
from riskadj.report.provenance import digest_of_sources, digest_of_study, software
from riskadj.simulate import Scenario, load_scenario, simulate_world, write_world
from riskadj.study import Study, load_study
from riskadj.study.load import DATA_PATHS

CODE = (
    "errors.py", "digest.py", "record.py", "stats", "instruments", "episodes", "claims", "simulate",
    "study", "cohort", "casemix", "expected", "profile", "followup", "report/disclosure",
    "experiment/cells.py",
)  # fmt: skip
"""The code that a cell's figures hang on; how they are shown is no part of it."""
WORLDS = "worlds"


@dataclass(frozen=True)
class Task:
    """A cell that can be worked out, anywhere.

    Attributes
    ----------
    cell : Cell
    study : Study
    digest : str
        Of study, data, code and what is asked; a result is kept under it.
    data : str
        The digest of what the study reads.
    truth : Path or None
        What is true of the providers of a simulated world.
    follows_up : bool
        Whether those who did not answer are looked at.
    """

    cell: Cell
    study: Study
    digest: str
    data: str
    truth: Path | None
    follows_up: bool


def plan(experiment: Experiment, work: Path) -> tuple[Task, ...]:
    """Return the tasks of an experiment, in the order of its grid; worlds are made where needed.

    Parameters
    ----------
    experiment : Experiment
    work : Path
        Where worlds are kept.

    Raises
    ------
    StudyError, FileMissingError
        When a cell's settings make no study, or its data are not there.
    """
    worlds: set[Path] = set()
    files: dict[Path, str] = {}
    return tuple(_task(experiment, one, work, worlds, files) for one in experiment.cells())


def _task(
    experiment: Experiment, cell: Cell, work: Path, worlds: set[Path], files: dict[Path, str],
) -> Task:  # fmt: skip
    with_world, truth = _world(experiment, cell, work, worlds)
    settings = [*with_world, *cell.of_study, "tracking.uri=off"]
    try:
        study = load_study(experiment.study, settings)
    except FileMissingError:
        raise
    except RiskadjError as error:
        raise StudyError(f"cell {cell.label!r}: {error}") from None
    data = digest_of_json([_digest_of(one, files) for one in _places(study)])
    asked = bool(NEEDS_FOLLOW_UP.intersection(experiment.figures))
    made_from = [digest_of_study(study), data, digest_of_cells(), software(), asked]
    truth_digest = "" if truth is None else _digest_of(truth, files)
    return Task(cell, study, digest_of_json([*made_from, truth_digest]), data, truth, asked)


@cache
def digest_of_cells() -> str:
    """Return the digest of the code that a cell's figures hang on."""
    return digest_of_sources(_sources(Path(riskadj.__file__).parent))


def _sources(root: Path) -> Iterator[Path]:
    for name in CODE:
        place = root / name
        yield from [place] if place.is_file() else place.rglob("*.py")


def _places(study: Study) -> Iterator[Path]:
    """Yield every path that the data of a study name."""
    for owner, key in DATA_PATHS:
        place: Any = getattr(study.data, owner) if owner else study.data
        value = getattr(place, key, None)
        paths = value if isinstance(value, tuple) else (value,)
        yield from (Path(one) for one in paths if one is not None)


def _digest_of(place: Path, known: dict[Path, str]) -> str:
    """Return the digest of a file, or of those of a folder."""
    if place not in known:
        if not place.exists():
            raise FileMissingError(
                f"{place}: wanted a file of data; there is none. Check the paths of the study."
            )
        files = sorted(one for one in place.rglob("*") if one.is_file()) if place.is_dir() else ()
        known[place] = (
            digest_of_json([digest_of_file(one) for one in files])
            if place.is_dir()
            else digest_of_file(place)
        )
    return known[place]


def _world(
    experiment: Experiment, cell: Cell, work: Path, worlds: set[Path]
) -> tuple[Iterable[str], Path | None]:
    """Return the setting by which a study reads the cell's world, and what is true of it."""
    if experiment.scenario is None:
        if cell.of_scenario:
            raise StudyError(
                f"cell {cell.label!r}: wanted a scenario with settings of it; got "
                f"scenario.{cell.of_scenario[0]} and none. Name the scenario."
            )
        return (), None
    path = place_of_world(experiment, cell, work)
    if path not in worlds:
        worlds.add(_written(_scenario(experiment.scenario, cell), path))
    return (f"data.paths=[{str(path.resolve())!r}]",), path.with_suffix(".truth.csv")


def place_of_world(experiment: Experiment, cell: Cell, work: Path) -> Path:
    """Return where the world of a cell is kept: cells of the same world have the same place.

    Raises
    ------
    StudyError, FileMissingError
        When the cell's settings make no scenario, or there is none.
    """
    if experiment.scenario is None:
        raise StudyError(f"cell {cell.label!r}: wanted a simulated world; got none of a scenario.")
    scenario = _scenario(experiment.scenario, cell)
    digest = digest_of_json([scenario.model_dump(mode="json"), digest_of_cells()])
    return work / WORLDS / f"world-{digest[:16]}.parquet"


def _scenario(path: Path, cell: Cell) -> Scenario:
    try:
        return load_scenario(path, cell.of_scenario)
    except FileMissingError:
        raise
    except RiskadjError as error:
        raise StudyError(f"cell {cell.label!r}: {error}") from None


def _written(scenario: Scenario, path: Path) -> Path:
    """Write a world, unless it is there; the truth is written last."""
    if not path.with_suffix(".truth.csv").is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_world(simulate_world(scenario), path)
    return path
