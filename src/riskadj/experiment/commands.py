"""The command lines that make run folders of an experiment's cells, which keep figures only."""

import re
import shlex
from collections.abc import Iterable, Iterator
from itertools import chain, count
from os.path import normpath
from pathlib import Path

from riskadj.experiment.plan import place_of_world
from riskadj.experiment.records import FILE, Cell, Experiment, load_experiment
from riskadj.experiment.run import WORK

RUNS = Path("runs")


def commands_of(folder: str | Path, work: str | Path | None = None) -> Iterator[str]:
    """Yield lines for a shell that make each cell a run folder, then hold them against the first.

    A line that begins with `#` says which cell follows. Figures of a run are those of its cell in
    `results.json`, if study, data and code are the same.

    Parameters
    ----------
    folder : str or Path
        With `experiment.yaml`.
    work : str or Path, optional
        Where the experiment keeps its worlds; by default `runs/experiments/<name of the folder>`.

    Raises
    ------
    FileMissingError, StudyError
        When the experiment cannot be read, or a cell's settings make no world.

    Examples
    --------
    >>> next(commands_of("experiments/04_linear_or_boosting"))  # doctest: +SKIP
    '# linear'
    """
    path = Path(folder)
    home = (path.parent if path.name == FILE else path).resolve().name
    experiment = load_experiment(path)
    place = Path(work) if work else WORK / home
    made: set[Path] = set()
    folders: dict[Cell, Path] = {}
    for cell in experiment.cells():
        yield f"# {cell.label}"
        settings = [*cell.of_study]
        if experiment.scenario is not None:
            world = place_of_world(experiment, cell, place)
            if world not in made:
                yield _line("simulate", experiment.scenario, cell.of_scenario, world)
                made.add(world)
            settings.insert(0, f"data.paths=[{world}]")
        folders[cell] = RUNS / home / _named(cell.label, folders.values())
        yield _line("run", experiment.study, settings, folders[cell])
    yield from _compared(experiment, folders)


def _compared(experiment: Experiment, folders: dict[Cell, Path]) -> Iterator[str]:
    """Yield what holds the runs of each repeat against the baseline's."""
    for again in experiment.repeat or {"": ()}:
        mine = {cell.name: place for cell, place in folders.items() if cell.repeat == again}
        first = mine.pop(experiment.against)
        if mine:
            yield "# against the baseline" + (f" [{again}]" if again else "")
            yield shlex.join(["riskadj", "compare", *map(str, [first, *mine.values()])])


def _line(verb: str, source: Path, settings: Iterable[str], out: Path) -> str:
    changed = [word for one in settings for word in ("--set", one)]
    return shlex.join(["riskadj", verb, normpath(source), *changed, "--out", str(out)])


def _named(label: str, taken: Iterable[Path]) -> str:
    """Return a folder's name for a cell, which no other cell has."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "cell"
    names = {one.name for one in taken}
    numbered = (f"{plain}_{number}" for number in count(2))
    return next(one for one in chain([plain], numbered) if one not in names)
