"""Find the fields of a source whose names resemble our columns, and check whether their values fit.

A similar name is not enough: `label` may hold the text of the right answer and not a quality. So a field is proposed
only if most of its values could belong to our column.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES
from router_model.training.importing import values
from router_model.training.importing.bodies import read_whole
from router_model.training.importing.chat import decoded
from router_model.training.importing.checks import EXPECTED_ONE_DATE, EXPECTED_ONE_NUMBER, check_batch
from router_model.training.importing.columns import (
    NAMEABLE,
    ColumnMapping,
    named_value,
    score_names,
    unit_in_name,
    words_of,
)
from router_model.training.importing.conversion import Source, is_missing
from router_model.training.importing.findings import Finding
from router_model.training.importing.frames import frame_of_rows, series_of
from router_model.training.importing.near_names import near_column, near_columns
from router_model.training.importing.options import ImportOptions
from router_model.training.importing.problems import Problem
from router_model.training.importing.quality_tally import QualityTally
from router_model.training.importing.reading import AS_WRITTEN, Reading

PROMPTS: Final = ("prompt", "messages")
OPEN: Final = (EXPECTED_ONE_DATE, EXPECTED_ONE_NUMBER)
"""The expectations in problems of values that could be read in two ways."""

_COST_PAIRS: Final = (("inputcost", "outputcost"), ("promptcost", "completioncost"), ("costinput", "costoutput"))
_CONTEXTS: Final = ("context", "contexts", "documents", "docs", "passage", "passages", "retrievedcontexts")
_MAX_SAMPLES: Final = 50
_N_LOOKED_INTO: Final = 1_000
"""Number of records in which nested objects are searched."""
_MAX_DEPTH: Final = 5
_MAX_NESTED: Final = 200
_FEWEST_MS: Final = 50
"""If the median of whole-numbered latencies is at least this, they are milliseconds and not seconds."""
_FEWEST_NS: Final = 10_000_000
_EPOCHS: Final = (("ms", 1e11), ("us", 1e14), ("ns", 1e17))
_UNIT_WORDS: Final = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


class _NearField:
    """The values of one field."""

    def __init__(self) -> None:
        self.n_records = 0
        self.samples: list[Any] = []
        self.qualities = QualityTally()
        self._pending: list[Any] = []

    def add(self, value: Any, *, is_quality: bool) -> None:
        if len(self.samples) < _MAX_SAMPLES:
            self.samples.append(value)
        if is_quality:
            self._pending.append(value)

    def end_batch(self, options: ImportOptions) -> None:
        if self._pending:
            self.qualities.add(series_of("quality", self._pending), options.reading)
            self._pending = []


class Proposal(NamedTuple):
    """A field that probably is one of our columns.

    Attributes
    ----------
    ours, theirs : str
    unit : str
        Probable unit of its values, if the name does not say it.
    others : list of str
        Further fields with names similar to this column's.
    qualities : QualityTally
        Counts of its values, if it looks like a quality.
    samples : list
        Its first values.
    beside : str
        A field with what a model may have seen beside the question.
    """

    ours: str
    theirs: str
    unit: str
    others: list[str]
    qualities: QualityTally
    samples: list[Any]
    beside: str = ""

    def open_problem(self, reading: Reading) -> Problem | None:
        """Return the first problem of a value that could be read in two ways."""
        problems = _problems(self.ours, self.theirs, self.unit, self.samples, reading)
        return next((problem for problem in problems if problem.expected in OPEN), None)

    def finding(self) -> Finding:
        """Return the finding that proposes this field."""
        also = f" (or {', '.join(map(repr, self.others))})" if self.others else ""
        unit = f" in {_UNIT_WORDS[self.unit]}" if self.unit else ""
        theirs = f"{self.theirs}:{self.unit}" if self.unit else self.theirs
        otherwise = (
            "If a field is something else, name nothing for the column: --column cost_usd= leaves 'cost' in extra."
        )
        if self.beside:
            joined = f"--column prompt={self.beside}+{self.theirs}"
            otherwise = f"If the model saw {self.beside!r}, too, join both: {joined}. {otherwise}"
        if any(_are_siblings(self.theirs, other) for other in self.others):
            otherwise = (
                f"If {self.theirs!r} and {self.others[0]!r} belong to different models, write a record for each."
            )
        return Finding(
            f"{self.theirs!r} looks like {self.ours}{unit}{also}",
            (("--column", f"{self.ours}={theirs}"),),
            otherwise,
        )


class NearFields:
    """Collects the fields of one source that may be our columns."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._absent = options.mapping.absent | ({"model"} if options.model else set())
        self._fields: dict[tuple[str, str], _NearField] = {}
        self._n_records = 0
        self._context = ""
        """A field with what the model saw beside the question, if there is one."""

    def see(self, own: Source) -> None:
        """Note the fields of a record, in which the columns that the user named have our names."""
        self._n_records += 1
        if self._n_records <= _N_LOOKED_INTO:
            plain = _plain_names(tuple(own))
            self._context = self._context or next((plain[key] for key in _CONTEXTS if own.get(plain.get(key, ""))), "")
            inner = {key: value for key, value in own.items() if key not in NAMEABLE}
            # JSON text in `extra` was written by us: it holds what is known to be none of the columns.
            texts = {key: value for key, value in inner.items() if key != "extra" or isinstance(value, dict)}
            own = {**dict(_nested(texts)), **_summed(own, plain), **own}
        for ours, theirs in near_columns(tuple(own)):
            if own.get(ours):
                continue  # nearly always true; this runs for every record
            value = own[theirs]
            if not is_missing(value) and self._is_wanting(own, ours):
                near = self._fields.setdefault((ours, theirs), _NearField())
                near.n_records += self._n_records <= _N_LOOKED_INTO
                near.add(value, is_quality=ours == "quality")

    def _is_wanting(self, own: Source, ours: str) -> bool:
        names = PROMPTS if ours in PROMPTS else (ours,)
        return ours not in self._absent and all(is_missing(own.get(name)) for name in names)

    def end_batch(self) -> None:
        """Count the qualities of a batch."""
        for near in self._fields.values():
            near.end_batch(self._options)

    def proposals(self) -> list[Proposal]:
        """Return the likeliest field for each missing column, in the order of our columns."""
        chosen: dict[str, tuple[str, str]] = {}
        for (ours, theirs), near in sorted(self._fields.items(), key=self._likeliness):
            unit = _guess_unit(ours, theirs, near.samples)
            column = self._column_of(ours, theirs, unit, near)
            taken = PROMPTS if column in PROMPTS else (column,)
            if column and not chosen.keys() & set(taken) and theirs not in (field for field, _ in chosen.values()):
                chosen[column] = (theirs, unit)
        return [self._proposal(ours, *field, chosen) for ours, field in chosen.items()]

    def _likeliness(self, field: tuple[tuple[str, str], _NearField]) -> tuple[int, bool, int, int, int]:
        """Sort key: by our columns; then what most records have, top fields before inner ones, and likely names.

        Grades may be rare.
        """
        (ours, theirs), fields = field
        column, near = OUTCOME_COLUMN_NAMES.index(ours), near_column(theirs)
        is_rare = ours != "quality" and 2 * fields.n_records <= min(self._n_records, _N_LOOKED_INTO)
        group = OUTCOME_COLUMN_NAMES.index(PROMPTS[0]) if ours in PROMPTS else column
        return group, is_rare, column, theirs.count("."), near[1] if near else 0

    def _column_of(self, ours: str, theirs: str, unit: str, near: _NearField) -> str:
        """Return the column that the values of a field fit; empty if they fit none."""
        if ours == "quality":
            return ours if near.qualities.has_qualities else ""
        if ours in PROMPTS:
            return next((name for name in ("messages", "prompt") if _fits(name, theirs, "", near.samples)), "")
        return ours if _fits(ours, theirs, unit, near.samples) else ""

    def _proposal(self, ours: str, theirs: str, unit: str, chosen: Mapping[str, tuple[str, str]]) -> Proposal:
        kinds = PROMPTS if ours in PROMPTS else (ours,)
        taken = {field for field, _ in chosen.values()}
        others = [field for column, field in self._fields if column in kinds and field not in taken]
        near = next(near for (_, field), near in self._fields.items() if field == theirs)
        beside = self._context if ours == "prompt" and "." not in theirs else ""
        return Proposal(ours, theirs, unit, others, near.qualities, near.samples, beside)


