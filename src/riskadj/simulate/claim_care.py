"""Which care every patient gets, kind by kind, and which has nothing to do with the procedure."""

import numpy as np

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.simulate.claim_course import TAIL, YEAR, covered
from riskadj.simulate.claim_law import (
    Kind,
    Setup,
    chance_of,
    draw_days,
    mean_amount,
    number_of_practices,
    price_lines,
)
from riskadj.simulate.claim_lines import (
    DRGS,
    PROCEDURES,
    REASONS,
    UNCOUNTED,
    Lines,
    Whole,
    join_lines,
    make_lines,
    number_of,
    numbers_of,
)
from riskadj.simulate.claim_tables import (
    AFTERCARE_DRG,
    AFTERCARE_REASON,
    BACKGROUND,
    BACKGROUND_SETTINGS,
    COMPLICATING,
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
    Amount,
    Care,
)
from riskadj.simulate.latent import Floats
from riskadj.simulate.streams import stream

SECOND_TIMING = (0.0, 0.08, 0.12, 0.30, 0.50)
"""When another procedure of the same group comes; see `Care.timing`."""

FRAIL_READMITTED, AGED_READMITTED = 0.30, 0.20
FRAIL_CARED, AGED_CARED = 0.25, 0.35
"""Loadings of needing a readmission, and post-acute care."""

FRAIL_VISITS = 0.15
"""What an SD of frailty adds to the log of visits."""

OTHER_HOSPITAL_SHARE = 0.3
"""Share of an index stay's amount that goes to the second hospital after a transfer."""


def draw_index(setup: Setup, record: Whole) -> Kind:
    """Return the index claims; a transfer shares the amount between two hospitals."""
    rng = stream(setup.scenario.seed, "index_stay")
    everybody = np.arange(setup.count)
    cents = price_lines(setup, rng, setup.bundle.stay, everybody)
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
    return Kind(join_lines([first, second]), mean_amount(setup, setup.bundle.stay), ())


def _draw_second_hospitals(setup: Setup, rng: np.random.Generator, cents: Whole) -> Lines:
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


def _group_stays(setup: Setup, record: Whole) -> Whole:
    """Return the group of every stay, as coded at discharge."""
    if not setup.bundle.drgs:
        return np.zeros(setup.count, dtype=np.int64)
    complicating = sum(1 << COMORBIDITIES.index(one) for one in COMPLICATING)
    dear, plain = numbers_of(setup.bundle.drgs, DRGS)
    groups: Whole = np.where(record & complicating, dear, plain)
    return groups


def _end_stays(setup: Setup, rng: np.random.Generator) -> Whole:
    if not setup.bundle.drgs:
        return np.full(setup.count, STATUSES.index(""))
    elsewhere = rng.random(setup.count) < setup.bundle.post_acute.share / 4
    return np.select(
        [setup.course.died == setup.course.discharged, setup.course.transferred, elsewhere],
        [STATUSES.index("died"), STATUSES.index("transfer"), STATUSES.index("other")],
        default=STATUSES.index("home"),
    )


def draw_fees(setup: Setup) -> Kind:
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
        price_lines(setup, rng, half, everybody), part=PARTS.index("professional"),
        setting=SETTINGS.index("professional"), provider=setup.provider[everybody],
        reason=number_of(setup.bundle.principal, REASONS), procedure=procedure,
    )  # fmt: skip
    return Kind(lines, 2 * mean_amount(setup, half), ())


def draw_readmissions(setup: Setup) -> tuple[Kind, tuple[Floats, Floats]]:
    """Return readmissions, and everybody's chance within a year: on average, and here."""
    rng = stream(setup.scenario.seed, "readmissions")
    care = setup.bundle.readmissions
    loads = (care.share, FRAIL_READMITTED, AGED_READMITTED)
    average, chance = chance_of(setup, *loads), chance_of(setup, *loads, setup.readmitting)
    who = np.flatnonzero(rng.random(setup.count) < chance)
    lines = _stays(setup, rng, care, who, PARTS.index("readmit"))
    amount = mean_amount(setup, care.amount)
    kind = Kind(lines, average * amount, care.timing, here=chance * amount)
    return kind, (average, chance)


