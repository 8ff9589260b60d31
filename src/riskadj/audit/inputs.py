"""What a run was made from, found again: its study, its data, its code."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

import riskadj
from riskadj.audit.keys import changed_keys
from riskadj.audit.subject import Subject
from riskadj.audit.verdict import Fault, Found
from riskadj.digest import digest_of_file
from riskadj.errors import (
    ChangedDataError,
    FileMissingError,
    IncompleteError,
    OtherCodeError,
    RiskadjError,
)
from riskadj.report.folder import read_json
from riskadj.report.provenance import (
    digest_of_code,
    digest_of_portable,
    portable_study,
    software,
)
from riskadj.report.words import counted
from riskadj.study import Study, load_study
from riskadj.study.load import DATA_PATHS

_STUDIES = ("*.yaml", "configs/**/*.yaml", "runs/*/*.yaml")
_NEIGHBOURS = ("*.yaml", "*/*.yaml")
_SHOWN = 12


@dataclass(frozen=True)
class Inputs:
    """Where to look for study and data, and what was found.

    Attributes
    ----------
    given : tuple of Path
        Data files, or folders that hold them.
    study : Path, optional
        The study as it was given.
    content : dict
        The study as `study.json` has it, once found; with where its data are, once these are.
    """

    given: tuple[Path, ...] = ()
    study: Path | None = None
    content: dict[str, Any] = field(default_factory=dict)


def check_study(subject: Subject, inputs: Inputs, any_code: bool) -> tuple[Found, Inputs]:
    """Find the study of a run or card, and say whether it is the one.

    Raises
    ------
    FileMissingError, StudyError
        When a study was given that cannot be read.
    """
    wanted = subject.origin.study.digest
    given = None if inputs.study is None else load_study(inputs.study)
    if not subject.is_run:
        return _study_of_card(subject, inputs, given)
    content = read_json(subject.folder / "study.json")
    faults: list[Fault] = []
    if digest_of_portable(content) != wanted or not isinstance(content.get("data"), dict):
        faults.append(_other_study("study.json", subject.folder / "study.json", wanted, ()))
    if given is not None:
        faults.extend(_given_study(given, inputs, content, wanted, any_code))
    known = "" if given is None else f", and so is {inputs.study}"
    return Found(f"study.json is that of the run{known}", tuple(faults)), replace(
        inputs, content=content
    )


def _given_study(
    given: Study, inputs: Inputs, content: Mapping[str, Any], wanted: str, any_code: bool
) -> Iterator[Fault]:
    mine = portable_study(given)
    if digest_of_portable(mine) == wanted:
        return
    keys = [one.key for one in changed_keys(content, mine) if not (any_code and one.is_new)]
    if keys or not any_code:
        yield _other_study(str(inputs.study), inputs.study, wanted, keys)


def _study_of_card(subject: Subject, inputs: Inputs, given: Study | None) -> tuple[Found, Inputs]:
    wanted = subject.origin.study.digest
    found = [given] if given else [*_studies_near(subject)]
    for one in found:
        if digest_of_portable(content := portable_study(one)) == wanted:
            return Found("the study is that of the card"), replace(inputs, content=content)
    if given is not None:
        fault = _other_study(str(inputs.study), inputs.study, wanted, ())
        return Found("the study is another", (fault,)), inputs
    error = IncompleteError(
        f"{subject.path}: wanted the study of this card, {subject.origin.study.name} with digest "
        f"{wanted[:_SHOWN]}; found none beside it or under {Path.cwd()}. Give it with --study."
    )
    return Found("the study is not there", (Fault("the study", error),)), inputs


def _other_study(name: str, path: Path | None, wanted: str, keys: Sequence[str]) -> Fault:
    told = f" Other keys: {', '.join(keys)}." if keys else ""
    return Fault(
        name,
        ChangedDataError(
            f"{path}: wanted the study that the run was made from, with digest {wanted[:_SHOWN]}; "
            f"got another.{told} Use the study as it was."
        ),
    )


def _studies_near(subject: Subject) -> Iterator[Study]:
    """Yield studies of this name from beside the subject and from here."""
    mark = f"name: {subject.origin.study.name}"
    near = [*_globbed(subject.folder.parent, _NEIGHBOURS), *_globbed(Path.cwd(), _STUDIES)]
    for path in dict.fromkeys(near):
        try:
            if mark in path.read_text(encoding="utf-8").replace('"', ""):
                yield load_study(path)
        except (OSError, UnicodeDecodeError, RiskadjError):
            continue


def _globbed(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(one.resolve() for one in folder.glob(pattern))


def check_data(subject: Subject, inputs: Inputs) -> tuple[Found, Inputs]:
    """Find every data file of a run, and say whether it is the one.

    Looked for among the files and folders given; where a study of this name says; beside the run
    folder, in the folders there, and in the current folder.

    Raises
    ------
    FileMissingError
        When what was given is not there.
    """
    search = _Search(subject, inputs)
    content = json.loads(json.dumps(inputs.content))
    faults: list[Fault] = []
    for owner, key in DATA_PATHS:
        place = content["data"].get(owner) if owner else content["data"]
        if place is not None and place.get(key) is not None:
            place[key] = _found_each(place[key], search, faults)
    number = search.sound
    verb = "is what" if number == 1 else "are what"
    told = f"{counted(number, 'data file')} {verb} the run read"
    return Found(told, tuple(faults)), replace(inputs, content=content)


def _found_each(value: Any, search: "_Search", faults: list[Fault]) -> Any:
    if isinstance(value, list):
        return [_found_each(one, search, faults) for one in value]
    found = search(Path(value).name)
    if isinstance(found, Fault):
        faults.append(found)
        return value
    return str(found)


class _Search:
    """Finds files by their names and digests; of files of one name, in the order of the run."""

    def __init__(self, subject: Subject, inputs: Inputs) -> None:
        self.subject = subject
        self.given = inputs.given
        for one in inputs.given:
            if not one.exists():
                raise FileMissingError(
                    f"--data {one}: wanted a data file, or a folder that holds it; got nothing "
                    "there. Check the path."
                )
        studies = [load_study(inputs.study)] if inputs.study else _studies_near(subject)
        self.told = [path for one in studies for path in _paths_in(one)]
        self.wanted: dict[str, list[str]] = {}
        for source in subject.origin.data:
            self.wanted.setdefault(source.name, []).append(source.digest)
        self.sound = 0

    def __call__(self, name: str) -> Path | Fault:
        """Return the file, or why there is none."""
        candidates = list(dict.fromkeys(one.resolve() for one in self._candidates(name)))
        if not candidates:
            return Fault(name, self._nowhere(name))
        digests = self.wanted.get(name)
        if not digests or candidates[0].is_dir():
            return candidates[0]
        wanted = digests.pop(0) if len(digests) > 1 else digests[0]
        got = {one: digest_of_file(one) for one in candidates if one.is_file()}
        for path, digest in got.items():
            if digest == wanted:
                self.sound += 1
                return path
        return Fault(name, _other_data(got, wanted))

    def _candidates(self, name: str) -> Iterator[Path]:
        for one in self.given:
            if one.is_dir():
                yield from sorted(one.rglob(escape(name)))
            elif one.name == name:
                yield one
        yield from (one for one in self.told if one.name == name and one.exists())
        above = self.subject.folder.resolve().parent
        near = [above / name, *sorted(above.glob(f"*/{escape(name)}")), Path.cwd() / name]
        yield from (one for one in near if one.exists())

    def _nowhere(self, name: str) -> IncompleteError:
        places = ", ".join([f"beside {self.subject.folder}", *(f"in {one}" for one in self.given)])
        return IncompleteError(
            f"{name}: wanted this data file of the run; got none {places}, or where a study of "
            "this name says. Say where it is with --data PATH."
        )


def _other_data(got: Mapping[Path, str], wanted: str) -> ChangedDataError:
    path, digest = next(iter(got.items()))
    return ChangedDataError(
        f"{path}: wanted the data that the run was made from, with digest {wanted[:_SHOWN]}; got "
        f"{digest[:_SHOWN]}. Say where the data are with --data PATH, if these are others."
    )


def _paths_in(study: Study) -> Iterator[Path]:
    for owner, key in DATA_PATHS:
        place = getattr(study.data, owner) if owner else study.data
        value = getattr(place, key, None)
        yield from value if isinstance(value, tuple) else [value] if value else []


def check_code(subject: Subject, any_code: bool) -> Found:
    """Say whether the code that is installed here is that of the run, and the packages are."""
    wanted, got = subject.origin.code, digest_of_code()
    packages = _other_packages(subject)
    beside = f"; other packages: {', '.join(packages)}" if packages else ""
    if got == wanted.digest:
        return Found(f"riskadj {riskadj.__version__} is the code of the run{beside}")
    told = (
        f"riskadj {wanted.version} with digest {wanted.digest[:_SHOWN]}; here is "
        f"{riskadj.__version__} with digest {got[:_SHOWN]}"
    )
    if any_code:
        return Found(f"made by {told}, as --any-code allows{beside}")
    error = OtherCodeError(
        f"{subject.path}: wanted the code of the run, {told}. Install that version, or say "
        "--any-code to compare figures to a tolerance."
    )
    return Found("the code is another", (Fault("the code", error),))


def is_same_software(subject: Subject) -> bool:
    """Whether code, Python and packages are those of the run."""
    same = subject.origin.code.digest == digest_of_code()
    return same and subject.origin.environment.model_dump() == software()


def _other_packages(subject: Subject) -> list[str]:
    old, new = subject.origin.environment, software()
    before = {"python": old.python, **old.packages}
    now = {"python": new["python"], **new["packages"]}
    return [
        f"{name} {before.get(name, 'none')} then, {now.get(name, 'none')} here"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    ]
