"""The tree of errors: its exit codes are its documentation, and messages lead somewhere."""

import re

import pytest

from riskadj import errors
from riskadj.errors import RiskadjError, did_you_mean

OURS = {
    name: one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, RiskadjError)
}
DOCUMENTED = {
    name: (int(code), meaning.strip())
    for name, code, meaning in re.findall(
        r"^ *(?:[|`]-- )?(\w+Error) +(\d+) +(.+)$", errors.__doc__ or "", re.MULTILINE
    )
}


def test_the_table_documents_every_error_and_no_other() -> None:
    assert DOCUMENTED.keys() == OURS.keys()


@pytest.mark.parametrize("name", OURS)
def test_an_error_has_the_exit_code_of_the_table(name: str) -> None:
    assert OURS[name].exit_code == DOCUMENTED[name][0]


@pytest.mark.parametrize("name", sorted(OURS.keys() - {"RiskadjError"}))
def test_an_error_says_the_same_in_the_table_and_of_itself(name: str) -> None:
    said = (OURS[name].__doc__ or "").splitlines()[0]
    assert said.lower().startswith(DOCUMENTED[name][1].lower())


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [one.exit_code for one in OURS.values()]
    assert len(set(codes)) == len(codes)
    assert not {0, 2} & set(codes)
    assert max(codes) < 126


@pytest.mark.parametrize("one", OURS.values(), ids=OURS)
def test_every_error_is_caught_as_ours(one: type[RiskadjError]) -> None:
    with pytest.raises(RiskadjError, match="why"):
        raise one("why")


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("age", ["age_years", "sex"], ""),
        ("age_year", ["age_years", "sex"], " Did you mean 'age_years'?"),
        ("SEX", ["age_years", "Sex"], ""),
        ("anything", [], ""),
        ("GPB", ["PAB", "USD", "GBP"], " Did you mean 'GBP'?"),
        ("P080", ["P060", "P008", "P090"], " Did you mean 'P008'?"),
        ("", ["age_years"], ""),
    ],
)
def test_a_hint_is_given_for_a_close_name_only(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint
