"""Where the episodes of a study are, and how they are read."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from riskadj.claims import ClaimRules
from riskadj.episodes.columns import Column
from riskadj.record import Record


class ValueSetChoice(Record):
    """Which value sets turn EQ-5D answers into an index."""

    folder: Path = Field(
        description="of value-set tables, laid out as in the R package eq5d: TTO.csv, VAS.csv, "
        "VT.csv, CW.csv.gz, RCW.csv.gz, references.csv"
    )
    EQ5D3L: str | None = Field(None, description="its id, such as EQ-5D-3L/TTO/Germany")
    EQ5D5L: str | None = Field(None, description="its id, such as EQ-5D-5L/VT/England")

    @property
    def chosen(self) -> dict[str, str]:
        """The id of the value set of each instrument that has one."""
        return {one: name for one in ("EQ5D3L", "EQ5D5L") if (name := getattr(self, one))}


class PseudonymRules(Record):
    """Which identifiers become keyed hashes when they are read, and where the key is."""

    columns: tuple[str, ...] = Field(
        ("patient_id", "episode_id"),
        min_length=1,
        description="whose role is identifier; not provider_id and period, which reports are about",
    )
    key_file: Path | None = Field(
        None, description="of 32 random bytes or more, kept apart from data and results"
    )
    key_variable: str | None = Field(
        None, description="of the environment, in place of a file: its name, not the key"
    )

    @model_validator(mode="after")
    def _one_key(self) -> "PseudonymRules":
        if (self.key_file is None) == (self.key_variable is None):
            raise ValueError(
                "wanted one of key_file and key_variable; got "
                f"{'neither' if self.key_file is None else 'both'}"
            )
        return self


class Data(Record):
    """Where the episodes are, and how to read them."""

    format: Literal["nhs_proms", "sparcs", "csv", "parquet", "redcap", "fhir", "claims"] = Field(
        description="nhs_proms: record files as NHS England publishes them; sparcs: New York's "
        "de-identified inpatient discharges; csv (plain, .gz or "
        ".zip) and parquet: the canonical episode table; redcap: exports of a REDCap project; "
        "fhir: R4 bundles of questionnaire responses; claims: claim lines, with patients and "
        "questionnaires beside them"
    )
    paths: tuple[Path, ...] = Field(
        min_length=1,
        description="files (of parquet also folders of files); relative to the study file, or to "
        "here when set by --set",
    )
    period_from: Literal["period", "calendar_year", "financial_year_april"] = Field(
        "period", description="the column `period`, or the year of `index_date`"
    )
    mapping: Path | None = Field(
        None, description="redcap and fhir: the file that says which answer is which column"
    )
    rename: dict[str, str] = Field({}, description="their column name: ours")
    columns: tuple[Column, ...] = Field((), description="declarations of further columns")
    value_sets: ValueSetChoice | None = Field(
        None, description="of EQ-5D, by country and version; none for EQ5D3L_UK_TTO"
    )

    claims: ClaimRules | None = Field(None, description="claims: how lines become episodes")
    participation: tuple[Path, ...] = Field(
        (),
        description="of the periods compared: NHS England's files of participation, linkage, "
        "issue and response",
    )
    pseudonymise: PseudonymRules | None = Field(
        None, description="identifiers to replace by pseudonyms when read; null: none"
    )

    @model_validator(mode="after")
    def _mapped_where_needed(self) -> "Data":
        if (self.format in ("redcap", "fhir")) != (self.mapping is not None):
            raise ValueError(
                "wanted a mapping with formats redcap and fhir, and none with others; got "
                f"{'none' if self.mapping is None else 'one'} with {self.format}"
            )
        return self

    @model_validator(mode="after")
    def _claims_have_rules(self) -> "Data":
        if (self.format == "claims") != (self.claims is not None):
            raise ValueError(
                "wanted claims (their rules) with format claims, and none with others; got "
                f"{'none' if self.claims is None else 'some'} with {self.format}"
            )
        if self.claims is not None and self.period_from == "period":
            raise ValueError(
                "wanted period_from calendar_year or financial_year_april with format claims, "
                "which have dates and no periods; got period"
            )
        if self.claims is not None and self.rename:
            raise ValueError("wanted rename under data.claims with format claims; got data.rename")
        return self