def _stays(
    setup: Setup, rng: np.random.Generator, care: Care, who: Whole, part: int, moved: bool = True
) -> Lines:
    why = rng.integers(0, len(READMISSION_DRGS), len(who))
    same = rng.random(len(who)) < 0.7
    other = rng.integers(0, setup.hospitals, len(who))
    return make_lines(
        who, draw_days(rng, care.timing, len(who)), setup.course.discharged,
        price_lines(setup, rng, care.amount, who, moved=moved), part=part,
        setting=SETTINGS.index("inpatient"), provider=np.where(same, setup.provider[who], other),
        reason=numbers_of(READMISSION_REASONS, REASONS)[why], days=1 + rng.poisson(3.0, len(who)),
        drg=numbers_of(READMISSION_DRGS, DRGS)[why], status=STATUSES.index("home"),
        recorded=RECORDED["stay"],
    )  # fmt: skip


def draw_second(setup: Setup, readmissions: Kind, chances: tuple[Floats, Floats]) -> Kind:
    """Return other procedures of the same group, of those who are not readmitted otherwise."""
    rng = stream(setup.scenario.seed, "second_procedures")
    share = setup.rules.second_procedures
    wanted = rng.random(setup.count) < share
    wanted[readmissions.lines.patient] = False
    who = np.flatnonzero(wanted)
    amount = setup.bundle.stay
    lines = make_lines(
        who, draw_days(rng, SECOND_TIMING, len(who)), setup.course.discharged,
        price_lines(setup, rng, amount, who), part=PARTS.index("readmit"),
        setting=SETTINGS.index("inpatient"), provider=setup.provider[who],
        reason=number_of(setup.bundle.principal, REASONS),
        days=1 + rng.poisson(setup.bundle.nights, len(who)),
        drg=number_of(setup.bundle.drgs[-1], DRGS) if setup.bundle.drgs else 0,
        procedure=number_of(setup.bundle.procedure, PROCEDURES), status=STATUSES.index("home"),
        recorded=RECORDED["index"],
    )  # fmt: skip
    average, here = (share * (1 - one) * mean_amount(setup, amount) for one in chances)
    return Kind(lines, average, SECOND_TIMING, here=here)


def draw_post_acute(setup: Setup) -> Kind:
    """Return care after discharge, in a facility or at home."""
    rng = stream(setup.scenario.seed, "post_acute")
    care = setup.bundle.post_acute
    chance = chance_of(setup, care.share, FRAIL_CARED, AGED_CARED)
    needs = rng.random(setup.count) < chance
    number = 1 + rng.poisson(care.lines - 1, setup.count)
    who = np.repeat(np.arange(setup.count), np.where(needs, number, 0))
    names = list(POST_ACUTE_SETTINGS)
    shares, spans = np.array([POST_ACUTE_SETTINGS[one] for one in names]).T
    kind = np.searchsorted(np.cumsum(shares)[:-1], rng.random(setup.count), side="right")[who]
    lines = make_lines(
        who, draw_days(rng, care.timing, len(who)), setup.course.discharged,
        price_lines(setup, rng, care.amount, who), part=PARTS.index("postacute"),
        setting=numbers_of(names, SETTINGS)[kind], provider=setup.community[who],
        reason=number_of(AFTERCARE_REASON, REASONS), days=spans.astype(np.int64)[kind],
    )  # fmt: skip
    return Kind(lines, chance * care.lines * mean_amount(setup, care.amount), care.timing)


