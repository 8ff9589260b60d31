"""Runs that were begun and never ended, because a process was killed or a server away."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def end_unfinished(
    client: "MlflowClient", experiment_id: str, tag: str, value: str, but: str = ""
) -> tuple[str, ...]:
    """Mark the runs with a tag that were never ended as failed, and their models.

    A run that another process is logging at this moment is marked too, until that process ends it
    and says itself how it went.

    Parameters
    ----------
    client : MlflowClient
    experiment_id : str
    tag, value : str
        What the runs have; the value "none" is that of no run in particular.
    but : str
        A run that is left alone.

    Returns
    -------
    tuple of str
        The runs.
    """
    if value == "none":
        return ()
    wanted = f"tags.`{tag}` = '{value}' and attributes.status = 'RUNNING'"
    found = [str(one.info.run_id) for one in client.search_runs([experiment_id], wanted)]
    unfinished = tuple(one for one in found if one != but)
    for run_id in unfinished:
        _end_models(client, experiment_id, run_id)
        client.set_terminated(run_id, "FAILED")
    return unfinished


def _end_models(client: "MlflowClient", experiment_id: str, run_id: str) -> None:
    for model in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        if model.status == "PENDING":  # asked here, for MLflow 3.17 finds none by its status
            client.finalize_logged_model(model.model_id, "FAILED")
