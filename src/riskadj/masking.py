"""What a message may not say: passwords, tokens and keys, wherever they stand in it."""

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

_HIDDEN = "***"
_AUTHORITY = re.compile(r"://(?!/)(?P<before>\S*)@(?P<after>\S*)")
_QUERY = re.compile(r"(?<![\w+.-])(?P<place>\w[\w+.-]*:/[^\s?#]*)(?P<mark>[?#])(?P<query>\S*)")
_HARMLESS = re.compile(
    r"(sslmode|ssl_mode|charset|timeout|connect_timeout|application_name|driver|mode|cache"
    r"|check_same_thread|uri)=[\w.+-]*",
    re.IGNORECASE,
)
_SECRET = (
    r"(?:password|passwd|passphrase|\bpwd|token|secret|credential|sslkey|"
    r"(?:api|access|private)[_-]?key)\w*"
)
_PAIR = re.compile(
    rf"(?P<key>{_SECRET}[\"']?(?:\s*=\s*|(?<=[\"'])\s*:\s*))(?P<value>[^\s&]+)", re.IGNORECASE
)
_BEARER = re.compile(r"\b(?P<key>bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_NAME = re.compile(_SECRET, re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SHORTEST = 6
"""Of what is masked wherever it stands: a shorter one would be found in words."""


def without_password(text: str, *uris: str) -> str:
    """Return a text without the passwords, tokens and keys in it.

    Masked are the user and password of every URI; of a query, all but a few parameters that are
    known to be harmless; what stands behind `password=` and the like; and the values of the
    environment's variables that are called so, such as MLFLOW_TRACKING_PASSWORD.

    Parameters
    ----------
    text : str
    *uris : str
        Whose passwords are masked where they stand alone, too.

    Examples
    --------
    >>> without_password("postgresql://me:p/w@d@host/runs, sqlite:////home/me@work/mlflow.db")
    'postgresql://***@host/runs, sqlite:////home/me@work/mlflow.db'
    >>> without_password("mysql://host/runs?charset=utf8&password=a&b")
    'mysql://host/runs?charset=utf8&***'
    >>> without_password("host=h password=abc: refused", "mysql://me:refused@h")
    'host=h password=*** ***'
    """
    for secret in sorted({*_of_environment(), *_of_uris(uris)}, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _AUTHORITY.sub(_masked_authority, text)
    text = _QUERY.sub(_masked_query, text)
    text = _PAIR.sub(rf"\g<key>{_HIDDEN}", text)
    return _BEARER.sub(rf"\g<key> {_HIDDEN}", text)


def fit_to_show(text: str) -> str:
    r"""Return a text without passwords, and without what could take over a terminal.

    Examples
    --------
    >>> fit_to_show("got \x1b[2J: mysql://me:word@host")
    'got \ufffd[2J: mysql://***@host'
    """
    return _CONTROL.sub("\ufffd", without_password(text))


def is_masked(uri: str) -> bool:
    """Whether `without_password` has taken something from a URI.

    Examples
    --------
    >>> is_masked("mysql://***@host/runs"), is_masked("mysql://host/runs?charset=utf8")
    (True, False)
    """
    return _HIDDEN in uri


def _masked_authority(found: re.Match[str]) -> str:
    # An @ behind a ? is of a password before the host, or of one in the query: both are hidden.
    unclear = "?" in found["before"] or "#" in found["before"]
    return f"://{_HIDDEN}@{_HIDDEN if unclear else found['after']}"


def _masked_query(found: re.Match[str]) -> str:
    place, mark, query = found["place"], found["mark"], found["query"]
    if mark == "#" and "=" not in query:  # a place on a page
        return found[0]
    parts = query.split("&")
    kept = [one for one in parts if _HARMLESS.fullmatch(one)]
    return f"{place}{mark}{'&'.join(kept if kept == parts else [*kept, _HIDDEN])}"


_FOLDERS = ("PWD", "OLDPWD")
"""The shell's names for the folder it is in, and was in."""


def _of_environment() -> set[str]:
    named = (
        value for name, value in os.environ.items() if _NAME.search(name) and name not in _FOLDERS
    )
    return {value for value in named if len(value) >= _SHORTEST}


def _of_uris(uris: Iterable[str]) -> set[str]:
    """Return passwords and values of queries, as they are written and as they are meant."""
    found: set[str] = set()
    for uri in uris:
        user, _, _ = uri.partition("://")[2].rpartition("@")
        parts = uri.partition("?")[2].split("&")
        found |= {one.partition("=")[2] for one in parts if not _HARMLESS.fullmatch(one)}
        found.add("" if user.startswith("/") else user.partition(":")[2])
    return {one for one in (*found, *map(unquote, found)) if len(one) >= _SHORTEST}
