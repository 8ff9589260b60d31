"""From a finished run folder to the file that a portal takes; no episode is looked at."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from riskadj.digest import digest_of_file
from riskadj.episodes.files import read_text_table
from riskadj.errors import (
    ColumnError,
    FileMissingError,
    OutputError,
    StudyError,
    ValuesError,
)
from riskadj.report.acts import note_done
from riskadj.report.folder import read_csv, read_json, read_provenance
from riskadj.report.lookup import rows_of
from riskadj.report.portal.skde import (
    Indicator,
    SkdeExport,
    is_organisation_number,
    responders,
    skde_table,
    write_skde,
)
from riskadj.study import Study
from riskadj.study.load import build
from riskadj.study.report import SkdeRules

_READ = ("study.json", "providers.csv")
_MAPPING = ("provider_id", "orgnr")
_NUMBER = r"0*[1-9][0-9]{0,17}"
_SHOWN = 5


@dataclass(frozen=True)
class Exported:
    """What was written, and what was not.

    Attributes
    ----------
    path : Path
    rows, left_out : dict of str to int
        By indicator: rows written; units with fewer episodes than the minimum, or hidden in the
        run.
    periods : tuple of str
        The periods compared, which the rows hold together.
    year : int
        The year that the rows say.
    minimum : int
    notes : tuple of str
        What was added up, and what is doubtful: a line each.
    """

    path: Path
    rows: dict[str, int]
    left_out: dict[str, int]
    periods: tuple[str, ...]
    year: int
    minimum: int
    notes: tuple[str, ...] = ()

    def told(self) -> tuple[str, ...]:
        """Return what to tell whoever uploads the file, a line each.

        Examples
        --------
        >>> made = Exported(Path("a.csv"), {"odi20": 9}, {"odi20": 1}, ("2023",), 2024, 20)
        >>> made.told()[0]
        'wrote a.csv: 2023, as 2024'
        """
        periods, together = ", ".join(self.periods), " together" * (len(self.periods) > 1)
        return (
            f"wrote {self.path}: {periods}{together}, as {self.year}",
            *(
                f"{name}: {_counted(rows, 'row')}, {_counted(self.left_out[name], 'unit')} left "
                f"out (under {self.minimum} episodes, or hidden in the run)"
                for name, rows in self.rows.items()
            ),
            *self.notes,
            "only the portal knows which organisations and indicators it takes: that is not "
            "checked here",
            "in the portal's upload form, choose Komma for columns and Punktum for decimals",
        )


def export_skde(
    folder: Path, out: Path, organisations: Path | None = None, year: int | None = None
) -> Exported:
    """Write the import file of Norway's national portal for quality registries.

    Parameters
    ----------
    folder : Path
        A run folder. Its study has a block `export.skde`.
    out : Path
        A file there is replaced.
    organisations : Path, optional
        A CSV file of `provider_id, orgnr`; goes before the numbers in the study. Providers with
        the same number are one unit: added up, and held against the minimum as their sum.
    year : int, optional
        Of all rows, instead of the study's; from that of the periods compared to this year.

    Raises
    ------
    FileMissingError, FileFormatError
        When the folder holds no finished run, or one that was changed; also when the file of
        organisations cannot be read.
    StudyError
        When the study does not say which outcome is which indicator, or which year it is; also
        when that year is before the periods compared, or has not come.
    ColumnError
        When the file of organisations has other columns.
    ValuesError
        When a provider has no organisation number, one of them is no number, or the portal
        would refuse the file; `faults` of the last has every reason.
    EmptyCohortError
        When an indicator has no unit with episodes enough.
    OutputError
        When the file cannot be written, or would go into the run folder or over the numbers of
        organisations. Nothing is left behind then, nor with any other error.

    Examples
    --------
    >>> export_skde(Path("runs/disc"), Path("skde.csv"), Path("numbers.csv"))  # doctest: +SKIP
    """
    _check_apart(out, folder, organisations)
    study = _study_of(folder)
    rules = _rules_of(study, folder)
    when = _year_of(study, rules, year)
    numbers = _numbers_of(rules, organisations)
    providers = read_csv(folder / "providers.csv", dtype=str, keep_default_na=False)
    made = {
        indicator: skde_table(
            _counted_by_provider(providers, study, outcome),
            Indicator(indicator, rules.type, rules.context),
            numbers,
            year=when,
            minimum=rules.minimum,
        )
        for outcome, indicator in rules.indicators.items()
    }
    table = pd.concat([one.table for one in made.values()], ignore_index=True)
    write_skde(
        table,
        out,
        dict.fromkeys(made, rules.type),
        before=lambda file: note_done(
            "export", folder, f"skde: {out.name}", file=digest_of_file(file)
        ),
    )
    return Exported(
        out,
        {name: len(one.table) for name, one in made.items()},
        {name: one.left_out for name, one in made.items()},
        study.split.test,
        when,
        rules.minimum,
        (*_added_up(made.values()), *_doubts(numbers, list(providers["provider_id"].unique()))),
    )


def _added_up(made: Iterable[SkdeExport]) -> Iterator[str]:
    """Yield, for each organisation of several providers, which they are."""
    together = {number: them for one in made for number, them in one.together.items()}
    for number, them in together.items():
        yield (
            f"{' and '.join(them)} added together as {number}: one organisation number is one "
            "unit, whose sum the minimum is for"
        )


def _doubts(numbers: Mapping[str, int], providers: Sequence[str]) -> Iterator[str]:
    """Yield what the portal does not refuse, and is likely a slip."""
    strange = [one for one in numbers if one not in providers]
    if strange:
        yield (
            f"warning: organisation numbers: wanted providers of the run; got {_some(strange)}, "
            f"not compared there."
        )
    wrong = [
        f"{numbers[one]} ({one})"
        for one in providers
        if one in numbers and not is_organisation_number(numbers[one])
    ]
    if wrong:
        yield (
            f"warning: orgnr: wanted nine digits, the last one their check digit; got "
            f"{_some(wrong)}. The portal refuses numbers that it does not know: look them up."
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _check_apart(out: Path, folder: Path, organisations: Path | None) -> None:
    """Refuse to write over what is read, or into a run folder, which holds a run alone."""
    target = out.resolve()
    if target.is_relative_to(folder.resolve()) or (
        organisations is not None and target == organisations.resolve()
    ):
        raise OutputError(
            f"{out}: wanted a file of its own, outside the run folder; got one that is read or "
            "inside it. Choose another --out."
        )


def _study_of(folder: Path) -> Study:
    """Return the study of a run, if what is read here is what the run wrote."""
    read_provenance(folder, _READ)
    return build(Study, read_json(folder / "study.json"), str(folder / "study.json"))


def _rules_of(study: Study, folder: Path) -> SkdeRules:
    if study.export.skde is None:
        raise StudyError(
            f"{folder}: wanted a study with a block export.skde, which says which outcome is which "
            "indicator; got none. Add it to the study and run it again."
        )
    return study.export.skde


def _year_of(study: Study, rules: SkdeRules, given: int | None) -> int:
    """Return the year of the rows; providers of several periods are compared as one."""
    if given is not None:
        return _possible(given, "--year", study)
    if rules.year is not None:
        return _possible(rules.year, "export.skde.year", study)
    periods = study.split.test
    years = list(dict.fromkeys(str(rules.years.get(one, one)) for one in periods))
    if len(years) > 1:
        raise StudyError(
            f"year: wanted one for the periods compared together; got {', '.join(years)}. Say "
            "which with --year, or run the study for one period, with --set split.test=."
        )
    if not re.fullmatch(r"\d{4}", years[0]):
        raise StudyError(
            f"year: wanted a year for the period {periods[0]}; got {years[0]}. Say which with "
            "--year, or in the study's export.skde.years."
        )
    return _possible(int(years[0]), "export.skde.years", study)


def _possible(year: int, said: str, study: Study) -> int:
    """Return a year in which those who were compared can have been operated or have answered."""
    compared = [int(one[:4]) for one in study.split.test if re.match(r"\d{4}", one)]
    first, last = min(compared, default=0), _this_year()
    if not first <= year <= last:
        raise StudyError(
            f"{said}: wanted a year from {first}, when the period compared begins, to {last}, "
            f"which is this one; got {year}. Correct it."
        )
    return year


def _this_year() -> int:
    return datetime.now(UTC).year


def _counted_by_provider(providers: pd.DataFrame, study: Study, outcome: str) -> pd.DataFrame:
    """Return episodes and responders of each provider; none where they are hidden."""
    (defined,) = (one for one in study.outcomes if one.name == outcome)
    any_learner = study.learners_of(defined)[0].kind  # what is observed is the same for all
    rows = rows_of(providers, outcome=outcome, learner=any_learner)
    n, share = (pd.to_numeric(rows[name]) for name in ("n", "observed"))
    return rows[["provider_id"]].assign(n=n, responders=responders(share, n))


def _numbers_of(rules: SkdeRules, organisations: Path | None) -> dict[str, int]:
    """Return the organisation number of each provider; those of the file go first."""
    numbers = {**rules.organisations}
    if organisations is not None:
        numbers |= _read_organisations(organisations)
    wrong = [f"{number} for {name}" for name, number in numbers.items() if number < 1]
    if wrong:
        raise ValuesError(
            f"export.skde.organisations: wanted organisation numbers; got {_some(wrong)}. Correct "
            "the study and run it again, or give --organisations FILE."
        )
    return numbers


def _read_organisations(path: Path) -> dict[str, int]:
    """Return the number of each provider of a file."""
    if not path.is_file():
        raise FileMissingError(
            f"{path}: wanted a CSV file of {' and '.join(_MAPPING)}; there is none. Check "
            "--organisations."
        )
    table = read_text_table(path, "utf-8-sig")
    for name in _MAPPING:
        if name not in table:
            raise ColumnError(
                f"{path}: wanted the columns {', '.join(_MAPPING)}, with commas between; got "
                f"{', '.join(table.columns)}."
            )
    pairs = table[list(_MAPPING)].apply(lambda one: one.str.strip())
    pairs = pairs[pairs["orgnr"] != ""]
    _refuse_no_numbers(pairs["orgnr"], path)
    numbers = pairs["orgnr"].map(int).groupby(pairs["provider_id"], sort=False)
    twice = numbers.nunique()[lambda many: many > 1].index
    if len(twice):
        raise ValuesError(
            f"{path}: wanted one organisation number for each provider; got several for "
            f"{_some(list(twice))}. Keep one."
        )
    return {str(name): int(number) for name, number in numbers.first().items()}


def _refuse_no_numbers(orgnr: pd.Series, path: Path) -> None:
    wrong = orgnr[~orgnr.str.fullmatch(_NUMBER)]
    if len(wrong):
        found = [f"{text!r} in row {row + 1}" for row, text in wrong.items()]
        raise ValuesError(
            f"{path}: orgnr: wanted organisation numbers, digits alone; got {_some(found)}. "
            f"Correct {'it' if len(found) == 1 else 'them'} there."
        )


def _counted(many: int, noun: str) -> str:
    return f"{many} {noun}{'s' * (many != 1)}"


EXPORTS: Mapping[str, Callable[[Path, Path, Path | None, int | None], Exported]] = MappingProxyType(
    {"skde": export_skde}
)
"""What a run can be exported as, by the name of the format."""
