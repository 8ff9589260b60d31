"""Cells of an experiment as MLflow runs that are nested in one; each is logged once."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import riskadj
from riskadj.digest import digest_of_json
from riskadj.tracking.log import flatten, log_params, safe_key
from riskadj.tracking.opening import open_store, turn_at
from riskadj.tracking.store import check_somewhere, ended, mlflow_at_work, one_line_refusals
from riskadj.tracking.unfinished import end_unfinished

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MAY_LEAVE = (
    "README.md", "experiment.yaml", "results.json", "comparison.csv", "comparison.md",
    "comparison.svg",
)  # fmt: skip
_PARENT, _CELL, _EXPERIMENT = "mlflow.parentRunId", "riskadj.cell.digest", "riskadj.experiment"


@dataclass
class NestedRuns:
    """The run of an experiment, into which those of its cells go.

    Attributes
    ----------
    run_id : str
        Of the parent.
    """

    client: "MlflowClient"
    experiment_id: str
    run_id: str
    turn: Callable[[], AbstractContextManager[None]]
    logged: set[str] = field(default_factory=set)

    def add(
        self, label: str, digest: str, study: str, settings: Sequence[str],
        rows: Mapping[str, Mapping[str, Any]],
    ) -> None:  # fmt: skip
        """Log a cell, unless one of its digest is there."""
        if digest in self.logged:
            return
        tags = {
            _PARENT: self.run_id,
            _CELL: digest,
            "riskadj.study.digest": study,
            "riskadj.version": riskadj.__version__,
            "mlflow.source.name": "riskadj",
        }
        with self.turn():
            made = self.client.create_run(self.experiment_id, tags=tags, run_name=label)
            with ended(partial(self.client.set_terminated, made.info.run_id), "FINISHED"):
                log_params(self.client, made.info.run_id, _params(label, settings))
                self.client.log_batch(made.info.run_id, metrics=_metrics(rows))
        self.logged.add(digest)

    def end(self, status: str) -> None:
        """Say how the experiment ended."""
        with self.turn():
            self.client.set_terminated(self.run_id, status)

    def finish(self, folder: Path, results: Mapping[str, Any]) -> None:
        """Log the files of the experiment's folder that hold its results, and nothing else."""
        with self.turn(), TemporaryDirectory() as staging:
            for name in _MAY_LEAVE:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, Path(staging, name))
            self.client.log_artifacts(self.run_id, staging)
            self.client.set_tag(self.run_id, "riskadj.results.digest", str(results["digest"]))


@contextmanager
def nested_runs(
    uri: str, experiment: str, name: str, content: Mapping[str, Any]
) -> Iterator[NestedRuns]:
    """Yield the parent run of an experiment: that of an earlier call of the same, or a new one.

    Parameters
    ----------
    uri, experiment : str
        Where runs are logged.
    name : str
        Of the experiment.
    content : mapping
        What the experiment asks; another question has another parent.

    Raises
    ------
    TrackingError
        When it cannot be logged. The parent is then marked as failed.
    """
    kept = Path("runs", "experiments", name)
    check_somewhere(uri, kept)
    with mlflow_at_work():
        with _turn(kept, uri):
            client, experiment_id = open_store(uri, experiment)
            digest = digest_of_json([name, content])
            run_id = _parent(client, experiment_id, name, digest, content)
            runs = NestedRuns(client, experiment_id, run_id, partial(_turn, kept, uri))
            runs.logged |= _children(client, experiment_id, run_id)
            end_unfinished(client, experiment_id, _PARENT, run_id)
        with ended(runs.end, "FINISHED"):
            yield runs


@contextmanager
def _turn(kept: Path, uri: str) -> Iterator[None]:
    """Write to the store while nobody else of us does; a refusal says that cells are kept."""
    way_out = "Its cells are kept; call it again, or go without: --tracking-uri off"
    with one_line_refusals(kept, uri, way_out), turn_at(uri):
        yield


def _parent(
    client: "MlflowClient", experiment_id: str, name: str, digest: str, content: Mapping[str, Any]
) -> str:
    found = client.search_runs(
        [experiment_id], f"tags.`{_EXPERIMENT}` = '{digest}'", max_results=1
    )  # fmt: skip
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, "RUNNING")
        return run_id
    tags = {
        _EXPERIMENT: digest,
        "mlflow.note.content": f"{content['question']}\n\nExpected: {content['expectation']}",
        "mlflow.source.name": "riskadj",
        "riskadj.version": riskadj.__version__,
    }
    run_id = str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)
    log_params(client, run_id, flatten({"grid": json.dumps(content["grid"]),
                                          "seed": content["seed"]}))  # fmt: skip
    return run_id


def _children(client: "MlflowClient", experiment_id: str, parent: str) -> set[str]:
    """Return the digests of cells that are logged whole."""
    wanted = f"tags.`{_PARENT}` = '{parent}' and attributes.status = 'FINISHED'"
    found, token = set(), None
    while True:
        page = client.search_runs([experiment_id], wanted, max_results=1000, page_token=token)
        found |= {one.data.tags[_CELL] for one in page if _CELL in one.data.tags}
        token = page.token
        if not token:
            return found


def _params(label: str, settings: Sequence[str]) -> dict[str, str]:
    pairs = (one.partition("=") for one in settings)
    return {"cell": label} | {safe_key(key.strip()): value for key, _, value in pairs}


def _metrics(rows: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(safe_key(f"{row}.{name}"), float(value), now, 0)
        for row, figures in rows.items()
        for name, value in figures.items()
        if isinstance(value, (int, float))
    ]
