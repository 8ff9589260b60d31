"""The insurer's view of a world: a claim for everything that was paid, and what is true of it.

The law of cost: a line's amount is lognormal about a median, times what the patient's burden and,
for all care of the episode but what has nothing to do with the procedure, its provider's effect
add on the log scale. How often care is needed hangs on the patient alone, but for readmissions
where the programme has providers differ in them. So at the average provider the mean cost of every
episode is known.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.errors import StudyError
from riskadj.simulate.claim_lines import (
    DRGS,
    PROCEDURES,
    REASONS,
    UNCOUNTED,
    Days,
    Lines,
    Whole,
    end_lines,
    join_lines,
    make_lines,
    number_of,
    numbers_of,
    sum_by_window,
    tabulate_lines,
)
from riskadj.simulate.claim_tables import (
    AFTERCARE_DRG,
    AFTERCARE_REASON,
    BACKGROUND,
    BACKGROUND_SETTINGS,
    BUNDLES,
    COMPLICATING,
    COSTLY,
    EARLIER_STAYS,
    PARTS,
    POST_ACUTE_SETTINGS,
    READMISSION_DRGS,
    READMISSION_REASONS,
    RECORDED,
    SETTINGS,
    STATUSES,
    VISIT_CODES,
    VISIT_REASONS,
    WINDOWS,
    Amount,
    Bundle,
    Care,
)
from riskadj.simulate.latent import Floats, flag, mix
from riskadj.simulate.patients import Patients
from riskadj.simulate.scenario import Claims, Scenario
from riskadj.simulate.streams import stream

YEAR = 365
"""Days for which claims are followed, before and after."""

TAIL = 60
"""Days after that in which there are claims too, as there are in any extract."""

SECOND_TIMING = (0.0, 0.08, 0.12, 0.30, 0.50)
"""When another procedure of the same group comes; see `Care.timing`."""

FRAIL_READMITTED, AGED_READMITTED = 0.30, 0.20
FRAIL_CARED, AGED_CARED = 0.25, 0.35
FRAIL_DYING, AGED_DYING = 0.35, 0.45
"""Loadings of needing a readmission, needing post-acute care, and dying."""

FRAIL_NIGHTS, FRAIL_VISITS = 0.18, 0.15
"""What an SD of frailty adds to the log of nights and of visits."""

FRAIL_COST, AGED_COST, ASA_COST, BMI_COST = 0.03, 0.02, 0.05, 0.06
"""What an SD of frailty and of age, a grade of ASA, and 5 kg/m2 beyond 32 add to the log of every
amount."""

NIGHTS_AFTER_TRANSFER = 3
"""By which a stay with a transfer is longer."""

DIED_IN_HOSPITAL = 0.05
"""Share of deaths within a year that are in the index stay."""

OTHER_HOSPITAL_SHARE = 0.3
"""Share of an index stay's amount that goes to the second hospital after a transfer."""


@dataclass(frozen=True)
class Course:
    """What befalls every patient, before any claim; arrays of shape (n_episodes,).

    Attributes
    ----------
    admitted, discharged : ndarray of datetime64
        Discharge is from the last hospital of the index stay.
    transferred : ndarray of bool
    died : ndarray of datetime64
        NaT for those who live.
    enrolled_from, enrolled_to : ndarray of datetime64
    """

    admitted: Days
    discharged: Days
    transferred: np.ndarray
    died: Days
    enrolled_from: Days
    enrolled_to: Days


@dataclass(frozen=True)
class ClaimsWorld:
    """A world as its claims show it.

    Attributes
    ----------
    lines : DataFrame
        A row per claim line; amounts are hundredths of the currency, exactly.
    patients : DataFrame
        A row per patient, those without an episode too.
    episodes : dict of str to ndarray
        What claims say of the episodes, by canonical column.
    truth : dict of str to ndarray
        What they do not: `cost_expected_<window>d`, the mean at the average provider given
        everything that the patient brings, if the patient lives and stays insured;
        `cost_at_provider_<window>d`, the same at the provider that treated them; `died_after` and
        `left_after`, days from discharge, NaN where neither.
    begins, ends : datetime64
        The first and last day that the claims cover.
    """

    lines: pd.DataFrame
    patients: pd.DataFrame
    episodes: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    begins: np.datetime64
    ends: np.datetime64


