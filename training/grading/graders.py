"""Read ``--by``: the grader of each task.

``[TASK=]GRADER[:OPTIONS]``, where `OPTIONS` are parted by commas. Without a task, or with ``*``, a grader is for all
tasks that have none of their own. The whole rest of ``regex:PATTERN`` is the pattern.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from router_model.errors import RequestError
from router_model.training.grading.answers import Grader
from router_model.training.grading.choices import Choice
from router_model.training.grading.numbers import Number
from router_model.training.grading.python_checks import PythonCheck
from router_model.training.grading.texts import IGNORABLE, Contains, Exact, Regex
from router_model.training.grading.tool_calls import ToolCalls

OTHERS: Final = "*"
"""The task that stands for all tasks without a grader of their own."""
JUDGE: Final = "judge"
"""The grader that asks a model; it needs a service, so that it is made elsewhere."""

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(%?)")


@dataclass(frozen=True, slots=True)
class _Options:
    """What stands behind a grader's name: words, and values by their names."""

    grader: str
    words: tuple[str, ...]
    values: Mapping[str, str]

    @classmethod
    def of(cls, grader: str, text: str) -> "_Options":
        parts = [part.strip() for part in text.split(",") if part.strip()]
        pairs = [part.partition("=") for part in parts if "=" in part]
        words = tuple(part for part in parts if "=" not in part)
        return cls(grader, words, {name.strip(): value.strip() for name, _, value in pairs})

    def check(self, *, names: Sequence[str] = (), most_words: int = 0, words: Sequence[str] | None = None) -> None:
        """Refuse options that the grader does not know."""
        unknown = [name for name in self.values if name not in names]
        unknown += [word for word in self.words if words is not None and word not in words]
        unknown += self.words[most_words:]
        if unknown:
            known = [*(f"{name}=…" for name in names), *(words or ())]
            expected = f"some of {', '.join(known)}" if known else "none"
            raise RequestError(f"--by {self.grader}: got the option {unknown[0]!r}, expected {expected}")

    def ignoring(self) -> tuple[str, ...]:
        found = tuple(word for word in self.values.get("ignore", "").split("+") if word)
        if wrong := [word for word in found if word not in IGNORABLE]:
            raise RequestError(
                f"--by {self.grader}: got ignore={wrong[0]}, expected some of {', '.join(IGNORABLE)}, joined by +"
            )
        return found

    def number(self, name: str) -> tuple[Fraction, bool] | None:
        """Return a number that is not negative, and whether it is a percentage."""
        if name not in self.values:
            return None
        match = _NUMBER.fullmatch(self.values[name])
        if not match:
            raise RequestError(f"--by {self.grader}: got {name}={self.values[name]}, expected a number from 0")
        return Fraction(match[1]), bool(match[2])

    def named(self) -> str:
        """Return the grader's name with its options, as the table keeps it."""
        options = [*self.words, *(f"{name}={value}" for name, value in self.values.items())]
        return f"{self.grader}:{','.join(options)}" if options else self.grader


def _exact(text: str) -> Grader:
    options = _Options.of("exact", text)
    options.check(names=("ignore",))
    return Exact(options.named(), options.ignoring())


def _contains(text: str) -> Grader:
    options = _Options.of("contains", text)
    options.check(names=("ignore",), most_words=1, words=("all",))
    return Contains(options.named(), options.ignoring(), needs_all="all" in options.words)


def _regex(text: str) -> Grader:
    return Regex(f"regex:{text}" if text else "regex", text or None)


def _number(text: str) -> Grader:
    options = _Options.of("number", text)
    options.check(names=("tolerance", "decimal"))
    tolerance, is_share = options.number("tolerance") or (Fraction(0), False)
    decimal = options.values.get("decimal", "point")
    if decimal not in {"point", "comma"}:
        raise RequestError(f"--by number: got decimal={decimal}, expected point or comma")
    return Number(
        options.named(),
        absolute=Fraction(0) if is_share else tolerance,
        relative=tolerance / 100 if is_share else Fraction(0),
        decimal="comma" if decimal == "comma" else "point",
    )


