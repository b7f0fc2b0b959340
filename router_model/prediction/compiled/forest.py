"""Lay out LightGBM's trees as bit masks, so that many rows are scored at once (QuickScorer; Lucchese et al. 2015).

The leaves of a tree are numbered from left to right. If a row fails a test it goes right, which rules out the leaves to
the left of the test. The first leaf that no test ruled out is the leaf of the row. So all tests of a tree can be made
in any order and without branches, and one test serves many rows. ``native/forest.c`` makes them.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from router_model.prediction.booster_text import BoosterTextError, read_booster
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.saved_booster import SavedBooster

if TYPE_CHECKING:
    import lightgbm as lgb

FloatArray = npt.NDArray[np.float32]

MOST_LEAVES = 32
"""Most leaves of a tree: their bits are one unsigned integer of 32 bits."""


class Missing(IntEnum):
    """The value that a test compares instead of a missing value, as in LightGBM's NumericalDecision."""

    NAN_IS_ZERO = 0
    NAN_LEFT = 1
    NAN_RIGHT = 2
    ZERO_LEFT = 3
    ZERO_RIGHT = 4

    @classmethod
    def of(cls, decision_type: int) -> "Missing":
        """Decode LightGBM's byte: bit 0 is categorical, bit 1 default left, bits 2 and 3 the type of missing values."""
        kind = decision_type >> 2 & 3
        return cls(0 if kind == 0 else (3 if kind == 1 else 1) + (0 if decision_type & 2 else 1))


@dataclass(frozen=True, slots=True)
class _Tree:
    """One tree, its leaves from left to right."""

    inputs: list[tuple[int, Missing]]
    threshold: list[float]
    allowed: list[int]
    leaf: list[float]


def forest_arrays(boosters: "Sequence[lgb.Booster]", *, shared: Container[int] = ()) -> dict[str, npt.NDArray[Any]]:
    """Return the trees of some boosters, whose scores are averaged, as arrays.

    Parameters
    ----------
    shared : columns that have the same number in all rows that are scored together; two thirds of all tests read them

    Returns
    -------
    dict
        ``column``, ``missing``: int32, shape (n_inputs,). The inputs of tests: a column of the rows, and the treatment
        of its missing values (`Missing`). The first ``n_shared`` of them are shared.
        ``first_test``: int32, shape (n_trees + 1,). In each tree, the tests of shared inputs come first.
        ``first_own``: int32, shape (n_trees,). Where the tests of other inputs begin.
        ``input``: int32, shape (n_tests,). Index into ``column``.
        ``threshold``: float32, shape (n_tests,). A number up to it passes. It is the largest float32 number up to
        LightGBM's threshold, which gives the same result for float32 rows.
        ``allowed``: uint32, shape (n_tests,). Bits of the leaves that remain possible after the test fails.
        ``leaf``: float64, shape (n_trees, 16 or 32). Scores, from left to right.
        ``n_boosters``, ``n_shared``: int64, shape (1,).

    Raises
    ------
    NotCompilableError
        If they are not sums of trees with numerical tests and at most `MOST_LEAVES` leaves.
    """
    trees = [tree for booster in boosters for tree in _trees(booster)]
    most = max((len(tree.leaf) for tree in trees), default=1)
    if most > MOST_LEAVES:
        raise NotCompilableError(f"a tree has {most} leaves; expected at most {MOST_LEAVES}")
    inputs = sorted({each for tree in trees for each in tree.inputs}, key=lambda each: (each[0] not in shared, each))
    place = {each: position for position, each in enumerate(inputs)}
    n_shared = sum(column in shared for column, _ in inputs)
    places = [[place[each] for each in tree.inputs] for tree in trees]
    first_test = np.cumsum([0, *map(len, places)])
    order = np.array(
        [first + at for first, own in zip(first_test, places, strict=False) for at in np.argsort(own)], int
    )
    leaf = np.zeros((len(trees), MOST_LEAVES if most > MOST_LEAVES // 2 else MOST_LEAVES // 2))
    for row, tree in enumerate(trees):
        leaf[row, : len(tree.leaf)] = tree.leaf
    return {
        "column": np.array([column for column, _ in inputs], dtype=np.int32),
        "missing": np.array([missing for _, missing in inputs], dtype=np.int32),
        "first_test": first_test.astype(np.int32),
        "first_own": (first_test[:-1] + [sum(at < n_shared for at in own) for own in places]).astype(np.int32),
        "input": np.array([at for own in places for at in own], dtype=np.int32)[order],
        "threshold": _rounded_down(np.array([t for tree in trees for t in tree.threshold]))[order],
        "allowed": np.array([bit & _ALL for tree in trees for bit in tree.allowed], dtype=np.uint32)[order],
        "leaf": leaf,
        "n_boosters": np.array([len(boosters)]),
        "n_shared": np.array([n_shared]),
    }


_ALL = 2**MOST_LEAVES - 1


def _trees(booster: "lgb.Booster") -> Iterator[_Tree]:
    try:
        read = booster.take_text() if isinstance(booster, SavedBooster) else read_booster(booster.model_to_string())
    except BoosterTextError as exc:
        raise NotCompilableError(f"a booster is not one sum of trees with numerical tests ({exc})") from exc
    for tree in read.trees:
        order, allowed = _read_left_to_right(tree.left, tree.right)
        inputs = list(zip(tree.columns, map(Missing.of, tree.decision_types), strict=True))
        yield _Tree(inputs, tree.thresholds, allowed, [tree.leaf_values[each] for each in order])


def _read_left_to_right(left: list[int], right: list[int]) -> tuple[list[int], list[int]]:
    """Return the leaves from left to right, and each test's mask; children below 0 are leaves, ``~child``.

    >>> _read_left_to_right([1, -1], [-2, -3])[0]  # the root's left child is a test with leaves 0 and 2
    [0, 2, 1]
    """
    order: list[int] = []
    allowed = [0] * len(left)
    n_left_of = [0] * len(left)
    open_ = [(0 if left else ~0, False)]
    while open_:
        node, is_left_done = open_.pop()
        if node < 0:
            order.append(~node)
        elif is_left_done:
            allowed[node] = ~((1 << len(order)) - (1 << n_left_of[node]))
        else:
            n_left_of[node] = len(order)
            open_ += [(right[node], False), (node, True), (left[node], False)]
    return order, allowed


def _rounded_down(numbers: npt.NDArray[np.float64]) -> FloatArray:
    """Return the largest float32 numbers up to `numbers`; infinity stays, because LightGBM separates NaN with it.

    >>> _rounded_down(np.array([0.1, 1e300, np.inf])).tolist()
    [0.09999999403953552, 3.4028234663852886e+38, inf]
    """
    with np.errstate(over="ignore"):
        near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)