@dataclass(frozen=True)
class _Setup:
    """What every kind of care is drawn from."""

    scenario: Scenario
    rules: Claims
    bundle: Bundle
    patients: Patients
    provider: Whole
    community: Whole
    course: Course
    burden: Floats
    effect: Floats
    readmitting: Floats
    hospitals: int

    @property
    def count(self) -> int:
        return len(self.provider)

    @property
    def length(self) -> Whole:
        """Nights of the index stay."""
        return (self.course.discharged - self.course.admitted).astype(np.int64)


@dataclass(frozen=True)
class _Kind:
    """Lines of one kind of care, their mean by episode at the average provider, and when.

    `here` is the mean at the provider that treats, before its effect on amounts; None: the same.
    """

    lines: Lines
    mean: Floats
    timing: tuple[float, ...]
    moved: bool = True
    here: Floats | None = None


def draw_course(scenario: Scenario, patients: Patients, admitted: Days) -> Course:
    """Return what befalls every patient.

    Parameters
    ----------
    scenario : Scenario
        Gives the seed, the procedure and how often what happens; it has claims.
    patients : Patients
    admitted : ndarray of datetime64 of shape (n_episodes,)
        Date of the operation, on which the stay begins.
    """
    rules, bundle = _rules_of(scenario), BUNDLES[scenario.procedure_group]
    rng = stream(scenario.seed, "events_of_life")
    chance = rng.random((5, len(admitted)))
    nights = rng.poisson(bundle.nights * np.exp(FRAIL_NIGHTS * patients.frailty))
    transferred = chance[0] < rules.transfers
    days = np.where(transferred, nights + NIGHTS_AFTER_TRANSFER, nights)
    discharged = admitted + days.astype("timedelta64[D]")
    in_hospital = (chance[1] < DIED_IN_HOSPITAL) & ~transferred & (nights > 0)
    died = _draw_deaths(rng, rules, patients, discharged, in_hospital)
    begins, ends = covered(scenario)
    stayed = rng.integers(1, YEAR + 1, len(admitted)).astype("timedelta64[D]")
    before = rng.integers(1, YEAR, len(admitted)).astype("timedelta64[D]")
    return Course(
        admitted=admitted,
        discharged=discharged,
        transferred=transferred,
        died=died,
        enrolled_from=np.where(chance[3] < rules.late_enrolled, admitted - before, begins),
        enrolled_to=np.where(chance[2] < rules.disenrolled, discharged + stayed, ends),
    )


def _draw_deaths(
    rng: np.random.Generator,
    rules: Claims,
    patients: Patients,
    discharged: Days,
    in_hospital: np.ndarray,
) -> Days:
    """Return when those die who die within a year; NaT of the others."""
    count = len(discharged)
    dying = mix(
        rng.standard_normal(count), (FRAIL_DYING, patients.frailty), (AGED_DYING, patients.age)
    )
    after = np.where(in_hospital, 0, rng.integers(1, YEAR + 1, count)).astype("timedelta64[D]")
    dies = flag(dying, rules.deaths) == 1
    return np.where(dies, discharged + after, np.datetime64("NaT", "D"))


