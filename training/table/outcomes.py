"""An outcome table as arrays, with one row for each prompt and one column for each model.

Users have, and files store, long tables with one row for each pair of prompt and model. Learning needs matrices.
Missing pairs are NaN.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from router_model.errors import TableError
from router_model.features.errors import FeatureError
from router_model.features.featuriser import as_slice
from router_model.features.logged import open_prompts
from router_model.features.prompt import LoggedPrompt, PromptLike
from router_model.missing_paths import no_such
from router_model.outcome_schema import DECISION_LOG, OUTCOME_COLUMN_NAMES
from router_model.summary import Summarised, Summary
from router_model.training.distributed.engine import spread
from router_model.training.distributed.partitions import is_partitioned, partitions_of, read_partition
from router_model.training.importing.checks import PROMPT_FORMS, REQUEST_PARTS, check_batch
from router_model.training.importing.duplicates import find_duplicates
from router_model.training.importing.problems import Problem
from router_model.training.table.frames import Table, as_frame, is_path, name_of
from router_model.training.table.subsample import Subsample
from router_model.wording import usd

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Outcomes(Summarised):
    """The outcomes of m models on n prompts.

    Attributes
    ----------
    prompt_ids : n ids
    prompts : n texts or lists of chat messages, or features of prompts that were logged without their texts
    tasks : n labels; empty strings without a task
    models : m ids, sorted
    quality, output_tokens, cost_usd, latency_s, propensity : float64 arrays, shape (n, m)
        NaN if unknown.
    input_tokens : float64 array, shape (n, m)
    sessions : n ids of conversations, empty strings where unknown; or none
    sources : n names of where the prompts come from, empty strings where unknown; or none
    groups : n keys that near duplicates and conversations share; or none, if near duplicates were not looked for
        From `router_model.training.near_duplicates.groups.join_near_duplicates`.
    judge : int array, shape (n, m), or None if no grade has a judge
        Index into `judge_names`; -1 if the grade has no judge.
    judge_names : tuple of str
        Names of the judges, sorted.
    """

    prompt_ids: list[str]
    prompts: list[PromptLike]
    tasks: list[str]
    models: tuple[str, ...]
    quality: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    cost_usd: FloatArray
    latency_s: FloatArray
    propensity: FloatArray
    sessions: Sequence[str] = ()
    sources: Sequence[str] = ()
    groups: Sequence[str] = ()
    judge: npt.NDArray[np.int64] | None = None
    judge_names: tuple[str, ...] = ()

    def summary(self) -> Summary:
        """Return what is known of every model, the best first."""
        with np.errstate(invalid="ignore"):
            graded, billed = (~np.isnan(self.quality)).sum(axis=0), (~np.isnan(self.cost_usd)).sum(axis=0)
            quality = np.nansum(self.quality, axis=0) / graded
            cost = np.nansum(self.cost_usd, axis=0) / billed
        rows = [
            (
                self.models[at],
                f"{graded[at]:,}",
                f"{quality[at]:.3f}" if graded[at] else "-",
                usd(cost[at]) if billed[at] else "-",
            )
            for at in np.argsort(-np.nan_to_num(quality, nan=-1.0), kind="stable")
        ]
        n_tasks = len(set(self.tasks) - {""})
        tasks = f", {n_tasks:,} tasks" if n_tasks else ""
        return Summary(
            f"Outcomes of {len(self):,} prompts x {len(self.models):,} models{tasks}",
            ("model", "graded answers", "mean quality", "mean cost"),
            rows,
        )

    def __len__(self) -> int:
        return len(self.prompt_ids)

    def take(self, rows: npt.NDArray[np.intp]) -> "Outcomes":
        """Return the outcomes of some prompts; numbers of prompts in a row are not copied."""
        at = as_slice(rows)
        return Outcomes(
            prompt_ids=[self.prompt_ids[row] for row in rows],
            prompts=[self.prompts[row] for row in rows],
            tasks=[self.tasks[row] for row in rows],
            models=self.models,
            sessions=[self.sessions[row] for row in rows] if self.sessions else (),
            sources=[self.sources[row] for row in rows] if self.sources else (),
            groups=[self.groups[row] for row in rows] if self.groups else (),
            judge=None if self.judge is None else self.judge[at],
            judge_names=self.judge_names,
            **{name: getattr(self, name)[at] for name in MATRIX_COLUMNS},
        )

    @property
    def split_keys(self) -> Sequence[str]:
        """The keys that the split and the folds hash: of groups of near duplicates, else of conversations."""
        return self.groups or self.conversation_keys

    @property
    def conversation_keys(self) -> list[str]:
        """A prompt's conversation or, if it has none, its own id."""
        if not self.sessions:
            return self.prompt_ids
        return [session or prompt_id for session, prompt_id in zip(self.sessions, self.prompt_ids, strict=True)]

    def with_models(self, models: Sequence[str]) -> "Outcomes":
        """Return the outcomes with columns for more models, whose outcomes are all unknown."""
        unknown = np.full((len(self), len(models)), np.nan)
        matrices: dict[str, Any] = {name: np.hstack([getattr(self, name), unknown]) for name in MATRIX_COLUMNS}
        judge = None if self.judge is None else np.hstack([self.judge, np.full(unknown.shape, -1)])
        return replace(self, models=(*self.models, *models), judge=judge, **matrices)

    @property
    def is_logged(self) -> npt.NDArray[np.bool_]:
        """Whether a policy chose which outcomes of a prompt are known, shape (n,); they are few by design then."""
        of_log = np.array([source == DECISION_LOG for source in self.sources or [""] * len(self)], dtype=np.bool_)
        return np.asarray(of_log | (self.propensity < 1).any(axis=1))

    @property
    def has_text(self) -> npt.NDArray[np.bool_]:
        """Whether a prompt's text is known, shape (n,); not if a log kept its features alone."""
        return np.array([not isinstance(prompt, LoggedPrompt) for prompt in self.prompts], dtype=np.bool_)

    def select_models(self, models: Sequence[str]) -> "Outcomes":
        """Return the outcomes of exactly `models`, in their order.

        Raises
        ------
        TableError
            If a model is not in the table.
        """
        missing = [model for model in models if model not in self.models]
        if missing:
            raise TableError(
                f"the table has no outcomes of {', '.join(missing)}, which the router may choose; "
                f"it has {', '.join(self.models)}"
            )
        columns = [self.models.index(model) for model in models]
        matrices = {name: getattr(self, name)[:, columns] for name in MATRIX_COLUMNS}
        judge = None if self.judge is None else self.judge[:, columns]
        return replace(self, models=tuple(models), judge=judge, **matrices)


