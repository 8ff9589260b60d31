"""Where results come from: digests of study, data, code and every stage."""

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
from riskadj.study import Study

PACKAGES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "pyarrow", "mlflow", "shap")
_CHANGES_NO_RESULT = ("tracking", "compute")


def portable_study(study: Study) -> dict[str, Any]:
    """Return a study as JSON, with file names for paths: what it is, wherever it is run."""
    content = study.model_dump(mode="json")
    content["data"]["paths"] = [path.name for path in study.data.paths]
    return content


def digest_of_study(study: Study) -> str:
    """Return the digest of everything in a study that a result can depend on."""
    content = portable_study(study)
    return digest_of_json(
        {key: value for key, value in content.items() if key not in _CHANGES_NO_RESULT}
    )


@cache
def digest_of_code() -> str:
    """Return the digest of this package's source files."""
    root = Path(riskadj.__file__).parent
    digest = sha256()
    for path in sorted(root.rglob("*.py")):
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
        `stage, digest, seconds`, in the order of the journey.
    """
    return {
        "study": {
            "name": study.name,
            "version": study.version,
            "digest": digest_of_study(study),
        },
        "data": [{"name": one.name, "digest": one.digest, "rows": one.rows} for one in sources],
        "code": {"version": riskadj.__version__, "digest": digest_of_code()},
        "environment": {
            "python": platform.python_version(),
            "packages": {name: version(name) for name in PACKAGES},
        },
        "seed": study.split.seed,
        "stages": [dict(one) for one in stages],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
