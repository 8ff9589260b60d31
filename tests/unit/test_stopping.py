"""Who is told to stop while something is held back is stopped afterwards, whatever came of it."""

import signal

import pytest

from riskadj.stopping import held_back, listening, was_told

STOPS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("told", STOPS)
def test_an_error_inside_does_not_swallow_it(told):
    def fail():
        with held_back():
            signal.raise_signal(told)
            raise OSError("no workers")

    with listening():
        with pytest.raises(KeyboardInterrupt):
            fail()
        assert was_told()


def test_an_ignored_signal_does_not_hide_another():
    heard = []
    before = [signal.signal(signal.SIGINT, signal.SIG_IGN),
              signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))]  # fmt: skip
    try:
        with held_back():
            for one in STOPS:
                signal.raise_signal(one)
    finally:
        for one, handler in zip(STOPS, before, strict=True):
            signal.signal(one, handler)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("told", STOPS)
def test_who_is_told_twice_does_not_wait(told):
    done = []

    def wait():
        with held_back():
            for _ in range(2):
                signal.raise_signal(told)
                done.append(told)

    with listening(), pytest.raises(KeyboardInterrupt):
        wait()
    assert done == [told]


def test_handlers_are_as_they_were():
    before = [signal.getsignal(one) for one in STOPS]
    with listening(), held_back():
        assert [signal.getsignal(one) for one in STOPS] != before
    assert [signal.getsignal(one) for one in STOPS] == before
    assert not was_told()
