"""From a finished run folder to an MLflow run: numbers, tables, figures and models, no patients."""

import json
import math
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import riskadj
from riskadj.expected import ExpectationModel, load_model
from riskadj.masking import without_password
from riskadj.report.acts import note_done
from riskadj.report.folder import MARK, read_json, read_provenance
from riskadj.tracking.opening import alone_at, is_new, open_store, turn_at
from riskadj.tracking.registry import SEAL, register
from riskadj.tracking.store import (
    check_somewhere,
    database_of,
    ended,
    mlflow_at_work,
    one_line_refusals,
)
from riskadj.tracking.unfinished import end_unfinished

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric
    from mlflow.models import ModelSignature

MAY_LEAVE = (
    "metrics.json", "provenance.json", "card.json", "card.md", "card.html", "page.html", "flow.csv",
    "providers.csv", "analyses.csv", "reliability.csv", "agreement.csv", "reference.csv",
    "calibration.csv", "subgroups.csv", "groups.csv", "drift.csv", "ceiling.csv", "slopes.csv",
    "social.csv", "graded.csv", "social_slopes.csv", "fair.csv", "gaming.csv",
    "value.csv", "differences.csv", "validation.csv", "rates.csv",
    "follow_up.csv", "balance.csv", "shap_features.csv",
    "shap_folds.csv", "shap_roles.csv", "shap_interactions.csv", "shap_providers.csv",
    "figures/*.svg",
)  # fmt: skip
"""What is logged as it is. Whatever else a run folder holds, episodes above all, stays there."""

_MODELS = ("models/*/*",)
_REQUIRED_PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn")
_LONGEST_KEY, _LONGEST_PARAM, _LONGEST_DIGEST = 250, 6000, 36  # what MLflow takes
_PARAMS_AT_ONCE = 100


@dataclass(frozen=True)
class LoggedRun:
    """Where a run was logged.

    Attributes
    ----------
    run_id : str
    experiment : str
    uri : str
        The tracking URI, without its password.
    models : tuple of str
        A model URI each, as `mlflow.pyfunc.load_model` takes it.
    new_store : Path or None
        The SQLite database, where there was none before.
    failed : tuple of str
        Runs that earlier calls for the same folder left unfinished, and this one marked as failed.
    """

    run_id: str
    experiment: str
    uri: str
    models: tuple[str, ...]
    new_store: Path | None = None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Finished:
    """What a run folder says about its run."""

    folder: Path
    study: dict[str, Any]
    metrics: dict[str, Any]
    provenance: dict[str, Any]


def log_run(folder: str | Path, uri: str | None = None, experiment: str | None = None) -> LoggedRun:
    """Log a finished run as a new MLflow run: now, later, or again.

    Parameters
    ----------
    folder : str or Path
        A run folder. Its episode-level tables are not logged.
    uri : str, optional
        Any MLflow tracking URI; without it, the study's. Beside a new SQLite database,
        artifacts go to a folder `mlartifacts`.
    experiment : str, optional
        Without it, the study's.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder does not hold a finished run, or one that was changed.
    TrackingError
        When the run could not be logged. What was logged by then is marked as failed: now, or
        where the store is away by the next call that logs the same folder there.

    Examples
    --------
    >>> logged = log_run("runs/demo", uri="sqlite:///mlflow.db")  # doctest: +SKIP
    >>> mlflow.pyfunc.load_model(logged.models[0])  # doctest: +SKIP
    """
    finished = _read_folder(Path(folder))
    uri = uri or str(finished.study["tracking"]["uri"])
    check_somewhere(uri, finished.folder)
    experiment = experiment or finished.study["tracking"]["experiment"]
    with mlflow_at_work(), one_line_refusals(finished.folder, uri), turn_at(uri):
        database = database_of(uri)
        new = database if database is not None and is_new(database) else None
        client, experiment_id = open_store(uri, experiment)
        written = note_done("log", finished.folder, without_password(uri)).digest
        run_id, models, failed = _log(client, experiment_id, finished, written)
        name = finished.study["tracking"].get("registered_model")
        if name:
            with alone_at(uri):
                register(client, run_id, name, models)
    return LoggedRun(run_id, experiment, without_password(uri), models, new, failed)


def _read_folder(folder: Path) -> _Finished:
    """Return the records of a run whose every file that is logged or used is as it was written."""
    used = ["study.json", "metrics.json"]
    if folder.is_dir():
        used += [one.relative_to(folder).as_posix() for one in _leaving(folder, *_MODELS)]
    provenance = read_provenance(folder, used)
    return _Finished(
        folder, read_json(folder / "study.json"), read_json(folder / "metrics.json"), provenance
    )