def covered(scenario: Scenario) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last day that the claims of a scenario cover.

    Examples
    --------
    >>> from riskadj.simulate import demo_scenario
    >>> [str(one) for one in covered(demo_scenario())]
    ['2020-01-01', '2025-05-09']
    """
    first = min(np.datetime64(f"{one[:4]}-01-01") for one in scenario.periods)
    last = max(np.datetime64(f"{one[:4]}-12-31") for one in scenario.periods)
    in_april = 91 if "/" in scenario.periods[0] else 0
    longest = 60 + YEAR + TAIL + 10
    return first - np.timedelta64(YEAR + 1, "D"), last + np.timedelta64(in_april + longest, "D")


def draw_claims(
    scenario: Scenario,
    patients: Patients,
    course: Course,
    on_record: dict[str, Floats],
    providers: pd.DataFrame,
    place: Whole,
) -> ClaimsWorld:
    """Return the claims of a world, and what is true of them.

    Parameters
    ----------
    scenario : Scenario
        It has claims.
    patients : Patients
        A patient per episode.
    course : Course
        What befalls them.
    on_record : dict of str to ndarray
        Their comorbidities as their provider records them, by column.
    providers : DataFrame
        As `draw_providers` returns them.
    place : ndarray of shape (n_episodes,)
        Position of the provider of every episode.
    """
    setup = _set_up(scenario, patients, course, providers, place)
    record = _as_bits(on_record)
    stay, fees = _draw_index(setup, record), _draw_fees(setup)
    readmissions, chances = _draw_readmissions(setup)
    kinds = (
        stay, fees, readmissions, _draw_second(setup, readmissions, chances),
        _draw_post_acute(setup), *_draw_visits(setup), _draw_background(setup),
    )  # fmt: skip
    own = join_lines([*(one.lines for one in kinds), *_draw_earlier(setup)])
    own = end_lines(own, _last_days(course))
    own = own.where(own.date >= course.enrolled_from[own.patient])
    others = _draw_others(setup)
    lines = join_lines([own, others])
    names = _name_patients(setup)
    begins, ends = covered(scenario)
    return ClaimsWorld(
        lines=tabulate_lines(
            lines,
            names,
            _name_providers(setup, providers),
            np.concatenate([record, np.zeros(len(names) - setup.count, dtype=np.int64)]),
            setup.rules.currency,
            stream(scenario.seed, "diagnoses"),
        ),
        patients=_tell_patients(setup, names),
        episodes=_describe_episodes(setup, own, stay.lines),
        truth={**_expect(kinds, setup.effect), **_tell_ends(course)},
        begins=begins,
        ends=ends,
    )


def _rules_of(scenario: Scenario) -> Claims:
    if scenario.claims is None:
        raise StudyError(
            f"{scenario.name}: wanted a scenario with claims; got one without. Add claims to it."
        )
    return scenario.claims


def _set_up(
    scenario: Scenario, patients: Patients, course: Course, providers: pd.DataFrame, place: Whole
) -> _Setup:
    rng = stream(scenario.seed, "practices")
    hospitals = scenario.providers.number
    practices = hospitals + rng.integers(0, _practices(hospitals), len(place))
    return _Setup(
        scenario=scenario,
        rules=_rules_of(scenario),
        bundle=BUNDLES[scenario.procedure_group],
        patients=patients,
        provider=place,
        community=practices,
        course=course,
        burden=_burden(patients),
        effect=providers["cost_effect"].to_numpy()[place],
        readmitting=providers["readmission_effect"].to_numpy()[place],
        hospitals=hospitals,
    )


def _practices(hospitals: int) -> int:
    return max(10, hospitals // 2)


def _burden(patients: Patients) -> Floats:
    """Return what the patient adds to the log of every amount."""
    seen = patients.seen
    total = FRAIL_COST * patients.frailty + AGED_COST * patients.age
    total = total + ASA_COST * (seen["asa"] - 2) + BMI_COST * np.maximum(seen["bmi"] - 32, 0) / 5
    for name, weight in COSTLY.items():
        total = total + weight * seen[f"comorb_{name}"]
    return np.asarray(total)


def _as_bits(on_record: dict[str, Floats]) -> Whole:
    bits = np.zeros(len(on_record["comorb_heart"]), dtype=np.int64)
    for place, name in enumerate(COMORBIDITIES):
        bits |= on_record[f"comorb_{name}"].astype(np.int64) << place
    return bits


def _last_days(course: Course) -> Days:
    """Return the day after which a patient has no claims."""
    return np.fmin(course.died, course.enrolled_to)


def _price(
    setup: _Setup, rng: np.random.Generator, amount: Amount, patient: Whole, *, moved: bool = True
) -> Whole:
    """Return amounts of lines in hundredths of the currency."""
    logs = setup.burden[patient] + amount.spread * rng.standard_normal(len(patient))
    if moved:
        logs = logs + setup.effect[patient]
    cents = 100 * setup.rules.price_level * amount.median * np.exp(logs)
    return np.maximum(np.rint(cents), 1).astype(np.int64)


def _mean(setup: _Setup, amount: Amount) -> Floats:
    """Return the mean amount of a line of each patient at the average provider."""
    centre = setup.rules.price_level * amount.median * np.exp(amount.spread**2 / 2)
    return np.asarray(centre * np.exp(setup.burden))


def _draw_days(rng: np.random.Generator, timing: tuple[float, ...], count: int) -> Whole:
    """Return days after discharge."""
    edges = np.array([0, *WINDOWS])
    piece = np.searchsorted(np.cumsum(timing)[:-1], rng.random(count), side="right")
    width = np.diff(edges)[piece]
    return edges[piece] + 1 + np.floor(rng.random(count) * width).astype(np.int64)


def _chance(
    setup: _Setup, share: float, frail: float, aged: float, effect: Floats | float = 0.0
) -> Floats:
    """Return each patient's chance of what a share of patients has at the average provider."""
    latent = frail * setup.patients.frailty + aged * setup.patients.age + effect
    left = np.sqrt(1 - frail**2 - aged**2)
    return np.asarray(ndtr((latent - ndtri(1 - share)) / left))


