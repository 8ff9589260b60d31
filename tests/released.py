"""An attacker with a linear programme: what follows of the cells that are hidden from all shown."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

Cell = Hashable


@dataclass
class Released:
    """Numbers of patients, some of which are shown, and sums of them that are.

    Whatever is not shown is only known to be 0 or more, and to be in sums and orders with others.
    """

    shown: dict[Cell, float] = field(default_factory=dict)
    sums: list[tuple[dict[Cell, float], float]] = field(default_factory=list)
    orders: list[tuple[Cell, Cell]] = field(default_factory=list)

    def show(self, cell: Cell, value: float) -> None:
        """Show a number; one that is shown twice has to be the same."""
        assert self.shown.setdefault(cell, float(value)) == float(value), cell

    def total(self, cells: Iterable[Cell], value: float) -> None:
        """Show a sum."""
        self.sums.append((dict.fromkeys(cells, 1.0), float(value)))

    def at_most(self, less: Cell, more: Cell) -> None:
        """Let it be known that one number is no larger than another."""
        self.orders.append((less, more))

    def bounds(self, cells: Iterable[Cell]) -> dict[Cell, tuple[float, float]]:
        """Return between which numbers each cell has to be."""
        return {one: self._bounds(one) for one in cells if one not in self.shown}

    def _bounds(self, cell: Cell) -> tuple[float, float]:
        system = self._system
        if cell not in system.place:
            return 0.0, np.inf
        ends = [system.extreme(cell, sign) for sign in (1.0, -1.0)]
        return ends[0], ends[1]

    @property
    def _system(self) -> "_System":
        if not hasattr(self, "_made"):
            self._made = _System.of(self)
        return self._made


@dataclass
class _System:
    place: Mapping[Cell, int]
    equal: csr_array | None
    equals: np.ndarray
    less: csr_array | None
    least: np.ndarray

    @classmethod
    def of(cls, known: Released) -> "_System":
        hidden: dict[Cell, int] = {}
        rows = [
            ({c: w for c, w in some.items() if c not in known.shown},
             value - sum(w * known.shown[c] for c, w in some.items() if c in known.shown))
            for some, value in known.sums
        ]  # fmt: skip
        orders = [one for one in known.orders if not set(one) <= set(known.shown)]
        unequal = [
            ({c: w for c, w in ((less, 1.0), (more, -1.0)) if c not in known.shown},
             known.shown.get(more, 0.0) - known.shown.get(less, 0.0))
            for less, more in orders
        ]  # fmt: skip
        for some, _ in (*rows, *unequal):
            for cell in some:
                hidden.setdefault(cell, len(hidden))
        return cls(hidden, *_matrix(rows, hidden), *_matrix(unequal, hidden))

    def extreme(self, cell: Cell, sign: float) -> float:
        aim = np.zeros(len(self.place))
        aim[self.place[cell]] = sign
        found = linprog(
            aim, A_ub=self.less, b_ub=self.least, A_eq=self.equal, b_eq=self.equals,
            bounds=(0, None), method="highs",
        )  # fmt: skip
        if found.status == 3:
            return np.inf
        assert found.status == 0, found.message
        return float(sign * found.fun)


def _matrix(
    rows: list[tuple[dict[Cell, float], float]], place: Mapping[Cell, int]
) -> tuple[csr_array | None, np.ndarray]:
    rows = [one for one in rows if one[0]]
    if not rows:
        return None, np.zeros(0)
    entries = [(at, place[c], w) for at, (some, _) in enumerate(rows) for c, w in some.items()]
    at, column, weight = zip(*entries, strict=True)
    matrix = csr_array((weight, (at, column)), shape=(len(rows), len(place)))
    return matrix, np.array([value for _, value in rows])


def too_tight(
    known: Released, truth: Mapping[Cell, float], below: int
) -> dict[Cell, tuple[float, float, float]]:
    """Return hidden cells that hold anybody and are told to within less than `below`."""
    held = [cell for cell, value in truth.items() if value > 0]
    return {
        cell: (truth[cell], *ends)
        for cell, ends in known.bounds(held).items()
        if ends[1] - ends[0] < below - 1e-6
    }