def _leaving(folder: Path, *more: str) -> list[Path]:
    """Return the files that may leave a run folder, without what says of all the others."""
    patterns = (one for one in (*MAY_LEAVE, *more) if one != MARK)
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


# What is logged ----------------------------------------------------------------------------------


def _log(
    client: "MlflowClient", experiment_id: str, finished: _Finished, written: str
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Log a run; return its id, the URIs of its models, and runs that were never ended."""
    name = f"{finished.study['name']} {finished.study['version']}"
    tags = _tags(finished, written)
    run_id = client.create_run(experiment_id, tags=tags, run_name=name).info.run_id
    with ended(partial(client.set_terminated, run_id), "FINISHED"):
        failed = end_unfinished(client, experiment_id, SEAL, tags[SEAL], run_id)
        log_params(client, run_id, flatten(_without_places(finished.study)))
        client.log_inputs(run_id, datasets=_datasets(finished.provenance))
        _log_files(client, run_id, finished)
        models = _log_models(client, experiment_id, run_id, finished)
        client.log_batch(run_id, metrics=_metrics(finished.metrics, models))
    return run_id, tuple(f"models:/{one}" for one in models.values()), failed


def _tags(finished: _Finished, written: str) -> dict[str, str]:
    """Return the chain of digests, and what MLflow's pages show above a run.

    `riskadj.journal` is the head of the log, kept where who changes the log may not come.
    """
    provenance = finished.provenance
    return {
        "mlflow.source.name": "riskadj",
        "mlflow.note.content": finished.study["title"],
        "riskadj.version": provenance["code"]["version"],
        "riskadj.code.digest": provenance["code"]["digest"],
        "riskadj.study.digest": provenance["study"]["digest"],
        "riskadj.created": provenance["created"],
        SEAL: provenance.get("seal", "none"),
        "riskadj.journal": written,
        **{
            f"riskadj.stage.{position:02d}.{one['stage']}": one["digest"]
            for position, one in enumerate(provenance["stages"])
        },
    }


def _without_places(study: dict[str, Any]) -> dict[str, Any]:
    """Return a study without where it was run or goes to: no folders, no URI, no recipients."""
    content = {key: value for key, value in study.items() if key not in ("tracking", "export")}
    paths = [re.split(r"[/\\]", one)[-1] for one in study["data"]["paths"]]
    return content | {"data": study["data"] | {"paths": paths}}


def flatten(value: Any, key: str = "") -> dict[str, str]:
    """Return dotted keys; a list of records by their names or kinds, another as one text.

    Examples
    --------
    >>> flatten({"split": {"seed": 7}, "learners": [{"kind": "linear", "ridge": 1.0}]})
    {'split.seed': '7', 'learners.linear.kind': 'linear', 'learners.linear.ridge': '1.0'}
    """
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        value = dict(zip(_labels(value), value, strict=True))
    if isinstance(value, dict) and value:
        return {
            flat: text
            for name, one in value.items()
            for flat, text in flatten(one, f"{key}.{name}" if key else name).items()
        }
    if isinstance(value, list) and value:
        value = ", ".join(map(str, value))
    return {safe_key(key): value if isinstance(value, str) else json.dumps(value)}


def _labels(records: list[dict[str, Any]]) -> list[str]:
    labels = [str(one.get("name") or one.get("kind") or one.get("column")) for one in records]
    unique = len(set(labels)) == len(labels)
    return labels if unique else [str(position) for position in range(len(records))]


def safe_key(key: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^\w. -]", "_", key)[:_LONGEST_KEY]


def log_params(client: "MlflowClient", run_id: str, params: dict[str, str]) -> None:
    """Log parameters, as many at once as MLflow takes."""
    from mlflow.entities import Param

    entries = [Param(key, value[:_LONGEST_PARAM]) for key, value in params.items()]
    for start in range(0, len(entries), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=entries[start : start + _PARAMS_AT_ONCE])


def _datasets(provenance: dict[str, Any]) -> list["DatasetInput"]:
    """Return the files as MLflow names them: file name, digest and number of rows, no content."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=one["name"],
                digest=one["digest"][:_LONGEST_DIGEST],
                source_type="local",
                source=json.dumps({"uri": one["name"]}),
                profile=json.dumps({"num_rows": one["rows"], "sha256": one["digest"]}),
            ),
            [InputTag("mlflow.data.context", "episodes")],
        )
        for one in provenance["data"]
    ]