PROMPT_COLUMNS = (*PROMPT_FORMS, *REQUEST_PARTS, "task", "session_id", "source")

ROWS_AT_ONCE = 200_000
_BYTES_AT_ONCE = 256_000_000
"""Of a file, about so many bytes at once: rows of long prompts may have a hundred times the usual length."""

MATRIX_COLUMNS = ("quality", "input_tokens", "output_tokens", "cost_usd", "latency_s", "propensity")


def read_outcomes(table: Table, only: Subsample | None = None) -> Outcomes:
    """Read an outcome table as matrices.

    Parameters
    ----------
    table : path of a Parquet file, or a frame of any library (`router_model.training.table.frames`)
        Or a folder or a pattern of Parquet files, or a URI of either (`router_model.training.distributed.partitions`).
        Outcomes that were read before are returned as they are.
    only : the prompts to read; by default all

    Raises
    ------
    TableError
        If the table cannot be read, lacks a required column, or has a value or a duplicate that is not allowed. The
        message names file, row and column.
    """
    return table if isinstance(table, Outcomes) else _outcomes(checked_table(table, only=only), origin=name_of(table))


class CheckedTable(NamedTuple):
    """An outcome table in two parts, so that texts of prompts are not repeated for each model.

    Attributes
    ----------
    rows : polars.DataFrame
        One row for each prompt and model: `prompt_id`, `model`, `judge` and `MATRIX_COLUMNS`.
    prompts : polars.DataFrame
        One row for each prompt, in order of appearance: `prompt_id` and `PROMPT_COLUMNS`. An id that stands for several
        prompts has several rows.
    """

    rows: pl.DataFrame
    prompts: pl.DataFrame


def checked_table(table: Table, *, with_values: bool = True, only: Subsample | None = None) -> CheckedTable:
    """Read an outcome table, check every column and convert it to its type in the schema.

    The table is read in parts. A prompt's text is repeated for every model, and all texts at once would take most of
    the memory that training needs.

    Parameters
    ----------
    with_values : if False, all columns are checked, but only `prompt_id` and `model` of each row are returned
    only : the prompts whose rows are checked and returned; by default all
    """
    name = name_of(table)
    rows: list[pl.DataFrame] = []
    prompts: list[pl.DataFrame] = []
    faulty = name
    problems: list[Problem] = []
    n_before = n_read = n_together = 0
    places: list[npt.NDArray[np.intp]] = []
    for part in _checked_parts(table, only):
        faulty = faulty if problems else part.name
        problems += [replace(problem, index=problem.index + n_read) for problem in part.problems]
        if part.places is not None:
            places.append(part.places + n_before)
        n_before += part.n_rows
        n_read += part.n_rows if part.name == name else 0
        rows.append(part.table.rows if with_values else part.table.rows.select("prompt_id", "model"))
        prompts.append(part.table.prompts if with_values else part.table.prompts.clear())
        if sum(map(len, prompts[1:])) >= n_together:  # texts come again in other parts; not all copies fit into memory
            prompts = [_distinct(pl.concat(prompts))]
            n_together = len(prompts[0])
    if problems:
        alike = [problem for problem in problems if problem.is_like(problems[0])]
        raise TableError(_for_table(problems[0].message(faulty, problems[0].index + 1, n_alike=len(alike))))
    if not sum(map(len, rows)):
        raise TableError(f"{name}: the table has no rows")
    checked = CheckedTable(pl.concat(rows), _distinct(pl.concat(prompts)))
    repeated = find_duplicates(checked.rows, np.concatenate(places) if places else None)
    if repeated:
        raise TableError(_for_table(repeated[0].message(name, repeated[0].index + 1, n_alike=len(repeated))))
    return checked


