"""Which responses are the rounds before and after each operation, and why others are not."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from riskadj.episodes.fhir_episodes import Episode, day_of
from riskadj.episodes.fhir_json import brief
from riskadj.episodes.fhir_mapping import FhirMapping, FhirWindow, Form, canonical_url
from riskadj.episodes.fhir_resources import Given, Response
from riskadj.episodes.fhir_store import Store
from riskadj.episodes.mapping_terms import ROUND_PREFIXES, Round
from riskadj.errors import UnknownNameError, did_you_mean

SHOWN = 10
"""How many unknown linkIds a message lists."""
_USABLE = ("completed", "amended")


@dataclass
class Candidate:
    """A response that may serve; `used` or `contradicted` once that is known."""

    response: Response
    day: date
    when: tuple[str, bool]
    answers: Mapping[str, tuple[tuple[Given, ...], ...]]
    position: int
    used: bool = False
    contradicted: bool = False


Chosen = dict[tuple[str, Round], dict[str, Candidate]]
"""By episode and round, the response that each form is read from."""


def match_responses(
    store: Store,
    mapping: FhirMapping,
    episodes: dict[str, Episode],
    left_out: Counter[str],
) -> Chosen:
    """Return the responses that are used, and count the others by reason."""
    by_patient: dict[str, list[Episode]] = defaultdict(list)
    for episode in sorted(episodes.values(), key=lambda one: one.day):
        by_patient[episode.patient].append(episode)
    reader = _Recogniser(mapping)
    places: dict[tuple[str, Round], list[Candidate]] = defaultdict(list)
    candidates: list[Candidate] = []
    for position, response in enumerate(store.kept["QuestionnaireResponse"].values(), start=1):
        candidate = reader.candidate(response, position)
        if isinstance(candidate, str):
            left_out[f"responses: {candidate}"] += 1
            continue
        theirs = by_patient.get(store.key(response.subject), [])
        serves = _serves(candidate, theirs, store, mapping)
        if isinstance(serves, str):
            left_out[f"responses: {serves}"] += 1
            continue
        candidates.append(candidate)
        for place in serves:
            places[place].append(candidate)
    reader.refuse_unknown(store.path)
    chosen = {place: _choose(listed, place[1], mapping) for place, listed in places.items()}
    for one in candidates:
        if not one.used:
            why = "contradict another of the same time" if one.contradicted else "not chosen"
            left_out[f"responses: {why}"] += 1
    return chosen


class _Recogniser:
    """Finds the forms of the mapping in responses by their linkIds; remembers unknown ones."""

    def __init__(self, mapping: FhirMapping) -> None:
        self._mapping = mapping
        self._ignored = frozenset(map(canonical_url, mapping.ignore_questionnaires))
        self._unread = frozenset(mapping.ignore_link_ids)
        self._forms: dict[str, dict[str, Form]] = {}
        self._unknown: Counter[str] = Counter()

    def candidate(self, response: Response, position: int) -> Candidate | str:
        """Return what a response says, or why it cannot serve."""
        if response.status not in _USABLE:
            return "not completed or amended"
        if response.questionnaire in self._ignored:
            return "of questionnaires that the mapping leaves out"
        answers = self._recognise(response)
        day = day_of(response.authored)
        if not answers:
            return "no answer that the mapping reads"
        if day is None:
            return "no day of answering"
        when = (response.authored[:19], response.status == "amended")
        return Candidate(response, day, when, answers, position)

    def refuse_unknown(self, path: Path) -> None:
        """Raise when any response has an answer to a question that the mapping does not know."""
        if not self._unknown:
            return
        listed = [f"{brief(name)} in {count:,}" for name, count in self._unknown.most_common(SHOWN)]
        rest = len(self._unknown) - len(listed)
        known = [link_id for form in self._mapping.forms for link_id in form.link_ids]
        first = self._unknown.most_common(1)[0][0]
        raise UnknownNameError(
            f"{path}: wanted answers to linkIds that the mapping knows; got "
            f"{', '.join(listed)}{f' and {rest} more' if rest else ''} responses."
            f"{did_you_mean(first[:80], known)} Read them, or name them in ignore_link_ids or "
            "their questionnaire in ignore_questionnaires."
        )

    def _recognise(self, response: Response) -> dict[str, tuple[tuple[Given, ...], ...]]:
        known = self._known(response.questionnaire)
        found: dict[str, list[Given]] = defaultdict(list)
        for link_id, given in response.answers:
            if link_id in known:
                found[link_id].extend(given)
            elif link_id not in self._unread:
                self._unknown[link_id] += 1
        forms = {form.name: form for link_id, form in known.items() if link_id in found}
        return {
            name: tuple(tuple(found.get(one, ())) for one in form.link_ids)
            for name, form in forms.items()
        }

    def _known(self, questionnaire: str) -> dict[str, Form]:
        if questionnaire not in self._forms:
            self._forms[questionnaire] = {
                link_id: form
                for form in self._mapping.forms
                if not form.questionnaires or questionnaire in form.questionnaires
                for link_id in form.link_ids
            }
        return self._forms[questionnaire]


def _serves(
    one: Candidate, theirs: list[Episode], store: Store, mapping: FhirMapping
) -> list[tuple[str, Round]] | str:
    """Return the episodes and rounds that a response may serve, or why there is none."""
    if not theirs:
        return "no operation of their patient"
    near = _nearest(one, theirs)
    if one.response.part_of:
        keys = {store.key(part) for part in one.response.part_of}
        named = {key for key in keys if _is_procedure(key, store)}
        near = [episode for episode in theirs if episode.key in named] if named else near
        if not near:
            return "part of a procedure that is no episode"
    only = _only_round(one, mapping)
    places: list[tuple[str, Round]] = []
    for episode in near:
        days = (one.day - episode.day).days
        of: Round = "before" if days <= 0 else "after"
        window: FhirWindow = getattr(mapping, of)
        if only in (None, of) and window.at_least <= abs(days) <= window.at_most:
            places.append((episode.key, of))
    return places or _why_outside(one, near, only)


def _nearest(one: Candidate, theirs: list[Episode]) -> list[Episode]:
    """Return, of each group, the last operation before the response and the next one."""
    last = {episode.group: episode for episode in theirs if episode.day < one.day}
    coming = {episode.group: episode for episode in reversed(theirs) if episode.day >= one.day}
    return [*last.values(), *coming.values()]


def _is_procedure(key: str, store: Store) -> bool:
    return key in store.kept["Procedure"] or key.startswith("Procedure/")


def _only_round(one: Candidate, mapping: FhirMapping) -> Round | None:
    """Return the one round that a response can be of by what it asks, or None for either."""
    questionnaire = one.response.questionnaire
    rounds = {of for form in mapping.forms if form.name in one.answers for of in form.columns}
    if len(rounds) == 1:
        return rounds.pop()
    for of in ROUND_PREFIXES:
        window: FhirWindow = getattr(mapping, of)
        if questionnaire and questionnaire in map(canonical_url, window.questionnaires):
            return of
    return None


def _why_outside(one: Candidate, near: list[Episode], only: Round | None) -> str:
    days = min(((one.day - episode.day).days for episode in near), key=abs)
    if only == "after" and days < 0:
        return "a follow-up dated before the operation"
    if only == "before" and days > 0:
        return "a first questionnaire dated after the operation"
    side = "before" if days < 0 or (days == 0 and only != "after") else "after"
    return f"outside the window {side} the operation"


def _choose(listed: list[Candidate], of: Round, mapping: FhirMapping) -> dict[str, Candidate]:
    """Return the response that each form is read from, and mark what became of the others."""
    window: FhirWindow = getattr(mapping, of)
    pick: Callable[..., Any] = min if window.choose == "first" else max
    chosen: dict[str, Candidate] = {}
    for form in mapping.forms:
        if of not in form.columns:
            continue
        holding = [one for one in listed if form.name in one.answers]
        if not holding:
            continue
        # An amended response replaces the completed one of the same time, whichever is picked.
        time = pick(one.when[0] for one in holding)
        at_once = [one for one in holding if one.when[0] == time]
        amended = [one for one in at_once if one.when[1]] or at_once
        if len({one.answers[form.name] for one in amended}) > 1:
            for one in amended:
                one.contradicted = True
            continue
        chosen[form.name] = amended[0]
        amended[0].used = True
    return chosen