def _draw_index(setup: _Setup, record: Whole) -> _Kind:
    """Return the index claims; a transfer shares the amount between two hospitals."""
    rng = stream(setup.scenario.seed, "index_stay")
    everybody = np.arange(setup.count)
    cents = _price(setup, rng, setup.bundle.stay, everybody)
    moved = setup.course.transferred
    elsewhere = np.where(moved, np.rint(OTHER_HOSPITAL_SHARE * cents), 0).astype(np.int64)
    length = setup.length
    second = _draw_second_hospitals(setup, rng, elsewhere)
    first = make_lines(
        everybody, -length, setup.course.discharged, cents - elsewhere,
        part=PARTS.index("index"), setting=SETTINGS.index(setup.bundle.setting),
        provider=setup.provider, reason=number_of(setup.bundle.principal, REASONS),
        days=np.where(moved, 1, length), drg=_group_stays(setup, record),
        procedure=number_of(setup.bundle.procedure, PROCEDURES),
        status=_end_stays(setup, rng), recorded=RECORDED["index"],
    )  # fmt: skip
    return _Kind(join_lines([first, second]), _mean(setup, setup.bundle.stay), ())


def _draw_second_hospitals(setup: _Setup, rng: np.random.Generator, cents: Whole) -> Lines:
    """Return the rest of the stays with a transfer, from the same day or the next."""
    who = np.flatnonzero(setup.course.transferred)
    begins = 1 - setup.length + rng.integers(0, 2, setup.count)
    further = 1 + rng.integers(0, setup.hospitals - 1, setup.count)
    return make_lines(
        who, begins[who], setup.course.discharged, cents[who], part=PARTS.index("index"),
        setting=SETTINGS.index("inpatient"),
        provider=((setup.provider + further) % setup.hospitals)[who],
        reason=number_of(AFTERCARE_REASON, REASONS), days=-begins[who],
        drg=number_of(AFTERCARE_DRG, DRGS), status=STATUSES.index("home"),
        recorded=RECORDED["stay"],
    )  # fmt: skip


def _group_stays(setup: _Setup, record: Whole) -> Whole:
    """Return the group of every stay, as coded at discharge."""
    if not setup.bundle.drgs:
        return np.zeros(setup.count, dtype=np.int64)
    complicating = sum(1 << COMORBIDITIES.index(one) for one in COMPLICATING)
    dear, plain = numbers_of(setup.bundle.drgs, DRGS)
    return np.where(record & complicating, dear, plain)


def _end_stays(setup: _Setup, rng: np.random.Generator) -> Whole:
    if not setup.bundle.drgs:
        return np.full(setup.count, STATUSES.index(""))
    elsewhere = rng.random(setup.count) < setup.bundle.post_acute.share / 4
    return np.select(
        [setup.course.died == setup.course.discharged, setup.course.transferred, elsewhere],
        [STATUSES.index("died"), STATUSES.index("transfer"), STATUSES.index("other")],
        default=STATUSES.index("home"),
    )


def _draw_fees(setup: _Setup) -> _Kind:
    """Return what the surgeon and another doctor bill on the day of the operation."""
    rng = stream(setup.scenario.seed, "fees")
    everybody = np.repeat(np.arange(setup.count), 2)
    half = Amount(setup.bundle.surgeon.median / 2, setup.bundle.surgeon.spread)
    length = setup.length
    procedure = np.where(
        np.arange(len(everybody)) % 2, 0, number_of(setup.bundle.procedure, PROCEDURES)
    )
    lines = make_lines(
        everybody, -length[everybody], setup.course.discharged,
        _price(setup, rng, half, everybody), part=PARTS.index("professional"),
        setting=SETTINGS.index("professional"), provider=setup.provider[everybody],
        reason=number_of(setup.bundle.principal, REASONS), procedure=procedure,
    )  # fmt: skip
    return _Kind(lines, 2 * _mean(setup, half), ())


