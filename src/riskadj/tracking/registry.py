"""Registered models: which is a candidate, which is approved, by whom and on which card."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from riskadj.digest import digest_of_file
from riskadj.errors import (
    ChangedFileError,
    TrackingError,
    UnwrittenError,
    ValuesError,
)
from riskadj.masking import without_password
from riskadj.report.acts import note_done
from riskadj.report.card.published import read_card, unwritten_of_card
from riskadj.report.folder import read_json, read_provenance
from riskadj.tracking.opening import alone_at, turn_at
from riskadj.tracking.serve import find_experiment
from riskadj.tracking.store import mlflow_at_work, one_line_refusals

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE, APPROVED = "candidate", "approved"
SEAL = "riskadj.seal"
CARD = "card.json"


@dataclass(frozen=True)
class Approval:
    """What was approved.

    Attributes
    ----------
    run_id : str
        The MLflow run.
    versions : tuple of str
        `name version N` of each registered model that now has the alias `approved`.
    by, at, card : str
        Who; when, in UTC; the SHA-256 of the card.
    """

    run_id: str
    versions: tuple[str, ...]
    by: str
    at: str
    card: str


def register(
    client: "MlflowClient", run_id: str, name: str, models: Iterable[str]
) -> "list[ModelVersion]":
    """Register the models of a logged run, each as `<name>-<outcome>-<learner>`, as candidates.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
    name : str
    models : iterable of str
        Model URIs, `models:/<id>`.
    """
    return [_register(client, run_id, name, str(one)) for one in models]


def _register(client: "MlflowClient", run_id: str, name: str, uri: str) -> "ModelVersion":
    model_id = uri.rpartition("/")[2]
    model = client.get_logged_model(model_id)
    full = f"{name}-{model.name}"
    if not client.search_registered_models(f"name = '{full}'"):
        client.create_registered_model(full)
    # By its place: MLflow would look a model's URI up in the store of the process, not in this one.
    version = client.create_model_version(full, model.artifact_location, run_id, model_id=model_id)
    client.set_registered_model_alias(full, CANDIDATE, version.version)
    return version


def approve_run(
    run: str | Path,
    by: str,
    card: str | Path,
    *,
    uri: str | None = None,
    experiment: str | None = None,
    name: str | None = None,
) -> Approval:
    """Give the registered models of a run the alias `approved`, and write down who did, on what.

    Parameters
    ----------
    run : str or Path
        A run folder that was logged.
    by : str
        Who approves.
    card : str or Path
        The run's `card.json`, or a copy of it; nothing in it may be left to write.
    uri, experiment : str, optional
        Where it was logged, instead of where the study says.
    name : str, optional
        Registers models under it that have not been.

    Returns
    -------
    Approval

    Raises
    ------
    FileMissingError, FileFormatError
        When there is no such run or card, or the card is of a newer version.
    ChangedFileError
        When the card is not the one that the run wrote.
    UnwrittenError
        When fields of the card are still to be written.
    TrackingError
        When the run was not logged, or not as it is now; when its models are not registered;
        when the store is not there, or has moved.

    Examples
    --------
    >>> approve_run("runs/hip", "A. Person", "runs/hip/card.json")  # doctest: +SKIP
    """
    if not by.strip():
        raise ValuesError("--by: wanted the name of a person; got none. Say who approves.")
    folder = Path(run)
    provenance = read_provenance(folder, ("study.json",))
    digest = check_card(Path(card), provenance)
    tracking = read_json(folder / "study.json")["tracking"]
    store, place = uri or str(tracking["uri"]), experiment or str(tracking["experiment"])
    number = find_experiment(store, place)
    way_out = f"Nothing was approved. Log the run again (riskadj log {folder})."
    with (
        mlflow_at_work(),
        one_line_refusals(folder, store, way_out),
        turn_at(store),
        alone_at(store),
    ):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=store)
        run_id = _logged(client, number, provenance, folder, without_password(store))
        versions = _versions(client, run_id, name or tracking.get("registered_model"), folder)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        told = {"by": by.strip(), "at": at, "card": digest, "run": _run_of(provenance)}
        note_done("approve", folder, by.strip(), card=digest)
        for one in versions:
            _approve(client, one, told)
    names = tuple(f"{one.name} version {one.version}" for one in versions)
    return Approval(run_id, names, by.strip(), at, digest)


def check_card(card: Path, provenance: Mapping[str, Any]) -> str:
    """Return the digest of a card that is whole, and that of the run.

    Raises
    ------
    FileMissingError, FileFormatError, ChangedFileError, UnwrittenError
    """
    path = card / CARD if card.is_dir() else card
    content = read_card(path)
    digest = digest_of_file(path)
    wanted = provenance["files"].get(CARD)
    if digest != wanted:
        raise ChangedFileError(
            f"{path}: wanted the card that the run wrote ({str(wanted)[:12]}); got another "
            f"({digest[:12]}). Give the run's own {CARD}; what people write goes into the study."
        )
    found = unwritten_of_card(content)
    if found.fields:
        raise UnwrittenError(
            f"{path}: {found.told()}. Write them under card: in the study, and run it again."
        )
    return digest


def _run_of(provenance: Mapping[str, Any]) -> str:
    return str(provenance["stages"][-1]["digest"])


def _logged(
    client: "MlflowClient", number: str, provenance: Mapping[str, Any], folder: Path, store: str
) -> str:
    """Return the latest MLflow run of a run folder, by its seal."""
    seal = str(provenance.get("seal", "none"))
    wanted = f"tags.`{SEAL}` = '{seal}' and attributes.status = 'FINISHED'"
    found = client.search_runs([number], wanted, max_results=1)
    if found and seal != "none":
        return str(found[0].info.run_id)
    raise TrackingError(
        f"{store}: wanted the run of {folder}, logged as it is now; got none with its seal "
        f"({seal[:12]}). Log it first: riskadj log {folder}, or say where it is with "
        "--tracking-uri and --experiment."
    )


def _versions(
    client: "MlflowClient", run_id: str, name: str | None, folder: Path
) -> "list[ModelVersion]":
    """Return the registered versions of a run; registered now, where there is a name for them."""
    found = [*client.search_model_versions(f"run_id = '{run_id}'")]
    if found:
        return sorted(found, key=lambda one: str(one.name))
    if name is None:
        raise TrackingError(
            f"{folder}: wanted a run whose models are registered; got one whose study names no "
            "tracking.registered_model. Name one with --model NAME."
        )
    outputs = client.get_run(run_id).outputs
    models = [f"models:/{one.model_id}" for one in (outputs.model_outputs if outputs else ())]
    if not models:
        raise TrackingError(
            f"{folder}: wanted a run with models of its own; got one that was logged without any. "
            "A run with the learner reference alone has none to approve."
        )
    return register(client, run_id, name, models)


def _approve(client: "MlflowClient", version: "ModelVersion", told: Mapping[str, str]) -> None:
    """Write down who approves a version, then move the alias to it."""
    for key, value in told.items():
        client.set_model_version_tag(version.name, version.version, f"approved.{key}", value)
    words = (
        f"Approved by {told['by']} at {told['at']} on the card {told['card']} of the run "
        f"{told['run']}."
    )
    client.update_model_version(version.name, version.version, description=words)
    client.set_registered_model_alias(version.name, APPROVED, version.version)
