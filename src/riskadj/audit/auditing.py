"""Whether a run or a card holds: its files, what it was made from, and what comes out again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from riskadj.audit.again import OnLine, run_again
from riskadj.audit.figures import TOLERANCE, compare_folders
from riskadj.audit.files import check_files, without_files
from riskadj.audit.inputs import Inputs, check_code, check_data, check_study, is_same_software
from riskadj.audit.journals import NO_LOG, check_journal
from riskadj.audit.subject import CARD, Subject, open_subject
from riskadj.audit.verdict import Audit, Fault, Found, OnStep, Step
from riskadj.errors import ChangedFileError, IncompleteError, NotRederivedError
from riskadj.report.folder import MARK, files_in

_NOT_ASKED = "not done, as asked"
_BEFORE = "not done, as something above does not hold"


def audit_run(
    subject: str | Path,
    data: Iterable[str | Path] = (),
    study: str | Path | None = None,
    *,
    digest: str | None = None,
    any_code: bool = False,
    within: float | None = None,
    rerun: bool = True,
    on_step: OnStep | None = None,
    on_line: OnLine | None = None,
) -> Audit:
    """Say whether a run or a card holds: check its files and inputs, and derive it again.

    Parameters
    ----------
    subject : str or Path
        A run folder; a card by its file, under whatever name, of which nothing beside it is looked
        at; or the folder that a card was published in, with its renderings and figures.
    data : iterable of str or Path
        Data files, or folders that hold them; without them, they are looked for where the study
        says, beside the run folder and in the current folder.
    study : str or Path, optional
        The study's own file. A run folder has a copy; of a card it is looked for.
    digest : str, optional
        Of the run or its seal, kept elsewhere: 16 hexadecimal signs or more.
    any_code : bool
        Go on where the installed code is not that of the run; figures are then compared to a
        tolerance.
    within : float, optional
        Compare figures to this tolerance instead of byte for byte. With other code or packages
        it is 1e-9 unless given.
    rerun : bool
        False derives nothing again.
    on_step, on_line : callable, optional
        Told of each step, and of the fresh run's progress.

    Returns
    -------
    Audit

    Raises
    ------
    FileMissingError, FileFormatError
        When there is no run or card, or one of a newer version, or a log of such.
    ChangedFileError
        When the record that names all others is gone or cannot be read.
    StudyError, ValuesError
        When the study or the digest that was given is none.

    Notes
    -----
    A run folder proves nothing by itself: who rewrites files, `provenance.json` and its seal
    passes the first step. What then still has to hold is that the study in the folder gives its
    figures from data with the digests that it names. So an attacker without the data cannot change
    a figure, and one with other data, or another study, can only pass off the run of those. Times
    can be changed by anyone, as no run gives the same ones again. A copy of the digest that was
    kept elsewhere rules all of that out for the folder (the seal), or for all that comes out again
    (the digest of the run). The log beside a folder (`riskadj.journal`) knows the seals of all
    runs that were made there: it has to be rewritten too.

    Examples
    --------
    >>> audit_run("runs/demo", rerun=False).answer  # doctest: +SKIP
    'Holds as far as was looked: no figure was derived again.'
    """
    opened = open_subject(subject)
    trail = _Trail(on_step or (lambda _: None))
    inputs = Inputs(tuple(map(Path, data)), None if study is None else Path(study))
    trail.take("files", lambda: check_files(opened, digest))
    faulty = {one.name for one in trail.faults}
    if opened.is_run:
        _look_up(opened, trail, is_known=MARK not in faulty)
    if faulty & {MARK, opened.path.name, "study.json"}:
        trail.leave("study", "data")
    else:
        inputs = trail.carry("study", lambda: check_study(opened, inputs, any_code), inputs)
        if inputs.content:
            inputs = trail.carry("data", lambda: check_data(opened, inputs), inputs)
    if faulty & {MARK, opened.path.name}:
        trail.leave("code")
    else:
        trail.take("code", lambda: check_code(opened, any_code))
    _derive(opened, inputs, trail, within, rerun, on_line or (lambda _: None))
    return Audit(
        opened.path, tuple(trail.steps), tuple(trail.faults), opened.origin.seal, opened.origin.run
    )


def _look_up(subject: Subject, trail: "_Trail", *, is_known: bool) -> None:
    """Look a run up in the log beside it, where there is one."""
    if not is_known:
        trail.leave("journal")
    elif (found := check_journal(subject)) is None:
        trail.tell(Step("journal", "not done", NO_LOG))
    else:
        trail.take("journal", lambda: found)


@dataclass
class _Trail:
    """The steps so far, and what they found."""

    on_step: OnStep
    steps: list[Step] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def take(self, name: str, look: Callable[[], Found]) -> None:
        """Take a step."""
        found = look()
        told = "\n".join(str(one.error) for one in found.faults) or found.told
        self.faults.extend(found.faults)
        self.tell(Step(name, "fails" if found.faults else "holds", told))

    def carry(self, name: str, look: Callable[[], tuple[Found, Inputs]], inputs: Inputs) -> Inputs:
        """Take a step that finds something that the next one needs."""
        kept = [inputs]

        def alone() -> Found:
            found, kept[0] = look()
            return found

        self.take(name, alone)
        return kept[0]

    def leave(self, *names: str) -> None:
        """Leave steps out: what they would be held against does not hold itself."""
        for one in names:
            self.tell(Step(one, "not done", _BEFORE))

    def tell(self, step: Step) -> None:
        """Add a step that was taken, or left out."""
        self.steps.append(step)
        self.on_step(step)


def _derive(
    subject: Subject,
    inputs: Inputs,
    trail: _Trail,
    within: float | None,
    rerun: bool,
    on_line: OnLine,
) -> None:
    if trail.faults or not rerun:
        trail.tell(Step("figures", "not done", _BEFORE if trail.faults else _NOT_ASKED))
        return
    if within is None and not is_same_software(subject):
        within = TOLERANCE
    trail.take("figures", lambda: _derived(subject, inputs.content, within, on_line))


def _derived(
    subject: Subject, content: dict[str, Any], within: float | None, on_line: OnLine
) -> Found:
    origin = subject.content if subject.is_run else subject.content["provenance"]
    with TemporaryDirectory(prefix="riskadj-audit-") as place:
        try:
            again = run_again(content, without_files(origin), Path(place), on_line)
        except NotRederivedError as error:
            return Found("", (Fault("the run", error),))
        except IncompleteError as error:
            return Found("", (Fault("a fresh run", error),))
        old = {CARD: subject.path} if subject.is_alone else files_in(subject.folder)
        strangers = [] if subject.is_run else sorted(old.keys() - files_in(again).keys())
        old = {name: path for name, path in old.items() if name not in strangers}
        found = compare_folders(old, again, within)
    if subject.is_alone:
        return _named_as(subject.path.name, found)
    return Found(found.told, (*found.faults, *(_stranger(subject, one) for one in strangers)))


def _named_as(name: str, found: Found) -> Found:
    """Return what was found of a card that alone was looked at, by the name of its file."""
    return found._replace(faults=tuple(one._replace(name=name) for one in found.faults))


def _stranger(subject: Subject, name: str) -> Fault:
    return Fault(
        name,
        ChangedFileError(
            f"{subject.folder / name}: wanted only files that the run wrote; got this one besides. "
            "Take it away."
        ),
        "added",
    )