def _draw_readmissions(setup: _Setup) -> tuple[_Kind, tuple[Floats, Floats]]:
    """Return readmissions, and everybody's chance within a year: on average, and here."""
    rng = stream(setup.scenario.seed, "readmissions")
    care = setup.bundle.readmissions
    loads = (care.share, FRAIL_READMITTED, AGED_READMITTED)
    average, chance = _chance(setup, *loads), _chance(setup, *loads, setup.readmitting)
    who = np.flatnonzero(rng.random(setup.count) < chance)
    lines = _stays(setup, rng, care, who, PARTS.index("readmit"))
    amount = _mean(setup, care.amount)
    kind = _Kind(lines, average * amount, care.timing, here=chance * amount)
    return kind, (average, chance)


def _stays(
    setup: _Setup, rng: np.random.Generator, care: Care, who: Whole, part: int, moved: bool = True
) -> Lines:
    why = rng.integers(0, len(READMISSION_DRGS), len(who))
    same = rng.random(len(who)) < 0.7
    other = rng.integers(0, setup.hospitals, len(who))
    return make_lines(
        who, _draw_days(rng, care.timing, len(who)), setup.course.discharged,
        _price(setup, rng, care.amount, who, moved=moved), part=part,
        setting=SETTINGS.index("inpatient"), provider=np.where(same, setup.provider[who], other),
        reason=numbers_of(READMISSION_REASONS, REASONS)[why], days=1 + rng.poisson(3.0, len(who)),
        drg=numbers_of(READMISSION_DRGS, DRGS)[why], status=STATUSES.index("home"),
        recorded=RECORDED["stay"],
    )  # fmt: skip


def _draw_second(setup: _Setup, readmissions: _Kind, chances: tuple[Floats, Floats]) -> _Kind:
    """Return other procedures of the same group, of those who are not readmitted otherwise."""
    rng = stream(setup.scenario.seed, "second_procedures")
    share = setup.rules.second_procedures
    wanted = rng.random(setup.count) < share
    wanted[readmissions.lines.patient] = False
    who = np.flatnonzero(wanted)
    amount = setup.bundle.stay
    lines = make_lines(
        who, _draw_days(rng, SECOND_TIMING, len(who)), setup.course.discharged,
        _price(setup, rng, amount, who), part=PARTS.index("readmit"),
        setting=SETTINGS.index("inpatient"), provider=setup.provider[who],
        reason=number_of(setup.bundle.principal, REASONS),
        days=1 + rng.poisson(setup.bundle.nights, len(who)),
        drg=number_of(setup.bundle.drgs[-1], DRGS) if setup.bundle.drgs else 0,
        procedure=number_of(setup.bundle.procedure, PROCEDURES), status=STATUSES.index("home"),
        recorded=RECORDED["index"],
    )  # fmt: skip
    average, here = (share * (1 - one) * _mean(setup, amount) for one in chances)
    return _Kind(lines, average, SECOND_TIMING, here=here)


def _draw_post_acute(setup: _Setup) -> _Kind:
    rng = stream(setup.scenario.seed, "post_acute")
    care = setup.bundle.post_acute
    chance = _chance(setup, care.share, FRAIL_CARED, AGED_CARED)
    needs = rng.random(setup.count) < chance
    number = 1 + rng.poisson(care.lines - 1, setup.count)
    who = np.repeat(np.arange(setup.count), np.where(needs, number, 0))
    names = list(POST_ACUTE_SETTINGS)
    shares, spans = np.array([POST_ACUTE_SETTINGS[one] for one in names]).T
    kind = np.searchsorted(np.cumsum(shares)[:-1], rng.random(setup.count), side="right")[who]
    lines = make_lines(
        who, _draw_days(rng, care.timing, len(who)), setup.course.discharged,
        _price(setup, rng, care.amount, who), part=PARTS.index("postacute"),
        setting=numbers_of(names, SETTINGS)[kind], provider=setup.community[who],
        reason=number_of(AFTERCARE_REASON, REASONS), days=spans.astype(np.int64)[kind],
    )  # fmt: skip
    return _Kind(lines, chance * care.lines * _mean(setup, care.amount), care.timing)


def _draw_visits(setup: _Setup) -> tuple[_Kind, _Kind]:
    rng = stream(setup.scenario.seed, "visits")
    bundle = setup.bundle
    return (
        _visits(setup, rng, bundle.outpatient, "outpatient"),
        _visits(setup, rng, bundle.professional, "professional"),
    )


