"""Runs are killed at any moment: what is left is whole, and the next run goes on from there."""

import shutil
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from ended import bytes_of
from killing import (
    AFTER,
    WITHIN,
    Home,
    Moment,
    check_left,
    check_over,
    check_store,
    moments,
    run_in_nursery,
    small_home,
)

NEVER_KEPT = ("read", "select", "report", "track")


class Whole(NamedTuple):
    """A run that nobody disturbed."""

    home: Home
    files: dict[str, str]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = small_home(tmp_path_factory.mktemp("killed"))
    ran = run_in_nursery(home)
    assert ran.taken_up == ()
    return Whole(home, bytes_of(home.out), ran.seconds)


def killed(whole: Whole, chosen: list[Moment]) -> tuple[Counter[str], set[str]]:
    """Kill a run at each moment, each going on from the one before; then let it end.

    Returns
    -------
    Counter of str, set of str
        How many were killed in which stage, and which stages were taken up.
    """
    home, where, taken_up = whole.home, Counter[str](), set[str]()
    before = check_store(home, whole.files)
    for one in chosen:
        ran = run_in_nursery(home, one)
        check_left(home, whole.files)
        taken_up |= {*ran.taken_up}
        if ran.was_killed:
            where[ran.in_stage] += 1
    taken_up |= {*run_in_nursery(home).taken_up}
    check_over(home, whole.files)
    assert check_store(home, whole.files) > before
    return where, taken_up


def test_a_run_that_is_killed_is_taken_up_and_leaves_the_same_bytes(whole: Whole) -> None:
    shutil.rmtree(whole.home.out)
    spent = whole.seconds
    where, taken_up = killed(
        whole,
        [
            Moment("ohs: expect", WITHIN, spent["ohs: expect"] / 2),
            Moment("report", AFTER, 0.002),
            Moment("track", WITHIN, spent["track"] / 2),
        ],
    )
    assert where.total() >= 2
    assert taken_up == {one for one in spent if one.split(": ")[-1] not in NEVER_KEPT}


@pytest.mark.slow
def test_two_hundred_kills_over_all_stages(whole: Whole) -> None:
    rng, where = np.random.default_rng(7), Counter[str]()
    for turn in range(100):
        if turn % 2:
            shutil.rmtree(whole.home.out)
        where += killed(whole, moments(whole.seconds, 10, rng))[0]
        if where.total() >= 200:
            break
    assert where.total() >= 200
    assert {one.removeprefix("after ") for one in where} >= {*whole.seconds}
