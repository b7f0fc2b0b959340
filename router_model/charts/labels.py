"""Find places for labels of points where they cover neither points, nor lines, nor each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels; y grows downwards
Line = Sequence[tuple[float, float]]

CHARACTER_WIDTH: Final = 0.56  # of the font's size; the mean of Latin letters in a sans-serif font
LINE_HEIGHT: Final = 1.25
_STEP: Final = 3.0  # pixels between the places at which a line is looked at


@dataclass(frozen=True, slots=True)
class Anchor:
    """A point that wants a label.

    Attributes
    ----------
    x, y : pixels
    text : str
    needed : a label that has no free place is left out, unless it is needed
    radius : of the point, in pixels
    """

    x: float
    y: float
    text: str
    needed: bool = False
    radius: float = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label stands: the left end of its middle line, in pixels from its point."""

    dx: float
    dy: float


def place_labels(
    anchors: Sequence[Anchor], lines: Sequence[Line], *, width: float, height: float, font_size: float = 12.0
) -> list[Place | None]:
    """Return a place for each label; None where there is no room.

    Labels that are needed are placed first, then the others in their order. Of the places around a point, the first
    that is free is taken. A needed label takes the least covered place where none is free.

    Parameters
    ----------
    lines : what labels must not cover, besides points and labels, in pixels
    width, height : of the area in which labels have to stay

    Examples
    --------
    The line runs to the right of the point, so the label goes above it:

    >>> place_labels([Anchor(50, 50, "gpt")], [[(50, 50), (200, 50)]], width=200, height=100)
    [Place(dx=8.0, dy=-14.0)]
    """
    obstacles = [_around(anchor) for anchor in anchors]
    points = np.array([point for line in lines for point in _dense(line)]).reshape(-1, 2)
    found: list[Place | None] = [None] * len(anchors)
    for index in sorted(range(len(anchors)), key=lambda one: not anchors[one].needed):
        anchor = anchors[index]
        others = [box for place, box in enumerate(obstacles) if place != index]
        best: tuple[float, Place, Box] | None = None
        for place in _places(anchor, font_size):
            box = _box(anchor, place, font_size)
            covered = _covered(box, others, points) + 50 * _outside(box, width, height)
            if best is None or covered < best[0]:
                best = covered, place, box
            if not covered:
                break
        if best is not None and (not best[0] or anchor.needed):
            found[index] = best[1]
            obstacles.append(best[2])
    return found


def text_width(text: str, font_size: float) -> float:
    """Return about how wide a text is, in pixels."""
    return CHARACTER_WIDTH * font_size * max((len(line) for line in text.split("\n")), default=0)


def _places(anchor: Anchor, font_size: float) -> list[Place]:
    wide = text_width(anchor.text, font_size)
    found: list[Place] = []
    for far in (1.0, 2.2, 3.6):
        side, up = anchor.radius + 3.0 * far, anchor.radius + 9.0 * far
        beside = [Place(dx, dy) for dx in (side, -side - wide) for dy in (0.0, -up, up)]
        found += [*beside, Place(-wide / 2, -up), Place(-wide / 2, up)]
    return found


def _box(anchor: Anchor, place: Place, font_size: float) -> Box:
    half = LINE_HEIGHT * font_size * (anchor.text.count("\n") + 1) / 2
    left, middle = anchor.x + place.dx, anchor.y + place.dy
    return left - 1, middle - half, left + text_width(anchor.text, font_size) + 1, middle + half


def _around(anchor: Anchor) -> Box:
    return anchor.x - anchor.radius, anchor.y - anchor.radius, anchor.x + anchor.radius, anchor.y + anchor.radius


def _dense(line: Line) -> list[tuple[float, float]]:
    found = [*line[:1]]
    for (x0, y0), (x1, y1) in pairwise(line):
        n = max(int(max(abs(x1 - x0), abs(y1 - y0)) / _STEP), 1)
        found += [(x0 + (x1 - x0) * step / n, y0 + (y1 - y0) * step / n) for step in range(1, n + 1)]
    return found


def _covered(box: Box, others: Sequence[Box], points: npt.NDArray[np.float64]) -> float:
    left, top, right, bottom = box
    crossed = sum(o[0] < right and left < o[2] and o[1] < bottom and top < o[3] for o in others)
    inside = (points[:, 0] > left) & (points[:, 0] < right) & (points[:, 1] > top) & (points[:, 1] < bottom)
    return 20.0 * crossed + float(inside.sum())


def _outside(box: Box, width: float, height: float) -> int:
    return (box[0] < 0) + (box[1] < 0) + (box[2] > width) + (box[3] > height)
