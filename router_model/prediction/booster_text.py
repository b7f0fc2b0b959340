"""Read LightGBM's text format ourselves and check it completely before LightGBM reads it.

LightGBM trusts the text. If a child is not a node, a column does not exist, or the size of a tree is wrong, it reads or
writes outside its arrays, or ends the process. So every line must be a known one here, and every number within its
bounds. Only boosters of the kind that this project trains are allowed: one sum of trees with numerical tests and
constant leaves.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

_T = TypeVar("_T", int, float)

MAX_LEAVES: Final = 131_072
"""LightGBM's own limit for the leaves of a tree."""
OBJECTIVES: Final = {"success": "binary sigmoid:1"}
"""The training objective for each predicted target; the logarithm of an amount has ``regression_l1``."""
_AMOUNT: Final = "regression_l1"

_END: Final = "end of trees\n\n"
_HEADER: Final = (
    *("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective"),
    *("feature_names", "feature_infos", "tree_sizes"),
)
_FIXED: Final = {"num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
_VERSIONS: Final = ("v3", "v4")
_TREE: Final = (
    *("num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child"),
    *("right_child", "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight"),
    *("internal_count", "is_linear", "shrinkage"),
)
_INFO: Final = re.compile(r"none|\[[-+.e\d]+:[-+.e\d]+\]", re.ASCII)
_INTEGERS: Final = re.compile(r"(?:-?\d{1,10}(?: -?\d{1,10})*)?", re.ASCII)
_NUMBER: Final = r"(?:-?\d{1,40}(?:\.\d{1,40})?(?:e[-+]?\d{1,3})?|inf)"
_NUMBERS: Final = re.compile(rf"(?:{_NUMBER}(?: {_NUMBER})*)?", re.ASCII)
_TAIL: Final = re.compile(
    r"feature_importances:\n(?:[^\s=]{1,200}=\d{1,10}\n)*"
    r"\nparameters:\n(?:\[[a-z\d_]{1,60}: [^\]\n]{0,2000}\]\n)*\nend of parameters\n"
    r"(?:\npandas_categorical:(?:null|\[\])\n?)?",
    re.ASCII,
)
_DECISION_TYPES: Final = frozenset(missing << 2 | left for missing in (0, 1, 2) for left in (0, 2))
"""Codes of numerical tests: bits 2 and 3 say which values are missing (none, zero, NaN), bit 1 if these go left."""


class BoosterTextError(ValueError):
    """Raised if this project's training cannot have written the text; the message names the line."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; its nodes are tests, node 0 is the root, and a child below 0 is the leaf ``~child``.

    Attributes
    ----------
    columns, decision_types, left, right : lists of int, a number for each test
    thresholds : list of float, one for each test
    leaf_values : list of float, one more than tests
    """

    columns: list[int]
    thresholds: list[float]
    decision_types: list[int]
    left: list[int]
    right: list[int]
    leaf_values: list[float]


@dataclass(frozen=True, slots=True)
class BoosterText:
    """A booster as read from its text.

    Attributes
    ----------
    names : list of str
        Names of the columns.
    objective : str
    trees : list of Tree
    """

    names: list[str]
    objective: str
    trees: list[Tree]


def check_booster(text: str, *, predicts: str, names: Sequence[str]) -> BoosterText:
    """Check that a text is a booster of this project, for these columns, and return what it says.

    Parameters
    ----------
    text : LightGBM's
    predicts : ``success`` or the name of an amount
    names : the names of the columns that the booster must read

    Raises
    ------
    BoosterTextError
    """
    booster = read_booster(text)
    objective = OBJECTIVES.get(predicts, _AMOUNT)
    if booster.objective != objective:
        raise BoosterTextError(f"the objective is {booster.objective!r}, expected {objective!r} for {predicts}")
    if booster.names != list(names):
        raise BoosterTextError(f"{len(booster.names)} columns, expected the {len(names)} of this version by name")
    return booster


def read_booster(text: str) -> BoosterText:
    """Read a booster and check each of its lines and numbers.

    Raises
    ------
    BoosterTextError
    """
    if not text.isascii():
        raise BoosterTextError("holds characters that are not ASCII; names of columns and numbers are")
    content = text.encode()
    head, blank, _ = content.partition(b"\n\n")
    header = _header(head.decode())
    names = header["feature_names"].split(" ")
    if header["max_feature_idx"] != str(len(names) - 1):
        raise BoosterTextError(f"max_feature_idx is {header['max_feature_idx'][:20]!r} with {len(names)} columns")
    infos = header["feature_infos"].split(" ")
    if len(infos) != len(names) or not all(_INFO.fullmatch(info) for info in infos):
        raise BoosterTextError("feature_infos are not a range for each column")
    sizes = _integers(header, "tree_sizes")
    start = len(head) + len(blank)
    trees = []
    for number, block in enumerate(_blocks(content, start, sizes)):
        try:
            trees.append(_tree(block, number, n_columns=len(names)))
        except BoosterTextError as exc:
            raise BoosterTextError(f"tree {number}: {exc}") from None
    tail = content[start + sum(sizes) :].decode()
    if not tail.startswith(_END) or _TAIL.fullmatch(tail, len(_END)) is None:
        raise BoosterTextError("the text after the trees differs from LightGBM's format")
    return BoosterText(names, header["objective"], trees)


def _header(head: str) -> dict[str, str]:
    first, *lines = head.split("\n")
    if first != "tree":
        raise BoosterTextError(f"the first line is {first[:40]!r}, expected 'tree'")
    header = _fields(lines, _HEADER)
    wrong = {name: header[name] for name, value in _FIXED.items() if header[name] != value}
    if wrong or header["version"] not in _VERSIONS:
        said = wrong or {"version": header["version"]}
        raise BoosterTextError(f"{str(said)[:80]} in the header, expected one sum of trees, version 3 or 4")
    return header


def _blocks(content: bytes, start: int, sizes: Sequence[int]) -> Iterator[str]:
    """Yield each tree's text; LightGBM jumps by ``tree_sizes``, so each tree must begin where these say."""
    for number, size in enumerate(sizes):
        block = content[start : start + max(size, 0)]
        if size <= 0 or len(block) != size:
            raise BoosterTextError(f"tree_sizes: tree {number} has {size} bytes, {len(content) - start} are left")
        start += size
        yield block.decode()


def _tree(block: str, number: int, *, n_columns: int) -> Tree:
    title, *lines = block.rstrip("\n").split("\n")
    if title != f"Tree={number}":
        raise BoosterTextError(f"begins with {title[:40]!r}, expected 'Tree={number}'")
    if not block.endswith("\n\n"):
        raise BoosterTextError("does not end where tree_sizes says")
    fields = _fields(lines, _TREE)
    if (fields["num_cat"], fields["is_linear"]) != ("0", "0"):
        raise BoosterTextError("has categorical tests or linear leaves; expected numerical tests and constants")
    n_leaves = _integers(fields, "num_leaves", 1)[0]
    if not 1 <= n_leaves <= MAX_LEAVES:
        raise BoosterTextError(f"num_leaves is {n_leaves}, expected 1 to {MAX_LEAVES}")
    n_tests = n_leaves - 1
    tree = Tree(
        columns=_integers(fields, "split_feature", n_tests),
        thresholds=_numbers(fields, "threshold", n_tests),
        decision_types=_integers(fields, "decision_type", n_tests),
        left=_integers(fields, "left_child", n_tests),
        right=_integers(fields, "right_child", n_tests),
        leaf_values=_numbers(fields, "leaf_value", n_leaves),
    )
    _check_statistics(fields, n_tests)
    if not all(map(math.isfinite, tree.leaf_values)):
        raise BoosterTextError("a leaf's value is not finite")
    if not all(0 <= column < n_columns for column in tree.columns):
        raise BoosterTextError(f"split_feature {tree.columns} is not within {n_columns} columns")
    if not _DECISION_TYPES.issuperset(tree.decision_types):
        raise BoosterTextError(f"decision_type {tree.decision_types} is not of numerical tests")
    _check_children(tree.left, tree.right)
    return tree


def _check_statistics(fields: dict[str, str], n_tests: int) -> None:
    """Check the statistics that LightGBM reads from the file, though no prediction uses them."""
    for name, read in (("leaf_weight", _numbers), ("leaf_count", _integers)):
        if n_tests or fields[name]:  # a tree with one leaf may lack them
            read(fields, name, n_tests + 1)
    for name in ("internal_value", "internal_weight"):
        _numbers(fields, name, n_tests)
    _integers(fields, "internal_count", n_tests)
    _numbers(fields, "split_gain", n_tests)
    if not math.isfinite(_numbers(fields, "shrinkage", 1)[0]):
        raise BoosterTextError("the shrinkage is not finite")


def _check_children(left: Sequence[int], right: Sequence[int]) -> None:
    """Check that every test and leaf is reached from the root exactly once."""
    n_tests = len(left)
    reached_tests, reached_leaves = [False] * n_tests, [False] * (n_tests + 1)
    open_ = [0] if n_tests else [~0]
    while open_:
        node = open_.pop()
        reached, place = (reached_tests, node) if node >= 0 else (reached_leaves, ~node)
        if place >= len(reached) or reached[place]:
            raise BoosterTextError(f"the child {node} is outside the tree, or two tests have it")
        reached[place] = True
        if node >= 0:
            open_ += [right[node], left[node]]
    if not all(reached_tests) or not all(reached_leaves):
        raise BoosterTextError("tests or leaves are not below the root")


def _fields(lines: Sequence[str], expected: Sequence[str]) -> dict[str, str]:
    """Return the values by name; raise an error unless each expected name occurs exactly once."""
    pairs = [line.partition("=") for line in lines]
    found = [name for name, _, _ in pairs]
    if sorted(found) != sorted(expected):
        odd = sorted({*found} ^ {*expected}) or sorted(name for name in {*found} if found.count(name) > 1)
        raise BoosterTextError(f"missing, unknown or repeated lines: {json.dumps(odd)[:200]}")
    return {name: value for name, _, value in pairs}


def _integers(fields: dict[str, str], name: str, size: int | None = None) -> list[int]:
    if _INTEGERS.fullmatch(fields[name]) is None:
        raise BoosterTextError(f"{name} is not a list of whole numbers")
    return _sized(name, [int(number) for number in fields[name].split()], size)


def _numbers(fields: dict[str, str], name: str, size: int) -> list[float]:
    if _NUMBERS.fullmatch(fields[name]) is None:
        raise BoosterTextError(f"{name} is not a list of numbers")
    return _sized(name, [float(number) for number in fields[name].split()], size)


def _sized(name: str, numbers: list[_T], size: int | None) -> list[_T]:
    if size is not None and len(numbers) != size:
        raise BoosterTextError(f"{name} has {len(numbers)} numbers, expected {size}")
    return numbers
