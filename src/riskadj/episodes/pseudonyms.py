"""Pseudonyms of identifiers: a keyed hash, so that only who holds the key can link or look up.

A plain hash of a patient's number is no pseudonym: whoever can list all numbers can hash them all.
With a secret key that takes the key (HMAC, Krawczyk, Bellare and Canetti 1997, RFC 2104). The key
is read where it is used and nowhere kept: not in a record of ours, a file, a log or an error.
"""

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import scrypt
from pathlib import Path
from typing import Final

import pandas as pd

from riskadj.digest import digest_of_json
from riskadj.episodes.columns import COLUMNS, Column
from riskadj.episodes.files import Source
from riskadj.episodes.readers import Episodes
from riskadj.errors import FileMissingError, StudyError, did_you_mean

FEWEST_BYTES: Final = 32
"""Of a key: as many as its hash has (RFC 2104, section 3, advises no fewer)."""
_FEWEST_KINDS: Final = 8
"""Of bytes in a key: fewer are a pattern, not chance."""
_SHOWN: Final = 32
"""Hexadecimal digits of a pseudonym: 128 bits, so that no two identifiers share one."""
KEY_SOURCE: Final = "key of the pseudonyms"
"""What the fingerprint of a key is called among the sources of a run."""
NEVER: Final = ("provider_id", "period")
"""Identifiers that are what a report is about."""
_SALT: Final = b"riskadj: fingerprint of a pseudonym key, 1"


@dataclass(frozen=True, repr=False)
class Key:
    """A secret key; nothing that prints it shows it.

    Attributes
    ----------
    secret : bytes
    """

    secret: bytes

    def __repr__(self) -> str:
        return "Key(not shown)"

    @property
    def fingerprint(self) -> str:
        """What two runs with the same key have in common, from which the key cannot be told.

        A slow, salted digest (scrypt, Percival and Josefsson 2016, RFC 7914), so that a key that is
        not wholly random cannot be guessed by the million.
        """
        return scrypt(self.secret, salt=_SALT, n=2**14, r=8, p=1, dklen=32).hex()

    def pseudonym(self, column: str, value: str) -> str:
        """Return the pseudonym of what a column holds; another column has another one for it.

        Examples
        --------
        >>> key = Key(bytes(range(32)))
        >>> key.pseudonym("patient_id", "943 476 5919")
        'c35f49668ad344d8bf087f4135f46dc7'
        """
        message = f"{column}\0{value}".encode()
        return hmac.digest(self.secret, message, "sha256").hex()[:_SHOWN]


def read_key(file: Path | None = None, variable: str | None = None) -> Key:
    """Read a key from a file, as its bytes are, or from a variable of the environment.

    Parameters
    ----------
    file : Path, optional
        A line end after the key is no part of it.
    variable : str, optional
        Its name.

    Raises
    ------
    FileMissingError
        When the file is not there, or cannot be read.
    StudyError
        When neither or both are given, the variable is not set, or the key is too short or a
        pattern. What the key is, or begins with, is never told.
    """
    if (file is None) == (variable is None):
        raise StudyError(
            "data.pseudonymise: wanted a key_file or a key_variable; got "
            f"{'neither' if file is None else 'both'}. Give one of them."
        )
    where = f"data.pseudonymise.key_{'file' if variable is None else 'variable'}"
    secret = _bytes_of(file, where) if file is not None else _bytes_in(str(variable), where)
    _check(secret, where)
    return Key(secret)


def _bytes_of(file: Path, where: str) -> bytes:
    try:
        return file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise FileMissingError(
            f"{where}: wanted a file with the key at {file}; got {error.strerror!r}. Say where "
            "the key is."
        ) from None


def _bytes_in(variable: str, where: str) -> bytes:
    if variable not in os.environ:
        raise StudyError(
            f"{where}: wanted the variable {variable!r} in the environment; it is not set. Set it "
            "to the key."
        )
    return os.environ[variable].encode("utf-8", "surrogateescape").rstrip(b"\r\n")


def _check(secret: bytes, where: str) -> None:
    if len(secret) < FEWEST_BYTES or len(set(secret)) < _FEWEST_KINDS:
        got = f"one of {len(secret)}" if len(secret) < FEWEST_BYTES else "one that repeats itself"
        raise StudyError(
            f"{where}: wanted a key of {FEWEST_BYTES} random bytes or more; got {got}. Make one "
            "with: openssl rand -hex 32"
        )


def pseudonymised(episodes: Episodes, columns: Iterable[str], key: Key) -> Episodes:
    """Return episodes with pseudonyms in place of identifiers.

    The same identifier in the same column has the same pseudonym under the same key, in whatever
    file, so that patients are linked as before; what is not recorded stays so.

    Parameters
    ----------
    episodes : Episodes
    columns : iterable of str
        Columns whose role is identifier; those that the episodes lack are passed over.
    key : Key

    Returns
    -------
    Episodes
        Their sources have the fingerprint of the key, on which their digest then depends.

    Raises
    ------
    StudyError
        When a column is none of the declared identifiers, or is what a report is about.
    """
    columns = tuple(columns)
    for name in columns:
        _check_column(name, episodes.columns)
    table = episodes.table.assign(
        **{
            name: _hashed(episodes.table[name], key)
            for name in columns
            if name in episodes.table.columns
        }
    )
    source = Source(KEY_SOURCE, key.fingerprint, 0)
    digest = digest_of_json([episodes.digest, source.digest, sorted(columns)])
    return replace(episodes, table=table, sources=(*episodes.sources, source), digest=digest)


def _check_column(name: str, present: dict[str, Column]) -> None:
    declared = COLUMNS | present
    known = [one for one, column in declared.items() if column.role == "identifier"]
    known = [one for one in known if one not in NEVER]
    if name not in known:
        raise StudyError(
            f"data.pseudonymise.columns: wanted identifiers ({', '.join(known)}); got {name!r}."
            f"{did_you_mean(name, known)}"
        )


def _hashed(values: pd.Series, key: Key) -> pd.Series:
    distinct = values.dropna().unique()
    hashed = {one: key.pseudonym(str(values.name), str(one)) for one in distinct}
    return values.map(hashed).astype("str")