def _metrics(metrics: dict[str, Any], models: Mapping[str, str]) -> list["Metric"]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(f"{outcome}.{learner}.{name}", float(value), now, 0,
               model_id=models.get(f"{outcome}-{learner}"))
        for outcome, learners in metrics.items()
        for learner, figures in learners.items()
        for name, value in figures.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]  # fmt: skip


def _log_files(client: "MlflowClient", run_id: str, finished: _Finished) -> None:
    """Log what may leave in one go, from a folder that holds nothing else."""
    with TemporaryDirectory() as staging:
        for path in (finished.folder / MARK, *_leaving(finished.folder)):
            target = Path(staging, path.relative_to(finished.folder))
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
        study = json.dumps(_without_places(finished.study), indent=2, ensure_ascii=False)
        Path(staging, "study.json").write_text(study, encoding="utf-8")
        client.log_artifacts(run_id, staging)


# Models ------------------------------------------------------------------------------------------


def _log_models(
    client: "MlflowClient", experiment_id: str, run_id: str, finished: _Finished
) -> dict[str, str]:
    """Log every model of a run that may leave; return its id by its name, `outcome-learner`."""
    from mlflow.entities import LoggedModelOutput

    may_leave = finished.study["tracking"].get("models", True)
    folders = sorted(finished.folder.glob("models/*")) if may_leave else []
    models = {
        folder.name: _log_model(client, experiment_id, run_id, folder, finished.provenance)
        for folder in folders
    }
    if models:
        client.log_outputs(run_id, [LoggedModelOutput(one, step=0) for one in models.values()])
    return models


def _log_model(
    client: "MlflowClient", experiment_id: str, run_id: str, folder: Path,
    provenance: dict[str, Any],
) -> str:  # fmt: skip
    model = load_model(folder)
    created = client.create_logged_model(
        experiment_id,
        name=folder.name,
        source_run_id=run_id,
        model_type="riskadj expectation",
        params={"outcome": model.outcome, "learner": model.learner},
        tags={"riskadj.study.digest": provenance["study"]["digest"]},
    )
    with (
        ended(partial(client.finalize_logged_model, created.model_id), "READY"),
        TemporaryDirectory() as staging,
    ):
        target = Path(staging, "model")
        _save_pyfunc(model, folder, target, run_id, created)
        client.log_model_artifacts(created.model_id, str(target))
    return str(created.model_id)


def _save_pyfunc(
    model: ExpectationModel, folder: Path, target: Path, run_id: str, created: Any
) -> None:
    """Write a model as MLflow keeps it, everything said outright so that nothing is inferred."""
    import mlflow.pyfunc
    from mlflow.models import Model

    code = Path(__file__).with_name("expectation_pyfunc.py")
    description = Model(
        artifact_path=created.artifact_location,
        run_id=run_id,
        model_uuid=created.model_id,
        model_id=created.model_id,
    )
    mlflow.pyfunc.save_model(
        path=str(target),
        python_model=str(code),
        artifacts={"model": str(folder)},
        signature=_signature(model),
        input_example=_typical_episode(model),
        pip_requirements=_requirements(),
        mlflow_model=description,
    )
    flavor = description.flavors["python_function"]  # both name folders of this computer
    flavor["model_code_path"] = code.name
    flavor["artifacts"]["model"]["uri"] = f"models/{folder.name}"
    description.save(str(target / "MLmodel"))
    shutil.rmtree(target / "__pycache__", ignore_errors=True)


def _signature(model: ExpectationModel) -> "ModelSignature":
    """Return the columns that go in and the one that comes out; any of those in may be missing."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    texts = model.encoder.levels_
    inputs = [
        ColSpec("string" if one.name in texts else "double", one.name, required=False)
        for one in model.columns
    ]
    return ModelSignature(
        inputs=Schema([*inputs, ColSpec("double", "fold", required=False)]),
        outputs=Schema([ColSpec("double", "expected_score")]),
    )


def _typical_episode(model: ExpectationModel) -> Any:
    import pandas as pd

    texts = model.encoder.levels_
    return pd.DataFrame(
        {
            one.name: pd.Series(
                [model.typical[one.name]], dtype=object if one.name in texts else float
            )
            for one in model.columns
        }
    )


def _requirements() -> list[str]:
    packages = [f"{one}=={version(one)}" for one in _REQUIRED_PACKAGES]
    return [f"riskadj=={riskadj.__version__}", *packages]
