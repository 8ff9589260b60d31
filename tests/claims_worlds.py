"""Small worlds of claims, and episodes made of them the slow and plain way."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskadj.claims import ClaimRules
from riskadj.claims.comorbidity import SCHEMES, mask_of
from riskadj.claims.rules import PART_OF_SETTING, SETTINGS

BEGINS, ENDS = date(2019, 1, 1), date(2022, 12, 31)
DIAGNOSES = ("E119", "E1150", "I252", "J449", "C509", "C780", "M1611", "E669", "Z471", "F329")
RULES: dict[str, Any] = {
    "patients": "patients.csv",
    "index": {
        "HIP_PRIM": {"drgs": ["470"]},
        "HIP_REV": {"drgs": ["467", "468"]},
        "KNEE_DAY": {"setting": "outpatient", "procedures": ["27447"]},
    },
    "windows": [30, 90],
    "counted_from": "discharge",
    "overlap": "first",
    "transfers": "to_first",
    "death": "keep",
    "disenrolment": "exclude",
    "lookback_days": 180,
    "currency": "USD",
    "price_year": 2020,
    "period": {"begins": BEGINS, "ends": ENDS},
    "known_drgs": None,
}


def rules_of(folder: Path, **changes: Any) -> ClaimRules:
    """Return rules that differ from the plain ones in some keys."""
    given = {**RULES, "patients": folder / "patients.csv", **changes}
    return ClaimRules.model_validate(given)


def line(patient: str, day: str, setting: str = "inpatient", **more: Any) -> dict[str, Any]:
    """Return a claim line of one day, or to `to_date`."""
    claim = more.get("claim_id", f"{patient}-{day}-{setting}-{more.get('provider_id', 'A')}")
    plain = {
        "claim_id": claim, "patient_id": patient, "provider_id": "A", "from_date": day,
        "to_date": day, "setting": setting, "drg": "", "procedure_code": "",
        "diagnosis_codes": "", "paid_amount": "100.00", "discharge_status": "home",
    }  # fmt: skip
    return {**plain, **more}


def patient(name: str, **more: Any) -> dict[str, Any]:
    """Return a patient who is enrolled throughout."""
    plain = {
        "patient_id": name, "birth_date": "1950-06-15", "sex": "female",
        "enrolled_from": "2015-01-01", "enrolled_to": "", "death_date": "",
    }  # fmt: skip
    return {**plain, **more}


def write_world(
    folder: Path, lines: list[dict[str, Any]], patients: list[dict[str, Any]]
) -> list[Path]:
    """Write a world as CSV, and return the files of claims."""
    pd.DataFrame(patients).to_csv(folder / "patients.csv", index=False)
    pd.DataFrame(lines).to_csv(folder / "claims.csv", index=False)
    return [folder / "claims.csv"]


def random_world(seed: int, n_patients: int = 6) -> tuple[list[dict[str, Any]], list[Any]]:
    """Return lines and patients of a world in which rules often matter."""
    rng = np.random.default_rng(seed)
    patients, lines = [], []
    for number in range(n_patients):
        name = f"p{number}"
        leaves = _some_day(rng) if rng.random() < 0.25 else None
        stays = _random_stays(rng, name)
        last = max((one["to_date"] for one in stays), default="2019-01-01")
        died = date.fromisoformat(last) + timedelta(int(rng.integers(0, 200)))
        patients.append(
            patient(
                name,
                birth_date=f"{rng.integers(1930, 1960)}-03-0{rng.integers(1, 9)}",
                enrolled_from="2018-06-01" if rng.random() < 0.8 else "2019-08-01",
                enrolled_to=leaves.isoformat() if leaves else "",
                death_date=died.isoformat() if rng.random() < 0.3 else "",
            )
        )
        care = [_random_care(rng, name) for _ in range(int(rng.integers(4, 14)))]
        death = patients[-1]["death_date"]
        if not death and stays and rng.random() < 0.3:
            death = _die_in_last_stay(stays)
        lines += stays
        lines += [one for one in care if not death or one["from_date"] <= death]
    order = rng.permutation(len(lines))
    return [lines[one] for one in order], patients


def _some_day(rng: np.random.Generator) -> date:
    return date(2019, 9, 1) + timedelta(int(rng.integers(0, 700)))


def _random_stays(rng: np.random.Generator, name: str) -> list[dict[str, Any]]:
    lines = []
    day = _some_day(rng)
    for number in range(int(rng.integers(1, 5))):
        ends = day + timedelta(int(rng.integers(0, 9)))
        setting = "outpatient" if rng.random() < 0.2 else "inpatient"
        shared = {
            "claim_id": f"{name}-stay{number}",
            "provider_id": str(rng.choice(["A", "B", "C"])),
            "to_date": ends.isoformat(),
            "drg": str(rng.choice(["470", "467", "871"])) if setting == "inpatient" else "",
            "discharge_status": str(rng.choice(["home", "transfer", "other"])),
            "diagnosis_codes": " ".join(rng.choice(DIAGNOSES, 2)),
        }
        lines += [
            line(name, day.isoformat(), setting, **shared, paid_amount=_amount(rng),
                 procedure_code="27447" if part == 0 and rng.random() < 0.5 else "")
            for part in range(int(rng.integers(1, 3)))
        ]  # fmt: skip
        day = ends + timedelta(int(rng.choice([-6, -2, 0, 1, 2, 20, 70, 150, 400])))
        if day > date(2022, 6, 1):
            break
    return lines


def _die_in_last_stay(stays: list[dict[str, Any]]) -> str:
    """Let the patient die in the last stay, if that is inpatient; return the day or nothing."""
    last = stays[-1]
    ends = max(one["to_date"] for one in stays)
    if last["setting"] != "inpatient" or last["to_date"] < ends:
        return ""
    for one in stays:
        if one["claim_id"] == last["claim_id"]:
            one["discharge_status"] = "died"
    return str(last["to_date"])


def _random_care(rng: np.random.Generator, name: str) -> dict[str, Any]:
    day = date(2019, 3, 1) + timedelta(int(rng.integers(0, 1100)))
    ends = day + timedelta(int(rng.choice([0, 0, 0, 10])))
    setting = str(rng.choice([one for one in SETTINGS if one != "inpatient"]))
    return line(
        name, day.isoformat(), setting, to_date=ends.isoformat(), paid_amount=_amount(rng),
        claim_id=f"{name}-{rng.integers(1 << 40)}",
        diagnosis_codes=" ".join(rng.choice(DIAGNOSES, int(rng.integers(0, 3)))),
    )  # fmt: skip


def _amount(rng: np.random.Generator) -> str:
    return f"{rng.integers(0, 2_000_000) / 100:.2f}"


# --- the slow and plain way ---


def plain_episodes(lines: list[Any], patients: list[Any], rules: ClaimRules) -> pd.DataFrame:
    """Return the episodes of a world, a loop at a time."""
    rows = []
    for one in sorted(patients, key=lambda one: one["patient_id"]):
        mine = [_typed(each) for each in lines if each["patient_id"] == one["patient_id"]]
        rows += _episodes_of(one, mine, rules)
    return pd.DataFrame(rows)


def _typed(given: dict[str, Any]) -> dict[str, Any]:
    return {
        **given,
        "from_date": date.fromisoformat(given["from_date"]),
        "to_date": date.fromisoformat(given["to_date"]),
        "cents": round(float(given["paid_amount"]) * 100),
    }


def _group_of(claim: list[dict[str, Any]], rules: ClaimRules) -> str | None:
    for name, event in rules.index.items():
        drg = not event.drgs or any(one["drg"] in event.drgs for one in claim)
        codes = {one["procedure_code"] for one in claim}
        procedure = not event.procedures or codes & set(event.procedures)
        if claim[0]["setting"] == event.setting and drg and procedure:
            return name
    return None


def _claims(lines: list[dict[str, Any]], rules: ClaimRules) -> list[dict[str, Any]]:
    settings = {one.setting for one in rules.index.values()} | {"inpatient"}
    claims: dict[Any, list[dict[str, Any]]] = {}
    for one in lines:
        if one["setting"] in settings:
            claims.setdefault((one["setting"], one["claim_id"]), []).append(one)
    found = []
    for (setting, name), claim in claims.items():
        group = _group_of(claim, rules)
        if setting == "inpatient" or group:
            found.append(
                {
                    "setting": setting, "claims": [name], "lines": claim, "group": group,
                    "begins": min(one["from_date"] for one in claim),
                    "ends": max(one["to_date"] for one in claim),
                    "status": claim[0]["discharge_status"], "drg": claim[0]["drg"],
                    "providers": [claim[0]["provider_id"]],
                }
            )  # fmt: skip
    return sorted(found, key=_order)


def _order(one: dict[str, Any]) -> Any:
    return (one["setting"], one["begins"], one["ends"], one["claims"][0])


def _stays(lines: list[dict[str, Any]], rules: ClaimRules) -> list[dict[str, Any]]:
    """Return stays: claims of one provider that overlap in time are one."""
    stays: list[dict[str, Any]] = []
    for claim in _claims(lines, rules):
        same = [
            one
            for one in stays
            if one["setting"] == claim["setting"] == "inpatient"
            and one["providers"] == claim["providers"]
            and (claim["begins"] < one["ends"] or claim["begins"] == one["latest"])
        ]
        if not same:
            told = (claim["status"] == "died", claim["ends"], claim["status"] == "transfer")
            stays.append({**claim, "latest": claim["begins"], "told": told})
            continue
        _join(same[-1], claim)
        same[-1]["latest"] = claim["begins"]
        told = (claim["status"] == "died", claim["ends"], claim["status"] == "transfer")
        if told >= same[-1]["told"]:
            same[-1] |= {"told": told, "status": claim["status"]}
    return sorted(stays, key=_order)


def _join(one: dict[str, Any], other: dict[str, Any]) -> None:
    one["claims"] = [*one["claims"], *other["claims"]]
    one["lines"] = [*one["lines"], *other["lines"]]
    one["ends"] = max(one["ends"], other["ends"])
    if one["group"] is None and other["group"] is not None:
        one |= {"group": other["group"], "drg": other["drg"]}


def _spells(lines: list[dict[str, Any]], rules: ClaimRules) -> list[dict[str, Any]]:
    stays = _stays(lines, rules)
    layers: list[list[dict[str, Any]]] = [[], []]
    for number, stay in enumerate(stays):
        earlier = [one["ends"] for one in stays[:number] if one["setting"] == "inpatient"]
        within = stay["setting"] == "inpatient" and any(stay["ends"] < one for one in earlier)
        layers[within].append(stay)
    return [spell for layer in layers for spell in _chained(layer, rules)]


def _chained(stays: list[dict[str, Any]], rules: ClaimRules) -> list[dict[str, Any]]:
    spells: list[dict[str, Any]] = []
    before: dict[str, Any] | None = None
    for stay in stays:
        follows = (
            before is not None
            and rules.transfers != "separate"
            and before["setting"] == stay["setting"] == "inpatient"
            and before["status"] == "transfer"
            and stay["begins"] <= before["ends"] + timedelta(1)
        )
        if follows:
            _join(spells[-1], stay)
            spells[-1]["providers"] = spells[-1]["providers"] + stay["providers"]
            spells[-1]["status"] = stay["status"]
        else:
            spells.append({**stay})
        before = stay
    return spells


def _episodes_of(
    one: dict[str, Any], lines: list[dict[str, Any]], rules: ClaimRules
) -> list[dict[str, Any]]:
    spells = _spells(lines, rules)
    events = [spell for spell in spells if spell["group"]]
    events.sort(key=lambda each: (each["begins"], each["ends"], SETTINGS.index(each["setting"])))
    for each in events:
        each["zero"] = each["ends"] if rules.counted_from == "discharge" else each["begins"]
        each["last"] = each["zero"] + timedelta(rules.longest)
    standing: list[dict[str, Any]] = []
    for number, each in enumerate(events):
        others = events[:number] + events[number + 1 :]
        if rules.overlap == "first":
            if not any(other["begins"] <= each["begins"] <= other["last"] for other in standing):
                standing.append(each)
            continue
        earlier = any(other["last"] >= each["begins"] for other in events[:number])
        later = any(other["begins"] <= each["last"] for other in others[number:])
        if not earlier and not later:
            standing.append(each)
    return [row for each in standing if (row := _row(one, each, lines, rules))]


def _row(
    one: dict[str, Any],
    each: dict[str, Any],
    lines: list[dict[str, Any]],
    rules: ClaimRules,
) -> dict[str, Any] | None:
    looks = each["begins"] - timedelta(rules.lookback_days)
    scaled = _days_to_scale_by(one, each, looks, lines, rules)
    if scaled is None:
        return None
    row: dict[str, Any] = {
        "patient_id": one["patient_id"],
        "provider_id": each["providers"][0 if rules.transfers == "to_first" else -1],
        "procedure_group": each["group"],
        "index_date": each["begins"],
        "discharge_date": each["ends"],
        "drg": each["drg"],
    }
    own = {(each["setting"], claim) for claim in each["claims"]}
    others = _others(lines, own, rules)
    beside = [
        other
        for other in others
        if each["setting"] == "inpatient" and each["begins"] <= other["from_date"] < each["ends"]
    ]
    others = [other for other in others if other not in beside]
    row["index"] = sum(part["cents"] for part in [*each["lines"], *beside])
    for days in rules.windows:
        for part in ("readmit", "postacute", "outpatient", "professional"):
            row[f"{part}_{days}"] = _cost(part, days, each, others + _elsewhere(lines, own), scaled)
        row[f"readmitted_{days}"] = any(
            each["begins"] <= other["from_date"] <= each["zero"] + timedelta(days)
            for other in others
        )
    before = [
        part for part in lines if part["from_date"] >= looks and part["to_date"] < each["begins"]
    ]
    row["prior"] = sum(part["cents"] for part in before)
    codes = [code for part in before for code in part["diagnosis_codes"].split()]
    row |= {name: mask_of(codes, scheme) for name, scheme in SCHEMES.items()}
    return row


def _days_to_scale_by(
    one: dict[str, Any],
    each: dict[str, Any],
    looks: date,
    lines: list[dict[str, Any]],
    rules: ClaimRules,
) -> int | None:
    """Return how many days were seen where the rest is annualised; None for who leaves."""
    never = date(2999, 1, 1)
    until = date.fromisoformat(one["enrolled_to"]) if one["enrolled_to"] else never
    death = date.fromisoformat(one["death_date"]) if one["death_date"] else never
    if not one["death_date"]:
        ends = [
            stay["ends"]
            for stay in _stays(lines, rules)
            if stay["setting"] == "inpatient" and stay["status"] == "died"
        ]
        death = min(ends, default=never)
    if looks < rules.period.begins or each["last"] > rules.period.ends:
        return None
    if date.fromisoformat(one["enrolled_from"]) > looks or until < each["begins"]:
        return None
    end = min(death, until)
    if end > each["last"] or (until < death and until == each["last"]):
        return rules.longest
    rule = rules.death if death <= until else rules.disenrolment
    days = (end - each["zero"]).days
    if rule == "exclude" or (rule == "annualise" and days < (rules.annualise_from_days or 0)):
        return None
    return days if rule == "annualise" else rules.longest


def _others(lines: list[dict[str, Any]], own: set[Any], rules: ClaimRules) -> list[dict[str, Any]]:
    """Return the inpatient stays that are not the episode's own, each as it begins."""
    return [
        {
            "setting": "inpatient",
            "from_date": stay["begins"],
            "cents": sum(one["cents"] for one in stay["lines"]),
            "claims": stay["claims"],
        }
        for stay in _stays(lines, rules)
        if stay["setting"] == "inpatient" and ("inpatient", stay["claims"][0]) not in own
    ]


def _elsewhere(lines: list[dict[str, Any]], own: set[Any]) -> list[dict[str, Any]]:
    return [
        one
        for one in lines
        if one["setting"] != "inpatient" and (one["setting"], one["claim_id"]) not in own
    ]


def _cost(
    part: str, days: int, each: dict[str, Any], care: list[dict[str, Any]], scaled: int
) -> int:
    counted = [
        one
        for one in care
        if PART_OF_SETTING[one["setting"]] == part
        and each["begins"] <= one["from_date"] <= each["zero"] + timedelta(days)
    ]
    by_zero = sum(one["cents"] for one in counted if one["from_date"] <= each["zero"])
    after = sum(one["cents"] for one in counted if one["from_date"] > each["zero"])
    seen = min(days, scaled)
    return int(by_zero + (2 * after * days + seen) // (2 * seen))
