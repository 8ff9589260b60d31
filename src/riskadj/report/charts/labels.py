"""Where the labels of a chart go, so that they keep out of each other's way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

WIDTH, HEIGHT = 330, 260
"""Of the plotting area, in pixels."""
LETTER_WIDTH, LINE_HEIGHT, GAP = 6.2, 12.0, 4.0

_NEAR = ((1, 0), (-1, 0), (1, -8), (1, 8), (-1, -8), (-1, 8), (0, -13), (0, 13))
_FAR = tuple(
    (side, down) for down in (-24, 24, -36, 36, -48, 48) for side in (0.5, -0.5, 0, 1, -1, 2, -2)
)
"""Where a label is tried: how far beside its mark, in half widths of itself, and how far below."""

Pixel = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The plotting area: which values lie where, in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a point; the upper left corner is (0, 0)."""
        (left, right), (low, high) = self.x, self.y
        return (x - left) / (right - left) * WIDTH, (high - y) / (high - low) * HEIGHT

    def value(self, x: float, y: float) -> tuple[float, float]:
        """Return the point at a pixel."""
        (left, right), (low, high) = self.x, self.y
        return left + x / WIDTH * (right - left), high - y / HEIGHT * (high - low)


class Box(NamedTuple):
    """A rectangle in pixels; the upper left corner of the chart is (0, 0)."""

    left: float
    top: float
    right: float
    bottom: float

    def hits(self, other: "Box") -> bool:
        """Whether the two overlap."""
        return not (
            self.right <= other.left or other.right <= self.left
            or self.bottom <= other.top or other.bottom <= self.top
        )  # fmt: skip


def place_labels(
    points: pd.DataFrame,
    frame: Frame,
    beyond: Sequence[str],
    bars: pd.DataFrame | None = None,
) -> list[dict[str, Any]]:
    """Return labels of providers with the flags given; one without free room goes unlabelled.

    All that have room right at their mark get it before the others are led away from theirs.
    They keep clear of marks, and of `bars`, which stand at `x` from `y` to `y2`.
    """
    flagged = points[points["flag"].isin(beyond)].sort_values(
        ["n", "provider_id"], ascending=[False, True]
    )
    waiting = list(flagged[["provider_id", "x", "y"]].itertuples(index=False, name=None))
    marks = [around(*frame.at(x, y), 9, 9) for x, y in points[["x", "y"]].to_numpy()]
    if bars is not None:
        marks += [_bar(frame, *one) for one in bars[["x", "y", "y2"]].to_numpy()]
    written: list[Box] = []
    rows = []
    for nudges in (_NEAR, _FAR):
        for name, x, y in tuple(waiting):
            point, width = frame.at(x, y), LETTER_WIDTH * len(name) + GAP
            spot = _free_spot(point, width, nudges, marks, written)
            if spot is not None:
                waiting.remove((name, x, y))
                written += [around(*spot, width, LINE_HEIGHT), *_leader(point, spot)]
                rows.append({"text": name, "x0": x, "y0": y} | _label(point, spot, frame))
    return rows


def _bar(frame: Frame, x: float, y: float, y2: float) -> Box:
    (across, bottom), (_, top) = frame.at(x, y), frame.at(x, y2)
    return Box(across - 2, top, across + 2, bottom)


def _label(point: Pixel, spot: Pixel, frame: Frame) -> dict[str, float | bool]:
    """Return where a label and the end of its leader go, and whether it has a leader."""
    (x, y), (x2, y2) = frame.value(*spot), frame.value(spot[0], _edge(point, spot))
    return {"x": x, "y": y, "x2": x2, "y2": y2, "far": bool(_leader(point, spot))}


def _edge(point: Pixel, spot: Pixel) -> float:
    return spot[1] + (LINE_HEIGHT / 2 if spot[1] < point[1] else -LINE_HEIGHT / 2)


def _leader(point: Pixel, spot: Pixel) -> list[Box]:
    """Return the line from a mark to its label as small boxes; none where they are close."""
    if abs(spot[1] - point[1]) <= LINE_HEIGHT + 2:
        return []
    across, down = spot[0] - point[0], _edge(point, spot) - point[1]
    return [
        around(point[0] + share * across, point[1] + share * down, 2, 2)
        for share in (0.3, 0.5, 0.7, 0.9)
    ]


def _free_spot(
    point: Pixel,
    width: float,
    nudges: Sequence[tuple[float, float]],
    marks: Sequence[Box],
    written: Sequence[Box],
) -> Pixel | None:
    """Return the first place where neither the label nor its leader runs into another."""
    for side, down in nudges:
        spot = (point[0] + side * (width / 2 + 7), point[1] + down)
        box = around(*spot, width, LINE_HEIGHT)
        inside = box.left >= 0 and box.right <= WIDTH and box.top >= 0 and box.bottom <= HEIGHT
        crossed = any(part.hits(other) for part in _leader(point, spot) for other in written)
        if inside and not crossed and not any(box.hits(other) for other in (*marks, *written)):
            return spot
    return None


def around(x: float, y: float, width: float, height: float) -> Box:
    """Return the box of a size around a point."""
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def spread_lines(heights: Sequence[float], gap: float = LINE_HEIGHT) -> list[float]:
    """Return heights, given from top to bottom, at least a line apart around the middle one."""
    middle = len(heights) // 2
    placed = list(heights)
    for here in range(middle - 1, -1, -1):
        placed[here] = min(placed[here], placed[here + 1] - gap)
    for here in range(middle + 1, len(placed)):
        placed[here] = max(placed[here], placed[here - 1] + gap)
    return placed
