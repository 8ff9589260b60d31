"""Where results come from: digests of study, data, code and every stage."""

import platform
import re
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
from riskadj.study import Study
from riskadj.study.load import DATA_PATHS

PACKAGES = (
    "duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "pyarrow", "mlflow", "shap",
)  # fmt: skip
_CHANGES_NO_RESULT = ("tracking", "compute", "export")
_CODE = (".py", ".yaml", ".jinja", ".css")
_MASK = "://***@"


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


def without_password(text: str) -> str:
    """Return a text with the user and password of every URI in it masked.

    Examples
    --------
    >>> without_password("postgresql://me:p/w@d@host/runs, sqlite:////home/me@work/mlflow.db")
    'postgresql://***@host/runs, sqlite:////home/me@work/mlflow.db'
    """
    return re.sub(r"://(?!/)\S*@", _MASK, text)


def is_masked(uri: str) -> bool:
    """Whether `without_password` has taken something from a URI."""
    return _MASK in uri


def digest_of_study(study: Study) -> str:
    """Return the digest of everything in a study that a result can depend on."""
    content = portable_study(study)
    return digest_of_json(
        {key: value for key, value in content.items() if key not in _CHANGES_NO_RESULT}
    )


@cache
def digest_of_code() -> str:
    """Return the digest of this package's source files, templates and packaged studies."""
    root = Path(riskadj.__file__).parent
    digest = sha256()
    for path in sorted(one for one in root.rglob("*") if one.suffix in _CODE):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
    """
    data = [{"name": one.name, "digest": one.digest, "rows": one.rows} for one in sources]
    journey = [dict(one) for one in stages]
    chained = [digest_of_study(study), digest_of_code()]
    chained += [one["digest"] for one in (*data, *journey)]
    return {
        "study": {"name": study.name, "version": study.version, "digest": chained[0]},
        "data": data,
        "code": {"version": riskadj.__version__, "digest": chained[1]},
        "environment": {
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
        },
        "seed": study.split.seed,
        "stages": [
            *journey,
            {"stage": "run", "digest": digest_of_json(chained), "seconds": None},
        ],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