def draw_visits(setup: Setup) -> tuple[Kind, Kind]:
    """Return outpatient and professional visits in the year after."""
    rng = stream(setup.scenario.seed, "visits")
    bundle = setup.bundle
    return (
        _visits(setup, rng, bundle.outpatient, "outpatient"),
        _visits(setup, rng, bundle.professional, "professional"),
    )


def _visits(setup: Setup, rng: np.random.Generator, care: Care, part: str) -> Kind:
    rate = care.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate))
    codes = numbers_of(VISIT_CODES, PROCEDURES)
    lines = make_lines(
        who, draw_days(rng, care.timing, len(who)), setup.course.discharged,
        price_lines(setup, rng, care.amount, who), part=PARTS.index(part),
        setting=SETTINGS.index(part), provider=setup.provider[who],
        reason=number_of(VISIT_REASONS[0], REASONS),
        procedure=codes[rng.integers(0, len(codes), len(who))],
    )  # fmt: skip
    return Kind(lines, rate * mean_amount(setup, care.amount), care.timing)


def draw_background(setup: Setup) -> Kind:
    """Return care that has nothing to do with the procedure, in the year after and a while on."""
    rng = stream(setup.scenario.seed, "background")
    rate = BACKGROUND.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate * (YEAR + TAIL) / YEAR))
    day = rng.integers(1, YEAR + TAIL + 1, len(who))
    lines = _unrelated(setup, rng, who, day, counted=day <= YEAR)
    return Kind(lines, rate * mean_amount(setup, BACKGROUND.amount), BACKGROUND.timing, moved=False)


def draw_earlier(setup: Setup) -> tuple[Lines, Lines]:
    """Return the year before: visits, and hospital stays that end well before the operation."""
    rng = stream(setup.scenario.seed, "earlier")
    rate = BACKGROUND.lines * np.exp(FRAIL_VISITS * setup.patients.frailty)
    who = np.repeat(np.arange(setup.count), rng.poisson(rate))
    length = setup.length
    day = -length[who] - rng.integers(1, YEAR + 1, len(who))
    nobody = np.zeros(len(who), dtype=bool)
    visits = _unrelated(setup, rng, who, day, counted=nobody)
    care = EARLIER_STAYS
    chance = chance_of(setup, care.share, FRAIL_READMITTED, AGED_READMITTED)
    ill = np.flatnonzero(rng.random(setup.count) < chance)
    stays = _stays(setup, rng, care, ill, UNCOUNTED, moved=False)
    before = -length[ill] - rng.integers(45, YEAR + 1, len(ill))
    shifted = (before - stays.day).astype("timedelta64[D]")
    return visits, Lines(**{**vars(stays), "day": before, "date": stays.date + shifted})


def _unrelated(
    setup: Setup, rng: np.random.Generator, who: Whole, day: Whole, counted: np.ndarray
) -> Lines:
    names = list(BACKGROUND_SETTINGS)
    shares = np.array([BACKGROUND_SETTINGS[one][0] for one in names])
    parts = numbers_of([BACKGROUND_SETTINGS[one][1] for one in names], PARTS)
    kind = np.searchsorted(np.cumsum(shares)[:-1], rng.random(len(who)), side="right")
    reasons = numbers_of(VISIT_REASONS[1:], REASONS)
    return make_lines(
        who, day, setup.course.discharged,
        price_lines(setup, rng, BACKGROUND.amount, who, moved=False),
        part=np.where(counted, parts[kind], UNCOUNTED), setting=numbers_of(names, SETTINGS)[kind],
        provider=setup.community[who], reason=reasons[rng.integers(0, len(reasons), len(who))],
    )  # fmt: skip


def draw_others(setup: Setup) -> Lines:
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
        provider=setup.hospitals + rng.integers(0, number_of_practices(setup.hospitals), len(who)),
        reason=numbers_of(VISIT_REASONS, REASONS)[rng.integers(0, len(VISIT_REASONS), len(who))],
    )  # fmt: skip
    return Lines(**{**vars(lines), "patient": who + setup.count})