def _visits(setup: _Setup, rng: np.random.Generator, care: Care, part: str) -> _Kind:
    rate = care.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate))
    codes = numbers_of(VISIT_CODES, PROCEDURES)
    lines = make_lines(
        who, _draw_days(rng, care.timing, len(who)), setup.course.discharged,
        _price(setup, rng, care.amount, who), part=PARTS.index(part),
        setting=SETTINGS.index(part), provider=setup.provider[who],
        reason=number_of(VISIT_REASONS[0], REASONS),
        procedure=codes[rng.integers(0, len(codes), len(who))],
    )  # fmt: skip
    return _Kind(lines, rate * _mean(setup, care.amount), care.timing)


def _draw_background(setup: _Setup) -> _Kind:
    """Return care that has nothing to do with the procedure, in the year after and a while on."""
    rng = stream(setup.scenario.seed, "background")
    rate = BACKGROUND.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate * (YEAR + TAIL) / YEAR))
    day = rng.integers(1, YEAR + TAIL + 1, len(who))
    lines = _unrelated(setup, rng, who, day, counted=day <= YEAR)
    return _Kind(lines, rate * _mean(setup, BACKGROUND.amount), BACKGROUND.timing, moved=False)


def _draw_earlier(setup: _Setup) -> tuple[Lines, Lines]:
    """Return the year before: visits, and hospital stays that end well before the operation."""
    rng = stream(setup.scenario.seed, "earlier")
    rate = BACKGROUND.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate))
    length = setup.length
    day = -length[who] - rng.integers(1, YEAR + 1, len(who))
    nobody = np.zeros(len(who), dtype=bool)
    visits = _unrelated(setup, rng, who, day, counted=nobody)
    care = EARLIER_STAYS
    chance = _chance(setup, care.share, FRAIL_READMITTED, AGED_READMITTED)
    ill = np.flatnonzero(rng.random(setup.count) < chance)
    stays = _stays(setup, rng, care, ill, UNCOUNTED, moved=False)
    before = -length[ill] - rng.integers(45, YEAR + 1, len(ill))
    shifted = (before - stays.day).astype("timedelta64[D]")
    return visits, Lines(**{**vars(stays), "day": before, "date": stays.date + shifted})


def _unrelated(
    setup: _Setup, rng: np.random.Generator, who: Whole, day: Whole, counted: np.ndarray
) -> Lines:
    names = list(BACKGROUND_SETTINGS)
    shares = np.array([BACKGROUND_SETTINGS[one][0] for one in names])
    parts = numbers_of([BACKGROUND_SETTINGS[one][1] for one in names], PARTS)
    kind = np.searchsorted(np.cumsum(shares)[:-1], rng.random(len(who)), side="right")
    reasons = numbers_of(VISIT_REASONS[1:], REASONS)
    return make_lines(
        who, day, setup.course.discharged,
        _price(setup, rng, BACKGROUND.amount, who, moved=False),
        part=np.where(counted, parts[kind], UNCOUNTED), setting=numbers_of(names, SETTINGS)[kind],
        provider=setup.community[who], reason=reasons[rng.integers(0, len(reasons), len(who))],
    )  # fmt: skip


def _draw_others(setup: _Setup) -> Lines:
    """Return claims of patients without an index event."""
    rng = stream(setup.scenario.seed, "others")
    number = round(setup.rules.others * setup.count)
    begins, ends = covered(setup.scenario)
    who = np.repeat(np.arange(number), rng.poisson(BACKGROUND.lines, number))
    day = rng.integers(0, (ends - begins).astype(np.int64), len(who))
    names = list(BACKGROUND_SETTINGS)
    kind = rng.integers(0, len(names), len(who))
    logs = BACKGROUND.amount.spread * rng.standard_normal(len(who))
    cents = 100 * setup.rules.price_level * BACKGROUND.amount.median * np.exp(logs)
    lines = make_lines(
        who, day, np.full(max(number, 1), begins), np.maximum(np.rint(cents), 1).astype(np.int64),
        part=UNCOUNTED, setting=numbers_of(names, SETTINGS)[kind],
        provider=setup.hospitals + rng.integers(0, _practices(setup.hospitals), len(who)),
        reason=numbers_of(VISIT_REASONS, REASONS)[rng.integers(0, len(VISIT_REASONS), len(who))],
    )  # fmt: skip
    return Lines(**{**vars(lines), "patient": who + setup.count})


