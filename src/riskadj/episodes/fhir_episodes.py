"""Which procedures are episodes: of whom, by which provider, of which group, on which day."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date

from riskadj.episodes.fhir_mapping import FhirMapping, FhirProvider
from riskadj.episodes.fhir_resources import Procedure, Ref
from riskadj.episodes.fhir_store import Store
from riskadj.errors import FileFormatError

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")


@dataclass(frozen=True)
class Episode:
    """An operation that is compared: its key and those of its patient and provider, and its day."""

    key: str
    patient: str
    provider: str
    group: str
    day: date


def find_episodes(store: Store, mapping: FhirMapping, left_out: Counter[str]) -> dict[str, Episode]:
    """Return the operations by key, without several of a group on one day for a patient."""
    found: list[Episode] = []
    reasons: Counter[str] = Counter()
    for key, one in store.kept["Procedure"].items():
        episode = _episode(key, one, store, mapping)
        if isinstance(episode, str):
            reasons[f"procedures: {episode}"] += 1
        else:
            found.append(episode)
    per_day = Counter((one.patient, one.group, one.day) for one in found)
    alone = {one.key: one for one in found if per_day[one.patient, one.group, one.day] == 1}
    if len(alone) < len(found):
        reasons["procedures: another of their group on the same day"] = len(found) - len(alone)
    left_out.update(reasons)
    if not alone:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common(3))
        raise FileFormatError(
            f"{store.path}: wanted a completed Procedure with a code of the mapping; got none "
            f"({why or 'there is no Procedure'}). Check procedures in the mapping."
        )
    return alone


def _episode(key: str, one: Procedure, store: Store, mapping: FhirMapping) -> Episode | str:
    """Return the episode of a procedure, or why it is none."""
    groups = {mapping.groups[code] for code in one.codes if code in mapping.groups}
    if not groups:
        return "no code of the mapping"
    if len(groups) > 1:
        return "codes of several groups"
    if one.status != "completed":
        return "not completed"
    patient, day = store.key(one.subject), day_of(one.performed)
    if not patient:
        return "no patient"
    if day is None:
        return "no day of operation"
    provider = _provider(one, store, mapping.provider)
    if len(provider) != 1:
        return "several providers" if provider else "no provider"
    return Episode(key, patient, provider.pop(), groups.pop(), day)


def _provider(one: Procedure, store: Store, rules: FhirProvider) -> set[str]:
    """Return the providers that the first place with an Organization names."""
    encounter = store.kept["Encounter"].get(store.key(one.encounter), Ref())
    places = {
        "performer": one.actors,
        "on_behalf_of": one.on_behalf_of,
        "service_provider": (encounter,),
    }
    for place in rules.look_in:
        organisations = [ref for ref in places[place] if _is_organisation(ref, store)]
        found = {name for ref in organisations for name in _names(ref, store, rules)}
        if found:
            return found
    return set()


def _is_organisation(ref: Ref, store: Store) -> bool:
    key = store.key(ref) if ref.target else ""
    return (
        ref.type == "Organization"
        or key in store.kept["Organization"]
        or key.startswith("Organization/")
    )


def _names(ref: Ref, store: Store, rules: FhirProvider) -> set[str]:
    key = store.key(ref) if ref.target else ""
    if rules.identifier_system is None:
        return {key.removeprefix("Organization/")} - {""}
    identifiers = (*ref.identifiers, *store.kept["Organization"].get(key, ()))
    return {value for system, value in identifiers if system == rules.identifier_system}


def day_of(written: str) -> date | None:
    """Return the day that a date or dateTime says by its own clock, if it is a whole one."""
    match = _DATE.fullmatch(written)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
