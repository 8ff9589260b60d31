"""A neutral budget: balances moved so that they sum to a pool, to the minor unit.

Exact shares are rounded as every line is; what then lacks to the largest-remainder share is a line
of its own, so that each printed formula still gives the amount beside it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from riskadj.errors import ValuesError
from riskadj.payment.accounts import Account
from riskadj.payment.formula import Figure, number
from riskadj.payment.lines import Line, Writer
from riskadj.payment.money import from_minor, share_out
from riskadj.payment.words import for_people

Lines = dict[str, tuple[Line, ...]]


def shift(accounts: Mapping[str, Account], pool: int, writer: Writer) -> Lines:
    """Return the same amount per episode for everybody.

    Raises
    ------
    ValuesError
        When there is something to move and no episode to share it by.
    """
    over = sum(one.balance for one in accounts.values()) - pool
    if over == 0:
        return {}
    episodes = {name: one.n or 0 for name, one in accounts.items()}
    total = number(sum(episodes.values()))
    if total.value == 0:
        raise ValuesError(
            "budget: wanted episodes to share what a neutral budget moves; got none. Settle it "
            "open, or on providers with episodes."
        )
    shares = share_out(-over, episodes)
    left = for_people(from_minor(abs(over), writer.currency))
    which = "left over from" if over < 0 else "too much paid to"
    label = (
        f"Neutral budget: {left} {which} all providers, over {for_people(total.text)} episodes: "
        "the same per episode"
    )
    return {
        name: _moved(
            label,
            number(episodes[name]) * writer.money(-over) / total,
            shares[name],
            writer,
        )
        for name in accounts
    }


def scale(accounts: Mapping[str, Account], pool: int, writer: Writer) -> Lines:
    """Return cuts in proportion: of gains where they are too many, else of losses.

    Raises
    ------
    ValuesError
        When there are fewer gains, or losses, than would have to be cut.
    """
    balances = {name: one.balance for name, one in accounts.items()}
    over = sum(balances.values()) - pool
    sign = 1 if over > 0 else -1
    cut = {name: max(sign * one, 0) for name, one in balances.items()}
    whole = sum(cut.values())
    if abs(over) > whole:
        raise ValuesError(
            f"budget: wanted to scale {'gains' if sign > 0 else 'losses'} so that settlements sum "
            f"to {from_minor(pool, writer.currency)}; got only "
            f"{from_minor(whole, writer.currency)} of them, and "
            f"{from_minor(abs(over), writer.currency)} to cut. Choose how: shift, or another pool."
        )
    if over == 0:
        return {}
    shares = share_out(-over, cut)
    label = f"Neutral budget: {'gains' if sign > 0 else 'losses'} cut in proportion"
    return {
        name: _moved(
            label,
            writer.money(one) * writer.money(-over) / writer.money(whole),
            shares[name],
            writer,
        )
        for name, one in cut.items()
        if one
    }


BALANCERS: Mapping[str, Callable[[Mapping[str, Account], int, Writer], Lines]] = MappingProxyType(
    {"shift": shift, "scale": scale}
)
"""By what a contract calls them."""


def _moved(label: str, exact: Figure, share: int, writer: Writer) -> tuple[Line, ...]:
    """Return the exact share rounded as every line is, and the minor unit that makes sums meet."""
    line = writer.payment(label, exact)
    rest = share - line.amount
    if rest == 0:
        return (line,)
    return (line, writer.payment("So that all shares sum to the pool", writer.money(rest)))
