"""What a simulated world is made from: every setting that its truth depends on, none hidden."""

import re
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from riskadj.study.load import build, read_yaml
from riskadj.study.records import Record

PERIOD = r"^\d{4}(/\d{2})?$"
"""A calendar year such as 2021, or a year from April such as 2021/22."""


class Providers(Record):
    """Who treats the patients, how much they differ, and in what."""

    number: int = Field(ge=5, le=999, description="how many providers")
    volume_spread: float = Field(
        ge=0, le=3, description="SD of the logarithm of a provider's volume; 0 = all alike"
    )
    effect_sd: float = Field(
        ge=0,
        le=10,
        description="SD of true effects on the outcome, Oxford points on the latent scale",
    )
    cost_effect_sd: float = Field(
        ge=0, le=1, description="SD of true effects on cost, on the log scale; 0.05 is about 5 %"
    )
    severity_sd: float = Field(
        ge=0,
        lt=1,
        description="SD of providers' mean patient frailty, in SD of patients; joints are worse "
        "there too",
    )
    confounding: float = Field(
        ge=-1,
        le=1,
        description="correlation of a provider's severity with its true effect on the outcome; "
        "negative: frailer patients go to worse providers",
    )


class FollowUp(Record):
    """Who does not answer the second questionnaire, and what that depends on.

    Each `by_*` adds to the log-odds of not answering. All but `by_outcome` depend on what is
    known before (missing at random); `by_outcome` depends on what would have been answered.
    """

    missing: float = Field(
        ge=0, le=0.9, description="share of episodes without a second questionnaire"
    )
    unsent: float = Field(
        ge=0, le=0.9, description="share never sent one, by chance; a part of `missing`"
    )
    by_baseline: float = Field(description="log-odds per SD of worse health before")
    by_age: float = Field(description="log-odds per SD (9.2 years) of younger age")
    by_depression: float = Field(description="log-odds for those with depression")
    by_outcome: float = Field(description="log-odds per SD of worse health after")
    by_provider: float = Field(ge=0, description="SD of the log-odds between providers")

    @model_validator(mode="after")
    def _unsent_is_a_part(self) -> "FollowUp":
        if self.unsent > self.missing:
            raise ValueError(f"wanted unsent up to missing ({self.missing:g}); got {self.unsent:g}")
        return self


class Gaps(Record):
    """Answers left blank, by chance."""

    casemix: float = Field(
        ge=0, le=0.9, description="share of blanks in every case-mix column that may have them"
    )
    items: float = Field(ge=0, le=0.9, description="share of single Oxford and EQ-5D answers")
    eqvas: float = Field(ge=0, le=0.9, description="share of EQ VAS answers")


class Scenario(Record):
    """One world: its truth, and what of it can be seen.

    Examples
    --------
    >>> scenario = demo_scenario()
    >>> scenario.procedure_group, scenario.providers.number
    ('HIP_PRIM', 60)
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(ge=0, description="same seed and settings, same world")
    procedure_group: Literal["HIP_PRIM", "KNEE_PRIM"] = Field(
        description="HIP_PRIM is asked the Oxford Hip Score, KNEE_PRIM the Oxford Knee Score"
    )
    periods: tuple[str, ...] = Field(
        min_length=1, description="in order; calendar years (2021) or years from April (2021/22)"
    )
    episodes_per_period: int = Field(ge=1, le=5_000_000, description="episodes")
    drift: float = Field(
        ge=-5, le=5, description="Oxford points by which outcomes change from period to period"
    )
    providers: Providers
    follow_up: FollowUp
    gaps: Gaps

    @field_validator("periods", mode="before")
    @classmethod
    def _as_text(cls, periods: object) -> object:
        if not isinstance(periods, (list, tuple)):
            return periods
        return [str(one) if isinstance(one, int) else one for one in periods]

    @field_validator("periods")
    @classmethod
    def _are_years(cls, periods: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [one for one in periods if not re.match(PERIOD, one)]
        if wrong:
            raise ValueError(f"wanted periods such as 2021 or 2021/22; got {', '.join(wrong)}")
        if len(set(periods)) < len(periods):
            raise ValueError(f"wanted each period once; got {', '.join(periods)}")
        return periods

    @property
    def episodes(self) -> int:
        """How many episodes there are in all periods."""
        return self.episodes_per_period * len(self.periods)


def load_scenario(path: str | Path, overrides: Iterable[str] = ()) -> Scenario:
    """Read a scenario, apply `key=value` overrides, and check all of it.

    Parameters
    ----------
    path : str or Path
        A YAML 1.2 file.
    overrides : iterable of str
        Such as `providers.effect_sd=0`; the value is YAML.

    Raises
    ------
    FileMissingError, StudyError
        One line that names the file, the line and the key.
    """
    return build(Scenario, read_yaml(path), str(path), overrides)


def demo_scenario() -> Scenario:
    """Return the scenario that comes with the package.

    Examples
    --------
    >>> demo_scenario().periods
    ('2021', '2022', '2023')
    """
    with as_file(files("riskadj.simulate") / "demo.yaml") as path:
        return load_scenario(path)