def _choice(text: str) -> Grader:
    _Options.of("choice", text).check()
    return Choice()


def _json_schema(text: str) -> Grader:
    from router_model.training.grading.json_answers import JsonSchema  # noqa: PLC0415  (an extra)

    return JsonSchema.of_file(Path(text) if text else None)


def _tool_calls(text: str) -> Grader:
    options = _Options.of("tool-calls", text)
    options.check(names=("ignore",))
    return ToolCalls(options.named(), options.ignoring())


def _python(text: str) -> Grader:
    options = _Options.of("python", text)
    options.check(names=("timeout", "memory", "errors"), most_words=1)
    if not options.words:
        raise RequestError("--by python: got no file, expected python:FILE.py or python:FILE.py:FUNCTION")
    # A colon behind the suffix, and not one of a Windows drive, parts the function from the file.
    file, _, function = options.words[0].partition(".py:")
    path = Path(f"{file}.py" if function else options.words[0])
    given: dict[str, Any] = {}
    if seconds := options.number("timeout"):
        given["timeout_s"] = float(seconds[0])
    if megabytes := options.number("memory"):
        given["memory_mb"] = int(megabytes[0])
    if quality := options.number("errors"):
        given["on_error"] = float(quality[0])
        if not 0 <= given["on_error"] <= 1:
            raise RequestError(f"--by python: got errors={options.values['errors']}, expected a quality from 0 to 1")
    return PythonCheck(path, function or "grade", **given)


_GRADERS: Final[dict[str, Callable[[str], Grader]]] = {
    "exact": _exact,
    "number": _number,
    "choice": _choice,
    "contains": _contains,
    "regex": _regex,
    "json-schema": _json_schema,
    "tool-calls": _tool_calls,
    "python": _python,
}
GRADER_NAMES: Final = (*_GRADERS, JUDGE)
"""The names of all graders."""


_COMPARING: Final = ("exact", "number", "choice", "contains", "tool-calls", "regex")


def needs_reference(text: str) -> bool:
    """Tell whether the grader of a ``--by`` compares answers with right ones; of `regex` without a pattern it does.

    >>> [needs_reference(text) for text in ("math=number", "contains:all", "regex", "regex:ab+", "judge")]
    [True, True, True, False, False]
    """
    name, _, options = _parted(text)[1].partition(":")
    return name in _COMPARING and not (name == "regex" and options)


def read_by(given: Sequence[str], *, judge: Callable[[], Grader]) -> dict[str, Grader]:
    """Return the grader of each task.

    Parameters
    ----------
    given : values of ``--by``
    judge : makes the grader that asks a model; called once at most

    Raises
    ------
    RequestError
        If a grader or an option is unknown, or a task has two graders.
    ImportError
        If a grader needs an extra that is not installed.

    Examples
    --------
    >>> made = read_by(["math=number:tolerance=1%", "exact"], judge=Exact)
    >>> made["math"].name, made["*"].name
    ('number:tolerance=1%', 'exact')
    """
    graders: dict[str, Grader] = {}
    made: list[Grader] = []
    for text in given:
        task, grader = _parted(text)
        name, _, options = grader.partition(":")
        if task in graders:
            which = "all tasks" if task == OTHERS else f"task {task!r}"
            raise RequestError(f"--by {text}: {which} has another grader, {graders[task].name}; give one for each task")
        if name == JUDGE:
            if options:
                raise RequestError(f"--by {text}: the judge's settings are options of their own; see --help")
            made = made or [judge()]
            graders[task] = made[0]
        elif name in _GRADERS:
            graders[task] = _GRADERS[name](options)
        else:
            raise RequestError(f"--by {text}: no grader {name!r}; expected one of {', '.join(GRADER_NAMES)}")
    return graders


def _parted(text: str) -> tuple[str, str]:
    """Part the task from the grader; a grader's own options may have an equals sign, too."""
    if text.partition(":")[0] in GRADER_NAMES or "=" not in text:
        return OTHERS, text
    task, _, grader = text.partition("=")
    return task, grader
