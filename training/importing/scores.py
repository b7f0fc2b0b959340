"""Choose the score that is the quality of a call, if a tool has several scores for it.

Tools keep several scores for each call, each with a name. One rule holds for all tools: the score named ``quality``
counts, else the one named ``correctness``, else the only one. If there are several others, none is used, because one
may measure harm and another helpfulness. Nor is one used whose name sounds like harm, such as ``toxicity``: it would
reward the worst answers. Values with one name, as from two judges, are averaged. Words such as "good" are not scores.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from router_model.training.importing.conversion import is_missing
from router_model.training.importing.near_names import sounds_lower_is_better
from router_model.training.importing.problems import Problem

_PREFERRED: Final = ("quality", "correctness")
_ADVICE: Final = (
    "name the field of the one that counts, as in --column quality=scores.NAME (with --scale 1:0 if 0 is the best), "
    "or import the calls without grades: --column quality="
)


def quality_of(scores: Iterable[tuple[Any, Any]]) -> Any:
    """Return the quality among named values: a number, or None if there is none.

    If no score can be told to be the quality, the result is a `Problem`, which rejects the row unless the user names
    another quality with ``--column``.

    >>> quality_of([("helpfulness", 0.75), ("helpfulness", 0.25)]), quality_of([("tone", "good")])
    (0.5, None)
    >>> quality_of([("toxicity", 0.1), ("Quality", True)])
    1.0
    >>> quality_of([("toxicity", 0.1)]).got
    "the score 'toxicity', whose name suggests that smaller is better"
    """
    by_name: dict[str, list[float]] = {}
    for name, value in scores:
        number = _number(value)
        if number is not None:
            by_name.setdefault(str(name), []).append(number)
    for wanted in _PREFERRED:
        for name, values in by_name.items():
            if name.lower() == wanted:
                return _mean(values)
    if len(by_name) > 1:
        names = ", ".join(repr(name) for name in by_name)
        return Problem(0, "quality", f"the scores {names}", "one score, or one named 'quality'", _ADVICE)
    for name, values in by_name.items():
        if sounds_lower_is_better(name):
            got = f"the score {name!r}, whose name suggests that smaller is better"
            return Problem(0, "quality", got, "a score that is greatest for the best answer", _ADVICE)
        return _mean(values)
    return None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _number(value: Any) -> float | None:
    if is_missing(value) or not isinstance(value, bool | int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(str(value).strip().lower())


def named_scores(given: Any) -> list[tuple[str, Any]]:
    """Return the names and values of scores, from a list or a mapping by name.

    Langfuse's categorical scores come with a number without meaning, so they are left out.

    >>> named_scores([{"name": "a", "value": 0.5}, {"name": "b", "value": 0, "dataType": "CATEGORICAL"}])
    [('a', 0.5)]
    >>> named_scores({"a": {"n": 2, "avg": 0.5}, "b": [0.25, 0.75], "c": {"value": 80, "valueType": "number"}})
    [('a', 0.5), ('b', 0.25), ('b', 0.75), ('c', 80)]
    """
    if isinstance(given, Mapping):
        return [(str(name), one) for name, value in given.items() for one in _values(value)]
    if not isinstance(given, list):
        return []
    named = [one for one in given if isinstance(one, Mapping)]
    return [(str(_first(one, "name", "key", "annotation_name")), value) for one in named for value in _values(one)]


def _values(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [one for inner in value for one in _values(inner)]
    if not isinstance(value, Mapping):
        return [value]
    if str(_first(value, "dataType", "data_type", "stringValueType")).upper() == "CATEGORICAL":
        return []
    inner = _first(value, "value", "score", "avg", "result")
    return _values(inner) if isinstance(inner, Mapping) else [inner]


def _first(record: Mapping[str, Any], *keys: str) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)
