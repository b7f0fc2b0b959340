"""An outcome table as arrays: one row a prompt, one column a model.

Long tables (one row a prompt x model) are what users have and what is stored; matrices are what is learned
from. Missing pairs are NaN.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from features.prompt import PromptLike
from router_model.errors import TableError
from training.importing.checks import check_batch
from training.importing.duplicates import find_duplicates

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes of n prompts x m models.

    Attributes
    ----------
    prompt_ids : n ids
    prompts : n texts or lists of chat messages
    tasks : n labels; empty strings where the table has none
    models : m ids, sorted
    quality, output_tokens, cost_usd, latency_s, propensity : float64 arrays, shape (n, m)
        NaN where unknown.
    input_tokens : float64 array, shape (n, m)
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

    def __len__(self) -> int:
        return len(self.prompt_ids)

    def take(self, rows: npt.NDArray[np.intp]) -> "Outcomes":
        """Return the outcomes of some prompts."""
        return Outcomes(
            prompt_ids=[self.prompt_ids[row] for row in rows],
            prompts=[self.prompts[row] for row in rows],
            tasks=[self.tasks[row] for row in rows],
            models=self.models,
            **{name: getattr(self, name)[rows] for name in MATRIX_COLUMNS},
        )

    def select_models(self, models: Sequence[str]) -> "Outcomes":
        """Return the outcomes of exactly `models`, in their order.

        Raises
        ------
        TableError
            If one is not in the table.
        """
        missing = [model for model in models if model not in self.models]
        if missing:
            raise TableError(
                f"the table has no outcomes of {', '.join(missing)}, which the router may choose; "
                f"it has {', '.join(self.models)}"
            )
        columns = [self.models.index(model) for model in models]
        matrices = {name: getattr(self, name)[:, columns] for name in MATRIX_COLUMNS}
        return replace(self, models=tuple(models), **matrices)


MATRIX_COLUMNS = ("quality", "input_tokens", "output_tokens", "cost_usd", "latency_s", "propensity")


def read_outcomes(path: str | Path) -> Outcomes:
    """Read a Parquet outcome table as matrices.

    Raises
    ------
    TableError
        If it cannot be read, lacks a required column, or has a value or a duplicate that is not allowed; the
        message names file, row and column.
    """
    return outcomes_of(checked_frame(Path(path)), origin=str(path))


def checked_frame(path: Path) -> pl.DataFrame:
    """Read a Parquet outcome table with every column checked and of its canonical type."""
    if not path.exists():
        raise TableError(f"{path}: no such file; make it with 'router-model import SOURCE --out {path}'")
    if path.suffix != ".parquet":
        raise TableError(
            f"{path}: expected a Parquet outcome table; make one with 'router-model import {path} --out "
            f"{path.with_suffix('.parquet')}'"
        )
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise TableError(f"{path}: not a readable Parquet file ({exc})") from exc
    missing = [name for name in ("model", "quality") if name not in frame.columns]
    if not {"prompt", "messages"} & set(frame.columns):
        missing.insert(0, "prompt (or messages)")
    if missing:
        raise TableError(
            f"{path}: column {', '.join(missing)} missing; got {', '.join(frame.columns)}. "
            "An outcome table has one row a prompt and model (data/README.md)"
        )
    if frame.is_empty():
        raise TableError(f"{path}: the table has no rows")
    good, problems = check_batch(frame)
    if problems:
        alike = [problem for problem in problems if problem.is_like(problems[0])]
        raise TableError(_for_table(problems[0].message(path, problems[0].index + 1, n_alike=len(alike))))
    repeated = find_duplicates(good)
    if repeated:
        raise TableError(_for_table(repeated[0].message(path, repeated[0].index + 1, n_alike=len(repeated))))
    return good


def _for_table(message: str) -> str:
    """Say where the importer's option is to be given."""
    return message.replace("use --on-error skip", "put it through 'router-model import --on-error skip'")


def outcomes_of(frame: pl.DataFrame, *, origin: str) -> Outcomes:
    """Pivot a checked long table into matrices; prompts in order of appearance, models sorted."""
    prompts = frame.unique("prompt_id", keep="first", maintain_order=True)
    models = sorted(frame["model"].unique().to_list())
    row = frame["prompt_id"].replace_strict(prompts["prompt_id"], np.arange(len(prompts)), return_dtype=pl.Int64)
    column = frame["model"].replace_strict(models, np.arange(len(models)), return_dtype=pl.Int64)
    at = (row.to_numpy(), column.to_numpy())

    def matrix(name: str) -> FloatArray:
        values = np.full((len(prompts), len(models)), np.nan)
        values[at] = frame[name].cast(pl.Float64).to_numpy()
        return values

    _refuse_conflicting_prompts(frame, origin)
    return Outcomes(
        prompt_ids=prompts["prompt_id"].to_list(),
        prompts=[_prompt(text, messages) for text, messages in prompts.select("prompt", "messages").iter_rows()],
        tasks=prompts["task"].fill_null("").to_list(),
        models=tuple(models),
        **{name: matrix(name) for name in MATRIX_COLUMNS},
    )


def _prompt(text: str | None, messages: str | None) -> PromptLike:
    if messages is not None:
        parsed: list[dict[str, Any]] = json.loads(messages)
        return parsed
    return text or ""


def _refuse_conflicting_prompts(frame: pl.DataFrame, origin: str) -> None:
    texts = frame.group_by("prompt_id", maintain_order=True).agg(
        pl.struct("prompt", "messages").n_unique().alias("n_texts")
    )
    conflicting = texts.filter(pl.col("n_texts") > 1)
    if not conflicting.is_empty():
        raise TableError(
            f"{origin}: prompt_id {conflicting['prompt_id'][0]!r} stands for {conflicting['n_texts'][0]} different "
            f"prompts ({len(conflicting)} such ids); give each prompt its own id, or leave prompt_id out"
        )
