"""Evaluate LightGBM's trees for many rows at once with bit masks (QuickScorer; Lucchese et al. 2015).

The leaves of a tree are numbered from left to right. If a row fails a test it goes right, which rules out the leaves to
the left of the test. The first leaf that no test ruled out is the leaf of the row. So all tests of a tree can be made
in any order and without branches, and one test serves many rows.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router_model.prediction.booster_text import BoosterTextError, read_booster
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.compiled.jit import compiled

FloatArray = npt.NDArray[np.float32]
Array = np.ndarray[Any, np.dtype[Any]]

_LANES, _MANY_LANES, _MANY_ROWS = 16, 64, 48  # rows that share each test; the fastest in docs/decisions/0010
_SMALL, _LARGE = 31, 63  # most leaves whose bits fit a signed integer of 32 or 64 bits
_ZERO = np.float32(1e-35)  # LightGBM's kZeroThreshold: smaller magnitudes count as 0


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
class Forest:
    """The trees of some boosters, whose scores are averaged.

    Attributes
    ----------
    n_boosters : int
    column, missing : int32 arrays, shape (n_inputs,)
        The inputs of tests: a column of the rows, and the treatment of its missing values (`Missing`).
    first_test : int32 array, shape (n_trees + 1,)
    input : int32 array, shape (n_tests,), even in every tree
        Index into `column`.
    threshold : float32 array, shape (n_tests,)
        A number up to it passes. It is the largest float32 number up to LightGBM's threshold, which gives the same
        result for float32 rows.
    allowed : int32 or int64 array, shape (n_tests,)
        Bits of the leaves that remain possible after the test fails.
    leaf : float64 array, shape (n_trees, most leaves)
        Scores, from left to right.
    """

    n_boosters: int
    column: npt.NDArray[np.int32]
    missing: npt.NDArray[np.int32]
    first_test: npt.NDArray[np.int32]
    input: npt.NDArray[np.int32]
    threshold: FloatArray
    allowed: Array
    leaf: npt.NDArray[np.float64]

    @classmethod
    def of(cls, boosters: Sequence[lgb.Booster]) -> "Forest":
        """Read boosters.

        Raises
        ------
        NotCompilableError
            If they are not sums of trees with numerical tests and at most 63 leaves.
        """
        trees = [tree.in_pairs() for booster in boosters for tree in _trees(booster)]
        most = max((len(tree.leaf) for tree in trees), default=1)
        if most > _LARGE:
            raise NotCompilableError(f"a tree has {most} leaves; expected at most {_LARGE}")
        inputs = sorted({each for tree in trees for each in tree.inputs})
        place = {each: position for position, each in enumerate(inputs)}
        leaf = np.zeros((len(trees), most))
        for row, tree in enumerate(trees):
            leaf[row, : len(tree.leaf)] = tree.leaf
        bits = np.int32 if most <= _SMALL else np.int64
        return cls(
            n_boosters=len(boosters),
            column=np.array([column for column, _ in inputs], dtype=np.int32),
            missing=np.array([missing for _, missing in inputs], dtype=np.int32),
            first_test=np.cumsum([0, *(len(tree.inputs) for tree in trees)]).astype(np.int32),
            input=np.array([place[each] for tree in trees for each in tree.inputs], dtype=np.int32),
            threshold=_rounded_down(np.array([t for tree in trees for t in tree.threshold])),
            allowed=np.array([bit for tree in trees for bit in tree.allowed], dtype=bits),
            leaf=leaf,
        )

    def mean_score(self, columns: FloatArray) -> npt.NDArray[np.float64]:
        """Return the mean of the boosters' scores, shape (n_rows,).

        Parameters
        ----------
        columns : shape (n_columns, n_rows)
        """
        lanes = _LANES if columns.shape[1] < _MANY_ROWS else _MANY_LANES
        values = _inputs(columns, self.column, self.missing, lanes)
        total = _total(values, self.first_test, self.input, self.threshold, self.allowed, self.leaf)
        return np.asarray(total[: columns.shape[1]] / self.n_boosters)


@dataclass(frozen=True, slots=True)
class _Tree:
    """One tree, its leaves from left to right."""

    inputs: list[tuple[int, Missing]]
    threshold: list[float]
    allowed: list[int]
    leaf: list[float]

    def in_pairs(self) -> "_Tree":
        """Add a test that every row passes if their number is odd, because `_total` makes two tests at a time."""
        if len(self.inputs) % 2 == 0:
            return self
        return _Tree([*self.inputs, self.inputs[0]], [*self.threshold, math.inf], [*self.allowed, -1], self.leaf)


def _trees(booster: lgb.Booster) -> Iterator[_Tree]:
    try:
        trees = read_booster(booster.model_to_string()).trees
    except BoosterTextError as exc:
        raise NotCompilableError(f"a booster is not one sum of trees with numerical tests ({exc})") from exc
    for tree in trees:
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


@compiled
def _inputs(columns, column, missing, lanes):
    """Lay out the inputs of tests with missing values replaced, shape (n_blocks, n_inputs, lanes)."""
    n_rows = columns.shape[1]
    laid = np.zeros(((n_rows + lanes - 1) // lanes, len(column), lanes), dtype=np.float32)
    for each in range(len(column)):
        kind = missing[each]
        instead = np.float32(0)
        if kind in (Missing.NAN_LEFT, Missing.ZERO_LEFT):
            instead = np.float32(-np.inf)
        elif kind in (Missing.NAN_RIGHT, Missing.ZERO_RIGHT):
            instead = np.float32(np.nan)
        for row in range(n_rows):
            value = columns[column[each], row]
            if np.isnan(value):
                value = instead
            elif abs(value) <= _ZERO:
                value = instead if kind >= Missing.ZERO_LEFT else np.float32(0)
            laid[row // lanes, each, row % lanes] = value
    return laid


@compiled
def _total(values, first_test, inputs, threshold, allowed, leaf):
    """Return the sum of all trees' scores, shape (n_blocks * lanes,).

    Making two tests at a time, with arithmetic in the masks' own type instead of branches, lets a compiler use vector
    instructions.
    """
    lanes, bits = values.shape[2], allowed.dtype.type
    total = np.zeros((len(values), lanes))
    possible = np.empty(lanes, dtype=allowed.dtype)
    lowest = np.empty(lanes)
    exponent = lowest.view(np.int64)
    for block in range(len(values)):
        laid = values[block]
        for tree in range(len(leaf)):
            possible[:] = -1
            for test in range(first_test[tree], first_test[tree + 1], 2):
                read, above, left = laid[inputs[test]], threshold[test], allowed[test]
                read_2, above_2, left_2 = laid[inputs[test + 1]], threshold[test + 1], allowed[test + 1]
                for lane in range(lanes):
                    # a passed test is 1, and -1 has all bits set; NaN passes no test
                    first = bits(left | bits(-bits(read[lane] <= above)))
                    second = bits(left_2 | bits(-bits(read_2[lane] <= above_2)))
                    possible[lane] = bits(possible[lane] & bits(first & second))
            for lane in range(lanes):
                # the lowest set bit is a power of two, and its exponent as a float64 is the leaf
                lowest[lane] = bits(possible[lane] & bits(-possible[lane]))
            for lane in range(lanes):
                total[block, lane] += leaf[tree, (exponent[lane] >> 52) - 1023]
    return total.ravel()