class _CheckedPart(NamedTuple):
    """Rows of a table that were checked together.

    Attributes
    ----------
    name : of their file
    table : the rows without problems
    problems : what is wrong with the others; indices are numbers of rows in the part
    n_rows : rows of the part
    places : those of the rows that were to be read; None: all
    """

    name: str
    table: CheckedTable
    problems: list[Problem]
    n_rows: int
    places: npt.NDArray[np.intp] | None


def _checked_parts(table: Table, only: Subsample | None) -> Iterator[_CheckedPart]:
    """Yield a table in parts: its partitions, where an engine's workers read them, or some rows at a time."""
    if is_partitioned(table):
        try:
            yield from spread(_checked_partition, only, partitions_of(table))
        except OSError as exc:
            raise TableError(f"{table}: cannot be read ({type(exc).__name__}: {exc})") from exc
        return
    for part in _parts(Path(table)) if is_path(table) else _parts_of_frame(as_frame(table)):
        yield _checked_part(name_of(table), part, only)


def _checked_partition(only: Subsample | None, part: str) -> _CheckedPart:
    frame = read_partition(part, OUTCOME_COLUMN_NAMES)
    _check_columns(part, frame.columns)
    return _checked_part(part, frame, only)


def _checked_part(name: str, frame: pl.DataFrame, only: Subsample | None) -> _CheckedPart:
    places = None if only is None else only.rows_of(frame)
    good, problems = check_batch(frame if places is None else frame[places])
    if places is not None:
        problems = [replace(problem, index=int(places[problem.index])) for problem in problems]
    table = _without_repetition(good, is_part=places is not None)
    return _CheckedPart(name, table, [*problems], frame.height, places)


