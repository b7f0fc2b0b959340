"""Make a large table from a real one: its prompts drawn again and again, with other words, and their own outcomes.

A drawn prompt keeps its order of words, but each word is replaced, with the chance `OTHER_WORDS`, by one that is drawn
from all words of the table. So copies of a prompt share its topic and length and are no near duplicates. The outcomes
are those of the original, so what can be learned of them is less than in the real table.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from router_model.outcome_schema import DECISION_LOG

OTHER_WORDS = 0.4
_PROMPTS_AT_ONCE = 20_000


def write_resampled(table: Path, out: Path, n_prompts: int, *, logged: bool) -> int:
    """Write a table of so many prompts and return the number of its rows.

    Parameters
    ----------
    table : Parquet outcome table
    logged : bool
        One outcome of each prompt, of a model drawn at random, as the log of a service has them; else all outcomes.
    """
    n_rows, writer = 0, None
    for part in _parts(pl.read_parquet(table), n_prompts, logged=logged):
        arrow = part.to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(out, arrow.schema)
        writer.write_table(arrow)
        n_rows += part.height
    if writer is not None:
        writer.close()
    return n_rows


def write_partitions(real: pl.DataFrame, folder: Path, n_prompts: int, *, logged: bool, n_files: int) -> int:
    """Write such a table into files of a new folder, and return the number of its rows."""
    folder.mkdir()
    n_rows = 0
    for number, part in enumerate(_parts(real, n_prompts, logged=logged, at_once=-(-n_prompts // n_files))):
        part.write_parquet(folder / f"part-{number:03}.parquet")
        n_rows += part.height
    return n_rows


def _parts(
    real: pl.DataFrame, n_prompts: int, *, logged: bool, at_once: int = _PROMPTS_AT_ONCE
) -> Iterator[pl.DataFrame]:
    rng = np.random.default_rng(0)
    prompts = real.unique("prompt_id", keep="first", maintain_order=True)["prompt_id", "prompt"]
    words = [text.split(" ") for text in prompts["prompt"]]
    known, codes = np.unique(np.array([word for text in words for word in text], dtype=object), return_inverse=True)
    ends = np.cumsum([0, *map(len, words)])
    outcomes = real.drop("prompt", "prompt_id").with_columns(
        drawn=real["prompt_id"].replace_strict(prompts["prompt_id"], np.arange(prompts.height), return_dtype=pl.Int64)
    )
    for start in range(0, n_prompts, at_once):
        n = min(at_once, n_prompts - start)
        drawn = rng.integers(prompts.height, size=n)
        texts = []
        for row in drawn:
            own = codes[ends[row] : ends[row + 1]]
            other = rng.random(len(own)) < OTHER_WORDS
            texts.append(" ".join(known[np.where(other, codes[rng.integers(len(codes), size=len(own))], own)]))
        number = np.arange(start, start + n)
        part = pl.DataFrame({"number": number, "drawn": drawn, "prompt": texts})
        whole = part.join(outcomes, on="drawn", how="left", maintain_order="left_right")
        if logged:
            n_models = whole.group_by("number", maintain_order=True).agg(pl.len())["len"].to_numpy()
            firsts = np.cumsum([0, *n_models[:-1]])
            whole = whole[firsts + (rng.random(n) * n_models).astype(np.int64)]
            moment = pl.lit(int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)) + pl.col("number") * 2000
            whole = whole.with_columns(
                propensity=1 / n_models,
                timestamp=moment.cast(pl.Datetime("ms", "UTC")),
                source=pl.lit(DECISION_LOG),
                extra=pl.struct(p_success=pl.lit(0.5), expected_cost_usd="cost_usd").struct.json_encode(),
            )
        ids = pl.format("p{}", "number").alias("prompt_id")
        yield whole.select(ids, pl.exclude("number", "drawn"))
