r"""The grader ``tool-calls``: whether a model called the right tools with the right arguments, in any order.

A reference is a JSON list of calls in one of these forms; an empty list means that no tool may be called:

- OpenAI's: ``{"type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}``;
- short: ``{"name": "f", "arguments": {"x": 1}}``;
- that of the Berkeley function calling leaderboard, which lists the values that it accepts for each parameter:
  ``{"f": {"x": [1, 2], "unit": ["m", ""]}}``. The text ``""`` in a list means that the parameter may be left out.

Arguments are compared as JSON values: 1 equals 1.0, ``true`` is not 1, and texts are compared as ``exact`` does. In the
first two forms, a parameter that only one side has counts as its default in the row's ``tools``; without a default, the
call is wrong. Dots in names count as underscores, because providers allow no dots. A call whose arguments are no JSON
object is wrong.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import maximum_bipartite_matching

from router_model.training.grading.answers import (
    RIGHT,
    WRONG,
    Answer,
    ByReference,
    Grade,
    json_value,
    not_graded,
)
from router_model.training.grading.texts import normalised

_NO_CALLS: Final = "the reference is not a list of tool calls"
_LEFT_OUT: Final = ""

SameText = Callable[[str, str], bool]


class _Call(NamedTuple):
    """One call: its name and arguments; `accepts` is whether each argument is a list of accepted values."""

    name: str
    arguments: Mapping[str, Any]
    accepts: bool = False


@dataclass(frozen=True, slots=True)
class ToolCalls(ByReference):
    """Grades 1 if the calls are those of the reference.

    Attributes
    ----------
    name : str
    ignoring : what does not count in texts, as for ``exact``
    """

    name: str = "tool-calls"
    ignoring: tuple[str, ...] = ()

    def _grade(self, answer: Answer, reference: str) -> Grade:
        wanted = _calls(json_value(reference))
        if wanted is None:
            return not_graded(_NO_CALLS)
        made = _calls(answer.tool_calls or [])
        if made is None or len(made) != len(wanted):
            return WRONG
        defaults = _defaults(json_value(answer.row.get("tools")))
        fits = np.array([[self._fits(one, want, defaults) for want in wanted] for one in made], dtype=np.int8)
        return RIGHT if not wanted or _all_matched(fits) else WRONG

    def _same_text(self, text: str, reference: str) -> bool:
        return normalised(text, self.ignoring) == normalised(reference, self.ignoring)

    def _fits(self, made: _Call, wanted: _Call, defaults: Mapping[str, Mapping[str, Any]]) -> bool:
        if made.name.replace(".", "_") != wanted.name.replace(".", "_"):
            return False
        if wanted.accepts:
            return _accepted(made.arguments, wanted.arguments, self._same_text)
        default = defaults.get(wanted.name.replace(".", "_"), {})
        mine, theirs = ({**default, **one.arguments} for one in (made, wanted))
        return _same(mine, theirs, self._same_text)


def _all_matched(fits: np.ndarray[Any, Any]) -> bool:
    """Return whether each call made can be paired with another call of the reference, shape (n, n)."""
    return bool((maximum_bipartite_matching(sp.csr_array(fits)) >= 0).all())


def _calls(written: Any) -> list[_Call] | None:
    """Return calls in any of the forms, or None if there is one that cannot be read."""
    if isinstance(written, dict):
        written = [written]
    if not isinstance(written, list):
        return None
    found = [_call(one) for one in written]
    calls = [one for one in found if one is not None]
    return calls if len(calls) == len(found) else None


def _call(written: Any) -> _Call | None:
    if not isinstance(written, dict):
        return None
    function = written.get("function", written)
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        # A model that leaves the arguments empty calls the function without any.
        arguments = json_value(function.get("arguments") or {})
        return _Call(function["name"], arguments) if isinstance(arguments, dict) else None
    name, arguments = next(iter(written.items())) if len(written) == 1 else ("", None)
    if isinstance(arguments, dict) and all(isinstance(values, list) for values in arguments.values()):
        return _Call(name, arguments, accepts=True)
    return None


def _defaults(tools: Any) -> dict[str, dict[str, Any]]:
    """Return the defaults of each tool's parameters, by the tool's name with underscores."""
    found = {}
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        parameters = function.get("parameters") if isinstance(function, dict) else None
        properties = parameters.get("properties") if isinstance(parameters, dict) else None
        if isinstance(properties, dict):
            defaults = {
                name: one["default"] for name, one in properties.items() if isinstance(one, dict) and "default" in one
            }
            found[str(function.get("name")).replace(".", "_")] = defaults
    return found


def _accepted(made: Mapping[str, Any], wanted: Mapping[str, Any], same_text: SameText) -> bool:
    """Return whether every argument has one of the values that are accepted for it."""
    if set(made) - set(wanted):
        return False
    return all(
        any(_accepted_value(made[name], value, same_text) for value in values) if name in made else _LEFT_OUT in values
        for name, values in wanted.items()
    )


def _accepted_value(made: Any, wanted: Any, same_text: SameText) -> bool:
    """Compare with one accepted value; an object lists accepted values of its fields, too, also inside a list."""
    if isinstance(wanted, dict) and isinstance(made, dict) and all(isinstance(one, list) for one in wanted.values()):
        return _accepted(made, wanted, same_text)
    if isinstance(wanted, list) and isinstance(made, list):
        return len(wanted) == len(made) and all(map(_accepted_value, made, wanted, [same_text] * len(made)))
    return _same(made, wanted, same_text)


def _same(made: Any, wanted: Any, same_text: SameText) -> bool:
    """Return whether two JSON values are equal; ``true`` is no number, and 1 equals 1.0.

    >>> from operator import eq
    >>> _same({"a": [1, "x"]}, {"a": [1.0, "x"]}, eq), _same(True, 1, eq), _same("1", 1, eq)
    (True, False, False)
    """
    if isinstance(made, str) and isinstance(wanted, str):
        return same_text(made, wanted)
    if isinstance(made, dict) and isinstance(wanted, dict):
        return made.keys() == wanted.keys() and all(_same(made[name], wanted[name], same_text) for name in wanted)
    if isinstance(made, list) and isinstance(wanted, list):
        return len(made) == len(wanted) and all(map(_same, made, wanted, [same_text] * len(made)))
    if isinstance(made, bool) or isinstance(wanted, bool):
        return made is wanted
    return bool(made == wanted)