def _name_patients(setup: _Setup) -> list[str]:
    others = round(setup.rules.others * setup.count)
    return [f"N{one:07d}" for one in range(1, setup.count + 1)] + [
        f"X{one:07d}" for one in range(1, others + 1)
    ]


def _name_providers(setup: _Setup, providers: pd.DataFrame) -> list[str]:
    practices = range(1, _practices(setup.hospitals) + 1)
    return [*providers["provider_id"], *(f"G{one:03d}" for one in practices)]


def _tell_patients(setup: _Setup, names: list[str]) -> pd.DataFrame:
    rng = stream(setup.scenario.seed, "births")
    course, seen = setup.course, setup.patients.seen
    others = len(names) - setup.count
    begins, ends = covered(setup.scenario)
    years = np.concatenate([seen["age_years"], rng.integers(25, 90, others).astype(float)])
    when = np.concatenate([course.admitted, np.full(others, begins)])
    # Neither on a birthday nor close to one, so that every way of counting years agrees.
    age = np.floor(years * 365.2425).astype(np.int64) + rng.integers(5, 360, len(years))
    other_sex = np.where(rng.random(others) < 0.5, "female", "male")
    return pd.DataFrame(
        {
            "patient_id": pd.Series(names, dtype="str"),
            "birth_date": _dates(when - age.astype("timedelta64[D]")),
            "sex": pd.Series(np.concatenate([seen["sex"], other_sex]), dtype="str"),
            "enrolled_from": _dates(
                np.concatenate([course.enrolled_from, np.full(others, begins)])
            ),
            "enrolled_to": _dates(np.concatenate([course.enrolled_to, np.full(others, ends)])),
            "death_date": _dates(
                np.concatenate([course.died, np.full(others, np.datetime64("NaT", "D"))])
            ),
        }
    )


def _dates(days: Days) -> pd.Series:
    return pd.Series(days.astype("datetime64[us]"))


def _describe_episodes(setup: _Setup, lines: Lines, stays: Lines) -> dict[str, np.ndarray]:
    """Return what the lines say of the episodes; `stays` are the index claims, the first first."""
    count = setup.count
    first = stays.where(np.unique(stays.patient, return_index=True)[1])
    length = setup.length.astype(float)
    in_look_back = lines.where(
        (lines.part == UNCOUNTED)
        & (lines.day < -length[lines.patient] - lines.days)
        & (lines.day >= -length[lines.patient] - YEAR)
    )
    readmissions = lines.where(lines.part == PARTS.index("readmit"))
    again = {
        f"readmitted_{days}d": (
            np.bincount(readmissions.patient, readmissions.day <= days, minlength=count) > 0
        ).astype(float)
        for days in WINDOWS
    }
    return {
        "discharge_date": setup.course.discharged,
        "drg": np.array(DRGS, dtype=object)[first.drg],
        "length_of_stay": length,
        "prior_cost": np.bincount(
            in_look_back.patient, in_look_back.cents.astype(float), minlength=count
        )
        / 100,
        **sum_by_window(lines, count),
        **again,
    }


def _expect(kinds: tuple[_Kind, ...], effect: Floats) -> dict[str, np.ndarray]:
    """Return mean cost by window at the average provider, and at the one that treated."""
    truth: dict[str, np.ndarray] = {}
    for place, days in enumerate(WINDOWS):
        average, here = np.zeros(len(effect)), np.zeros(len(effect))
        for one in kinds:
            share = sum(one.timing[: place + 1]) if one.timing else 1.0
            average += share * one.mean
            own = one.mean if one.here is None else one.here
            here += share * own * (np.exp(effect) if one.moved else 1.0)
        truth[f"cost_expected_{days}d"] = average
        truth[f"cost_at_provider_{days}d"] = here
    return truth


def _tell_ends(course: Course) -> dict[str, np.ndarray]:
    begins_late = (course.admitted - course.enrolled_from).astype(np.int64) < YEAR
    left = (course.enrolled_to - course.discharged).astype(float)
    died = (course.died - course.discharged).astype("timedelta64[D]")
    return {
        "died_after": np.where(np.isnat(course.died), np.nan, died.astype(float)),
        "left_after": np.where(left <= YEAR, left, np.nan),
        "joined_late": begins_late.astype(float),
    }