def _nested(record: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield the fields inside a record's objects, and the scores in its lists of named scores, by their paths."""
    for n, (key, given) in enumerate(record.items()):
        if n >= _MAX_NESTED:
            return
        value = decoded(given)
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            yield from _nested(value, f"{before}{key}.", depth + 1)
        elif isinstance(value, list) and (names := score_names(value[:_MAX_NESTED])):
            yield from ((f"{before}{key}.{name}", named_value(value, name)) for name in names)
        elif before:
            yield f"{before}{key}", value


@lru_cache(maxsize=64)
def _plain_names(names: tuple[str, ...]) -> dict[str, str]:
    """Return the fields by their names without case and marks."""
    return {"".join(words_of(name)): name for name in names}


def _summed(own: Source, names: Mapping[str, str]) -> dict[str, float]:
    """Return the cost of a call whose input and output are billed in two fields, under both names with a plus."""
    for first, second in _COST_PAIRS:
        pair = [own[names[key]] for key in (first, second) if key in names]
        if len(pair) > 1 and all(isinstance(one, int | float) or _is_number_text(one) for one in pair):
            return {f"{names[first]}+{names[second]}": sum(map(float, pair))}
    return {}


def _is_number_text(value: Any) -> bool:
    return isinstance(value, str) and value.replace(".", "", 1).isdecimal()


def _are_siblings(path: str, other: str) -> bool:
    """Whether two fields have one name and are in objects side by side: results.a.score and results.b.score."""
    mine, theirs = path.split("."), other.split(".")
    return len(mine) == len(theirs) > 1 and mine[-1] == theirs[-1] and mine[:-2] == theirs[:-2] and mine != theirs


def _fits(ours: str, theirs: str, unit: str, samples: list[Any]) -> bool:
    """Whether most of a field's values could be our column's."""
    n_bad = sum(problem.expected not in OPEN for problem in _problems(ours, theirs, unit, samples))
    return 2 * n_bad <= len(samples)


def _problems(ours: str, theirs: str, unit: str, samples: list[Any], reading: Reading = AS_WRITTEN) -> list[Problem]:
    theirs = theirs.rpartition(".")[2]  # the values alone are here, and not the objects around them
    mapping = ColumnMapping({ours: [f"{theirs}:{unit}" if unit else theirs]}, reading.decimal)
    rows = [
        {"prompt": "-", "model": "-"} | dict(read_whole(mapping.values(one), one, mapping.paths))
        for one in ({theirs: value} for value in samples)
    ]
    return [problem for problem in check_batch(frame_of_rows(rows), reading)[1] if problem.column == ours]


def _guess_unit(ours: str, theirs: str, samples: list[Any]) -> str:
    """Guess the unit of times from the size of whole numbers, if the name does not say it."""
    numbers = sorted(values.count(series_of("", samples))[0].drop_nulls().to_list())
    if not numbers or unit_in_name(theirs):
        return ""
    middle = numbers[len(numbers) // 2]
    if ours == "latency_s" and len(numbers) == len(samples):
        return "ns" if middle >= _FEWEST_NS else "ms" if middle >= _FEWEST_MS else ""
    if ours == "timestamp":
        return next((unit for unit, least in reversed(_EPOCHS) if middle >= least), "")
    return ""
