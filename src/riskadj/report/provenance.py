"""Where results come from: digests of study, data, code and every stage."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import riskadj
from riskadj.digest import digest_of_json
from riskadj.episodes import Source
from riskadj.errors import FileFormatError
from riskadj.masking import without_password
from riskadj.study import Study
from riskadj.study.load import DATA_PATHS

PACKAGES = (
    "duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "pyarrow", "mlflow", "shap",
)  # fmt: skip
_CHANGES_NO_RESULT = ("tracking", "compute", "export", "engine")
_CODE = (".py", ".yaml", ".jinja", ".css", ".js")
_ROOT = Path(riskadj.__file__).parent
FORMAT = 1
"""Of every folder with a `provenance.json`, and of cards: newer ones are refused."""
AGAIN = "RISKADJ_AGAIN"
"""Names the provenance of a run that is made again: its times are taken over, nothing is logged."""


def portable_study(study: Study) -> dict[str, Any]:
    """Return a study as JSON: file names for paths, and no password to where it is logged."""
    content = study.model_dump(mode="json")
    for owner, key in DATA_PATHS:
        place = content["data"][owner] if owner else content["data"]
        if place is not None:
            place[key] = _names(place[key])
    content["tracking"]["uri"] = without_password(study.tracking.uri)
    return content


def _names(paths: Any) -> Any:
    if isinstance(paths, list):
        return [_names(one) for one in paths]
    return None if paths is None else Path(paths).name


def digest_of_study(study: Study) -> str:
    """Return the digest of everything in a study that a result can depend on."""
    return digest_of_portable(portable_study(study))


def digest_of_portable(content: Mapping[str, Any]) -> str:
    """Return the digest of a study from what `study.json` holds.

    Examples
    --------
    >>> digest_of_portable({"name": "a", "tracking": {}}) == digest_of_portable({"name": "a"})
    True
    """
    return digest_of_json(
        {key: value for key, value in content.items() if key not in _CHANGES_NO_RESULT}
    )


@cache
def digest_of_code() -> str:
    """Return the digest of this package's source files, templates and packaged studies."""
    return digest_of_sources(one for one in _ROOT.rglob("*") if one.suffix in _CODE)


def digest_of_sources(paths: Iterable[Path]) -> str:
    """Return the digest of files of this package: of what they are called, and what they hold."""
    digest = sha256()
    for path in sorted(paths):
        digest.update(path.relative_to(_ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_format(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse a record or a card that a newer version wrote.

    Raises
    ------
    FileFormatError
    """
    got = content.get("format")
    if type(got) is int and got > FORMAT:
        raise FileFormatError(
            f"{path}: wanted format {FORMAT}, which this version writes; got {got}. "
            "Use the version of riskadj that wrote it, or a later one."
        )


def software() -> dict[str, Any]:
    """Return the versions of Python and of the packages that results depend on."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def build_provenance(
    study: Study, sources: Iterable[Source], stages: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what `provenance.json` holds.

    Parameters
    ----------
    study : Study
    sources : iterable of Source
    stages : iterable of mapping
        `stage, digest, seconds`, in the order of the journey. After the last comes `run`, whose
        digest is made from those of study, data, code and every stage.

    Notes
    -----
    Where the environment names an earlier provenance in `RISKADJ_AGAIN`, `created` and the
    seconds are those of it: times are no result, and an audit compares files byte for byte.
    """
    data = [{"name": one.name, "digest": one.digest, "rows": one.rows} for one in sources]
    journey = [dict(one) for one in stages]
    made_from = {"study": digest_of_study(study), "code": digest_of_code()}
    return _at_earlier_times({
        "format": FORMAT,
        "study": {"name": study.name, "version": study.version, "digest": made_from["study"]},
        "data": data,
        "code": {"version": riskadj.__version__, "digest": made_from["code"]},
        "environment": software(),
        "seed": study.split.seed,
        "stages": [
            *journey,
            {"stage": "run", "digest": _chained(made_from, data, journey), "seconds": None},
        ],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    })  # fmt: skip


def run_digest(provenance: Mapping[str, Any]) -> str:
    """Return the digest of a run as the digests of its study, data, code and stages make it."""
    made_from = {one: provenance[one]["digest"] for one in ("study", "code")}
    return _chained(made_from, provenance["data"], provenance["stages"][:-1])


def _chained(
    made_from: Mapping[str, str],
    data: Iterable[Mapping[str, Any]],
    stages: Iterable[Mapping[str, Any]],
) -> str:
    digests = [one["digest"] for one in (*data, *stages)]
    return digest_of_json([made_from["study"], made_from["code"], *digests])


def sealed(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provenance with its `seal`, the digest of all the rest of it.

    Whoever changes it by accident, or without knowing, breaks the seal. Whoever knows how can seal
    it again, so a copy of the seal that is kept elsewhere is what proves a run.

    Examples
    --------
    >>> once = sealed({"seed": 1})
    >>> once == sealed(once), once["seal"] == sealed({"seed": 2})["seal"]
    (True, False)
    """
    content = {key: value for key, value in provenance.items() if key != "seal"}
    return {**content, "seal": digest_of_json(content)}


def is_made_again() -> bool:
    """Whether this run repeats an earlier one, for an audit, and is logged to no MLflow."""
    return bool(os.environ.get(AGAIN))


def _at_earlier_times(provenance: dict[str, Any]) -> dict[str, Any]:
    if not is_made_again():
        return provenance
    earlier = json.loads(Path(os.environ[AGAIN]).read_bytes())
    spent = {one["stage"]: one["seconds"] for one in earlier["stages"]}
    stages = [
        one | {"seconds": spent.get(one["stage"], one["seconds"])} for one in provenance["stages"]
    ]
    return provenance | {"created": earlier["created"], "stages": stages}
