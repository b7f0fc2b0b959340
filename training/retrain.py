"""Train a router again: on the full evaluations that it was trained on, and on what its service logged since.

The rows of a log say less than full evaluations. They know the outcome of one model for each prompt, or of none, and a
policy chose that model. So they are used for what they say, and no more:

- Every graded row teaches the predictor, also rows without a propensity (fallbacks, degraded decisions).
- The operating point is chosen by doubly robust estimates, in which tables and log count by what they say.
- Certificates come from full evaluations alone. A log lacks most outcomes by design, and a certificate counts a missing
  outcome as a failure.
- Grades of judges that the others contradict are left out first (`router_model.training.fitting.judges`).
- A router that moves more traffic than the new grades support is not saved (`router_model.training.measuring.moves`).
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from router_model.catalog import Catalog
from router_model.errors import TableError
from router_model.outcome_schema import DECISION_LOG
from router_model.saved.artifact import load_artifact
from router_model.training.config import stored_config
from router_model.training.importing import import_sources
from router_model.training.table.subsample import MAX_PROMPTS
from router_model.training.train import TrainConfig, TrainingReport, train


@dataclass(frozen=True, slots=True)
class LoggedRows:
    """What a log says of one model.

    Attributes
    ----------
    model : str
    n_calls, n_graded : int
        Calls that the model answered, and how many of them were graded.
    n_effective : float
        Number of graded calls, drawn at random from all prompts, that would say as much of the model's level: (sum
        w)^2 / sum w^2 with w = 1 / propensity (Kish 1965). Calls without a propensity do not count.
    """

    model: str
    n_calls: int
    n_graded: int
    n_effective: float


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """The result of training again.

    Attributes
    ----------
    training : TrainingReport
    config : the settings, those of the former router
    base : content hash of the former router
    logged : what the log says of each model
    """

    training: TrainingReport
    config: TrainConfig
    base: str
    logged: tuple[LoggedRows, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {**self.training.as_dict(), "base": self.base, "logged": [asdict(one) for one in self.logged]}


def retrain(
    log: str | Path,
    base: str | Path,
    out: str | Path,
    *,
    tables: Sequence[str | Path],
    catalog: Catalog | None = None,
    accept_moves: bool = False,
    max_prompts: int = MAX_PROMPTS,
    advance: Callable[[str], None] = lambda _: None,
) -> RetrainReport:
    """Train a router again with its own settings.

    Parameters
    ----------
    log : a table of ``router-model log export``
    base : folder of the router that served; it is compared with, and stays as it is
    out : folder of the new router
    tables : outcome tables with full evaluations, such as the one that `base` was trained on
        A starter was trained on none, so none is needed; and the new router is not compared with it.
    catalog : prices and capabilities; by default, those of `base`
    accept_moves, max_prompts, advance : as of `train`

    Raises
    ------
    TableError, TrainingError, CatalogError, ArtifactError
        The message says what was got, what was expected and what to do.
    """
    if Path(out).resolve() == Path(base).resolve():
        raise TableError(f"--out {out} is the router that serves; name another folder, and promote what is better")
    former = load_artifact(base)
    if not tables and not former.is_starter:
        raise TableError(
            "no --table given; a log knows one model a prompt, so give the full evaluations of the former router, too"
        )
    needed = ["model", "quality", "propensity"]
    if missing := [repr(name) for name in needed if name not in pl.read_parquet_schema(log)]:
        raise TableError(
            f"{log}: got a table without {', '.join(missing)}, expected one of 'router-model log export'; full "
            "evaluations are given as --table"
        )
    logged = logged_rows(pl.read_parquet(log, columns=needed))
    config = stored_config(former.provenance.get("config", {}), where=str(base))
    with tempfile.TemporaryDirectory(prefix="router-retrain-") as folder:
        table = Path(folder) / "outcomes.parquet"
        import_sources([*tables, log], table)
        if not former.is_starter:
            _require_models(table, former.predictor.models)
        report = train(
            table,
            out,
            catalog=catalog or former.candidate_cards,
            config=config,
            former=None if former.is_starter else base,
            accept_moves=accept_moves,
            max_prompts=max_prompts,
            advance=advance,
        )
    return RetrainReport(report, config, former.content_hash, logged)


def _require_models(table: Path, models: Sequence[str]) -> None:
    """Refuse full evaluations of other models alone: they are those of another router."""
    evaluated = pl.scan_parquet(table).filter(pl.col("source").ne_missing(pl.lit(DECISION_LOG)))
    known = evaluated.select(pl.col("model").unique().sort()).collect()["model"].to_list()
    if not set(known) & set(models):
        raise TableError(
            f"the tables have outcomes of {', '.join(known) or 'no model'}, and none of {', '.join(models)}, which "
            "--base chooses among; give the table that --base was trained on"
        )


def logged_rows(log: pl.DataFrame) -> tuple[LoggedRows, ...]:
    """Count what a log says of each model, most calls first.

    Examples
    --------
    >>> log = pl.DataFrame({"model": ["m"] * 3, "quality": [1.0, 0.0, None], "propensity": [0.5, 0.25, 0.5]})
    >>> logged_rows(log)  # weights 2 and 4: 6^2 / 20
    (LoggedRows(model='m', n_calls=3, n_graded=2, n_effective=1.8),)
    """
    weight = pl.when(pl.col("quality").is_not_null()).then(1 / pl.col("propensity"))
    counted = (
        log.group_by("model")
        .agg(
            n_calls=pl.len(),
            n_graded=pl.col("quality").count(),
            n_effective=(weight.sum() ** 2 / (weight**2).sum()).fill_nan(0.0),
        )
        .sort("n_calls", "model", descending=[True, False])
    )
    return tuple(LoggedRows(**row) for row in counted.iter_rows(named=True))