def _parts_of_frame(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the outcome columns of a frame, `ROWS_AT_ONCE` rows at a time."""
    _check_columns(name_of(frame), frame.columns)
    wanted = frame.select([name for name in frame.columns if name in OUTCOME_COLUMN_NAMES])
    yield from wanted.iter_slices(ROWS_AT_ONCE)


def _parts(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the outcome columns of a Parquet file, `ROWS_AT_ONCE` rows at a time or fewer."""
    if not path.exists():
        raise TableError(f"{no_such(path)} 'router-model import SOURCE --out {path}' makes a table")
    if path.suffix != ".parquet":
        raise TableError(
            f"{path}: expected a Parquet outcome table; make one with 'router-model import {path} --out "
            f"{path.with_suffix('.parquet')}'"
        )
    try:
        source = pl.scan_parquet(path, glob=False)
        columns = source.collect_schema().names()
        n_rows = source.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise TableError(f"{path}: not a readable Parquet file ({exc})") from exc
    _check_columns(str(path), columns)
    wanted = source.select([name for name in columns if name in OUTCOME_COLUMN_NAMES])
    at_once = min(ROWS_AT_ONCE, 1 + n_rows * _BYTES_AT_ONCE // path.stat().st_size)
    for start in range(0, n_rows, at_once):
        try:
            part = wanted.slice(start, at_once).collect()
        except (pl.exceptions.PolarsError, OSError) as exc:
            raise TableError(f"{path}: not a readable Parquet file ({exc})") from exc
        yield part


def _check_columns(name: str, columns: Sequence[str]) -> None:
    missing = [column for column in ("model", "quality") if column not in columns]
    if not set(PROMPT_FORMS) & set(columns):
        missing.insert(0, "prompt (or messages)")
    if missing:
        raise TableError(
            f"{name}: column {', '.join(missing)} missing; got {', '.join(columns)}. "
            "An outcome table has one row for each prompt and model (data/README.md)"
        )


def _without_repetition(frame: pl.DataFrame, *, is_part: bool = False) -> CheckedTable:
    """Split rows, which may be a part of what was read, into columns about calls and columns about prompts."""
    rows = frame.select("prompt_id", "model", "judge", *(pl.col(name).cast(pl.Float64) for name in MATRIX_COLUMNS))
    prompts = _distinct(frame.select("prompt_id", *PROMPT_COLUMNS))
    if is_part or prompts.height < frame.height:
        # A text is a part of the memory that was read with it, and would keep its copies. To append to it copies it.
        prompts = prompts.with_columns(pl.col(PROMPT_FORMS) + "")
    return CheckedTable(rows, prompts)


def _distinct(prompts: pl.DataFrame) -> pl.DataFrame:
    return prompts.unique(["prompt_id", *PROMPT_FORMS, "tools"], keep="first", maintain_order=True)


def _for_table(message: str) -> str:
    """Change the importer's advice for a table: name the command to which its option belongs."""
    return message.replace("use --on-error skip", "put it through 'router-model import --on-error skip'")


def outcomes_of(frame: pl.DataFrame, *, origin: str) -> Outcomes:
    """Turn a checked long table into matrices, with prompts in order of appearance and models sorted."""
    return _outcomes(_without_repetition(frame), origin=origin)


def _outcomes(table: CheckedTable, *, origin: str) -> Outcomes:
    rows, prompts = table
    _refuse_conflicting_prompts(prompts, origin)
    models = sorted(rows["model"].unique().to_list())
    row = rows["prompt_id"].replace_strict(prompts["prompt_id"], np.arange(len(prompts)), return_dtype=pl.Int64)
    column = rows["model"].replace_strict(models, np.arange(len(models)), return_dtype=pl.Int64)
    at = (row.to_numpy(), column.to_numpy())

    def matrix(name: str) -> FloatArray:
        values = np.full((len(prompts), len(models)), np.nan)
        values[at] = rows[name].to_numpy()
        return values

    judge_names = tuple(rows["judge"].drop_nulls().unique().sort().to_list())
    judge = np.full((len(prompts), len(models)), -1, dtype=np.int64)
    codes = rows["judge"].replace_strict(judge_names, np.arange(len(judge_names)), default=-1, return_dtype=pl.Int64)
    judge[at] = codes.to_numpy()
    return Outcomes(
        prompt_ids=prompts["prompt_id"].to_list(),
        prompts=_prompts(prompts, origin),
        tasks=prompts["task"].fill_null("").to_list(),
        sessions=prompts["session_id"].fill_null("").to_list(),
        sources=prompts["source"].fill_null("").to_list(),
        models=tuple(models),
        groups=(),
        judge=judge if judge_names else None,
        judge_names=judge_names,
        **{name: matrix(name) for name in MATRIX_COLUMNS},
    )


def _prompts(prompts: pl.DataFrame, origin: str) -> list[PromptLike]:
    """Return each prompt: its messages, its text, or else what was logged of it, opened with the operator's key."""
    has_text = prompts["prompt"].is_not_null() | prompts["messages"].is_not_null()
    sealed = prompts.filter(~has_text)["prompt_features"].to_list()
    try:
        logged = iter(open_prompts(sealed))
    except FeatureError as exc:
        raise TableError(f"{origin}: {exc}") from exc
    rows = zip(has_text, prompts.select("prompt", "messages", *REQUEST_PARTS).iter_rows(), strict=True)
    return [_prompt(*parts) if is_text else next(logged) for is_text, parts in rows]


def _prompt(text: str | None, messages: str | None, *request: Any) -> PromptLike:
    """Return a prompt as it was sent: text or messages, or a chat body where more than these is known.

    Parameters
    ----------
    text, messages : at least one of them
    request : `REQUEST_PARTS`
    """
    said: list[dict[str, Any]] | None = None if messages is None else json.loads(messages)
    tools, response_format, most, turn = request
    beside = {
        "tools": None if tools is None else json.loads(tools),
        "response_format": None if response_format is None else json.loads(response_format),
        "max_completion_tokens": most,
        "turn_type": turn,
    }
    known = {name: value for name, value in beside.items() if value is not None}
    if known:
        return {"messages": said or [{"role": "user", "content": text or ""}], **known}
    return text or "" if said is None else said


def _refuse_conflicting_prompts(prompts: pl.DataFrame, origin: str) -> None:
    texts = prompts.group_by("prompt_id", maintain_order=True).agg(pl.len().alias("n_texts"))
    conflicting = texts.filter(pl.col("n_texts") > 1)
    if not conflicting.is_empty():
        raise TableError(
            f"{origin}: prompt_id {conflicting['prompt_id'][0]!r} stands for {conflicting['n_texts'][0]} different "
            f"prompts ({len(conflicting)} such ids); give each prompt its own id, or leave prompt_id out"
        )
