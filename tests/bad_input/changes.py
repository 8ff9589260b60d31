"""What is done to a good file to make it a bad one; each returns a change of a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from riskadj.digest import digest_of_file

Change = Callable[[Path], object]
STUDY = "study.yaml"


def nothing(_: Path) -> None:
    """Change nothing: the verb, or a setting, is what is wrong."""


def key(where: str, value: Any, file: str = STUDY) -> Change:
    """Set a key, such as `data.paths.0`, of a file that is JSON."""

    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        inside, last = _inside(content, where)
        inside[last] = value
        _write(folder / file, json.dumps(content, indent=1))

    return change


def drop(where: str, file: str = STUDY) -> Change:
    """Take a key out of a file that is JSON."""

    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        inside, last = _inside(content, where)
        del inside[last]
        _write(folder / file, json.dumps(content, indent=1))

    return change


def text(file: str, old: str, new: str) -> Change:
    """Put another text in the place of the first such text."""

    def change(folder: Path) -> None:
        content = (folder / file).read_text(encoding="utf-8")
        assert old in content
        _write(folder / file, content.replace(old, new, 1))

    return change


def raw(file: str, content: bytes | str | Callable[[bytes], bytes]) -> Change:
    """Put other bytes in the place of a file's, or make them of the file's."""

    def change(folder: Path) -> None:
        path = folder / file
        new = content(path.read_bytes()) if callable(content) else content
        path.write_bytes(new.encode() if isinstance(new, str) else new)

    return change


def gone(file: str) -> Change:
    """Remove a file."""
    return lambda folder: (folder / file).unlink()


def folder_instead(file: str) -> Change:
    """Put a folder in the place of a file."""

    def change(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return change


def cell(file: str, column: str, value: object, row: int = 1) -> Change:
    """Set a cell of a CSV file; rows count from 0."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return of_table(file, change)


def every(file: str, column: str, value: object) -> Change:
    """Set all cells of a column of a CSV file."""
    return of_table(file, lambda table: table.assign(**{column: value}))


def without(file: str, *columns: str) -> Change:
    """Take columns out of a CSV file."""
    return of_table(file, lambda table: table.drop(columns=list(columns)))


def named(file: str, old: str, new: str) -> Change:
    """Give a column of a CSV file another name."""
    return of_table(file, lambda table: table.rename(columns={old: new}))


def of_table(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    """Change the table that a CSV file holds; all cells are text."""

    def apply(folder: Path) -> None:
        path = folder / file
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        change(table).to_csv(path, index=False)

    return apply


def of_parquet(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    """Change the table that a Parquet file holds."""

    def apply(folder: Path) -> None:
        change(pd.read_parquet(folder / file)).to_parquet(folder / file, index=False)

    return apply


def both(*changes: Change) -> Change:
    """Do several changes, one after another."""

    def apply(folder: Path) -> None:
        for one in changes:
            one(folder)

    return apply


def resealed(change: Change, folder: str = "run") -> Change:
    """Change a file of a run and write down the new digests, as who may write there could."""

    def apply(home: Path) -> None:
        change(home)
        mark = home / folder / "provenance.json"
        content = json.loads(mark.read_text(encoding="utf-8"))
        for name in content["files"]:
            if (home / folder / name).is_file():
                content["files"][name] = digest_of_file(home / folder / name)
        _write(mark, json.dumps(content))

    return apply


def resealed_model(change: Change) -> Change:
    """Change a file of a saved model and write down its new digest."""

    def apply(home: Path) -> None:
        change(home)
        folder = home / "model"
        files = [one for one in folder.iterdir() if one.name != "digests.json"]
        digests = {one.name: digest_of_file(one) for one in files}
        _write(folder / "digests.json", json.dumps(digests))

    return apply


def _inside(content: Any, where: str) -> tuple[Any, Any]:
    *steps, last = (int(one) if one.isdigit() else one for one in where.split("."))
    for step in steps:
        content = content[step]
    return content, last


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
