"""What ARCHITECTURE.md, CONTRIBUTING.md, CHANGELOG.md and the README say of the code is so."""

import ast
import re
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import riskadj
from riskadj import errors
from riskadj.cli.app import app
from riskadj.errors import RiskadjError

ROOT = Path(riskadj.__file__).parents[2]
CODE = ROOT / "src" / "riskadj"
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "README.md", "SECURITY.md")
}
ARCHITECTURE = TEXTS["ARCHITECTURE.md"]
PROSE = " ".join(ARCHITECTURE.split())
FILES = tuple(CODE.rglob("*.py"))
PACKAGES = sorted(
    one.name + "/" * one.is_dir()
    for one in CODE.iterdir()
    if (one.suffix == ".py" and not one.name.startswith("__")) or (one / "__init__.py").is_file()
)
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = SETTINGS["tool"]["importlinter"]["contracts"]


def tables(text: str) -> list[list[list[str]]]:
    """Return the tables of a text: rows of cells, without what is above them."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [[line.strip("|").split(" | ") for line in one.splitlines()] for one in found]
    return [one[2:] for one in rows]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def test_every_package_and_module_has_its_row_and_every_row_its_package() -> None:
    rows = [quoted(row[0])[0] for row in tables(ARCHITECTURE)[0]]
    assert sorted(rows) == PACKAGES


@pytest.mark.parametrize("row", tables(ARCHITECTURE)[0], ids=lambda row: quoted(row[0])[0])
def test_a_package_makes_the_nouns_of_its_row(row: list[str]) -> None:
    """Each is a class of the package, or one that it takes from below."""
    place = CODE / quoted(row[0])[0]
    files = place.rglob("*.py") if place.is_dir() else [place]
    known = {
        one.name
        for path in files
        for one in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(one, (ast.ClassDef, ast.alias))
    }
    assert set(quoted(row[2])) <= known


def layers() -> list[set[str]]:
    told = re.search(r"Imports go down only: (.*?) \(", PROSE)
    assert told
    return [set(one.split(" | ")) for one in told[1].split(" > ")]


def test_the_layers_told_are_those_that_the_linter_holds_to() -> None:
    held = next(one["layers"] for one in CONTRACTS if one["type"] == "layers")
    assert layers() == [set(one.replace("riskadj.", "").split(" : ")) for one in held]


def test_every_package_and_module_is_in_a_layer() -> None:
    assert sorted(one for layer in layers() for one in layer) == sorted(
        one.removesuffix("/").removesuffix(".py") for one in PACKAGES
    )


# Who knows what -----------------------------------------------------------------------------------


def importers(package: str) -> set[Path]:
    """Return the files that import a package, at once or when they need it."""
    return {path for path in FILES if package in imported(path)}


@cache
def imported(path: Path) -> set[str]:
    found = set()
    for one in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(one, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in one.names}
        elif isinstance(one, ast.ImportFrom) and not one.level:
            found.add(str(one.module).partition(".")[0])
    return found


ONLY = re.findall(r"[Oo]nly `(\w+)` imports (\w+)", PROSE)
ONLY_FILES = re.findall(r"`(\w+\.py)` is the only file that (?:knows|opens) (\w+)", PROSE)


def test_the_sentences_on_who_knows_what_are_found() -> None:
    assert {"mlflow", "shap", "lightgbm"} <= {package for _, package in ONLY}
    assert {"numba", "DuckDB"} <= {package for _, package in ONLY_FILES}


@pytest.mark.parametrize(("ours", "package"), ONLY)
def test_only_that_one_imports_a_package(ours: str, package: str) -> None:
    found = importers(package)
    assert found
    assert all(one.is_relative_to(CODE / ours) for one in found)
    contract = next(one for one in CONTRACTS if package in one.get("forbidden_modules", ()))
    assert f"riskadj.{ours}" not in contract["source_modules"]


@pytest.mark.parametrize(("name", "package"), ONLY_FILES)
def test_only_that_file_imports_a_package(name: str, package: str) -> None:
    assert {one.name for one in importers(package.lower())} == {name}


@pytest.mark.parametrize("package", ["pandas", "sklearn"])
def test_stats_imports_neither_pandas_nor_scikit_learn(package: str) -> None:
    assert "`stats` imports neither pandas nor scikit-learn" in PROSE
    assert not any(one.is_relative_to(CODE / "stats") for one in importers(package))


# Names of files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table", tables(ARCHITECTURE)[1:], ids=lambda table: quoted(table[0][0])[0]
)
def test_the_files_of_a_table_lie_in_one_package(table: list[list[str]]) -> None:
    names = [name for row in table for name in quoted(row[0])]
    folders = {one.parent for one in FILES}
    assert any(all((folder / name).exists() for name in names) for folder in folders), names


def exists(name: str) -> bool:
    """Whether something lies there: from here, from the code, or of that name anywhere in it."""
    if any((base / name).exists() for base in (ROOT, CODE, CODE / "report")):
        return True
    return "/" not in name.rstrip("/") and any(CODE.rglob(name.rstrip("/")))


NAMES = {
    text: sorted(
        {one for one in quoted(TEXTS[text]) if re.fullmatch(r"[\w./]+(\.py|\.md|/)|tests/\w+", one)}
    )
    for text in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
}


@pytest.mark.parametrize("text", NAMES)
def test_every_file_and_folder_that_is_named_is_there(text: str) -> None:
    assert NAMES[text]
    assert [one for one in NAMES[text] if not exists(one)] == []


@pytest.mark.parametrize("text", TEXTS)
def test_whatever_is_said_to_be_made_can_be_made(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    told = re.findall(r"`make ([a-z]+)`|^    make ([a-z]+)", TEXTS[text], re.MULTILINE)
    assert {one or other for one, other in told} <= targets


# What others build on -----------------------------------------------------------------------------


def test_the_changes_begin_with_the_present_version() -> None:
    first = re.search(r"^## (\S+)", TEXTS["CHANGELOG.md"], re.MULTILINE)
    assert first
    assert first[1] == riskadj.__version__


@pytest.mark.parametrize(
    "name", re.findall(r"`(riskadj[\w.]*)\.__all__`", TEXTS["CONTRIBUTING.md"])
)
def test_names_to_build_on_exist(name: str) -> None:
    module = import_module(name)
    assert module.__all__
    assert all(hasattr(module, one) for one in module.__all__)


def verbs() -> set[str]:
    commands = {str(one.callback.__name__) for one in app.registered_commands if one.callback}
    return commands | {str(one.typer_instance.info.name) for one in app.registered_groups}


@pytest.mark.parametrize("text", TEXTS)
def test_every_verb_that_is_named_is_one(text: str) -> None:
    told = re.findall(r"`riskadj ([a-z]+)|^    riskadj ([a-z]+)", TEXTS[text], re.MULTILINE)
    assert {one or other for one, other in told} <= verbs()


def test_the_readme_has_every_verb() -> None:
    told = set(re.findall(r"^    riskadj ([a-z]+)", TEXTS["README.md"], re.MULTILINE))
    assert told == verbs()


def test_the_readme_has_every_exit_code() -> None:
    section = TEXTS["README.md"].partition("## Errors")[2].partition("\n## ")[0]
    told = {int(one) for one in re.findall(r"\| (\d+) \|", section)}
    ours = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, RiskadjError) and one is not RiskadjError
    }
    assert told == ours | {2, 70, 130}
