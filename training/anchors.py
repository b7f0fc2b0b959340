"""Build the anchors: the predictor that is shipped for routers without outcomes (`router_model.starter`).

An anchor is an imaginary model of some level. It answers a prompt well if a certain share of the public models did: the
strongest anchor where one in ten models did, the weakest where more than eight in ten did. So anchors say how hard a
prompt is, and not which model is good at what: a model that is known by its level alone is predicted from them.

``python -m router_model.training.anchors DATA`` reads public tables (``DATA/<table>/outcomes.parquet``) and writes the
shipped folder. The same tables and libraries give the same bytes. No text of a prompt is in it: it holds vectors and
hashes of prompts, weights and boosters; and its vocabulary has only terms that are common, so that no prompt can be put
together from it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.reference import Reference, log_odds_of
from router_model.catalog import Catalog, ModelCard
from router_model.errors import TableError
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.saved.artifact import Artifact, save_artifact
from router_model.training.fitting.boosters import BoosterConfig
from router_model.training.fitting.evidence import EvidenceConfig
from router_model.training.fitting.fit import FitConfig
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig

Float64Array = npt.NDArray[np.float64]

LEVELS: Final = (0.15, 0.35, 0.55, 0.75, 0.9)
"""An anchor of level q answers a prompt well if at least the share 1 - q of the public models did."""

PROMPTS_A_TABLE: Final = 2_500
"""The most prompts taken from one table, so that none outweighs the others and the package stays small."""

ANCHORS: Final = tuple(f"anchor-{k}" for k in range(1, len(LEVELS) + 1))

_CONFIG: Final = TrainConfig(
    holdout=False,
    fit=FitConfig(
        # Rare terms do not help on other tables, and would tell what the prompts were.
        evidence=EvidenceConfig(min_prompts_per_term=100, max_terms=2_000, max_bank=2_000),
        boosters=BoosterConfig(max_rounds=200),
        amount_boosters=BoosterConfig(learning_rate=0.1, max_rounds=50),
    ),
)

_SLOPES: Final = np.linspace(0.05, 1.0, 20)
_EDGE: Final = 0.01


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What anchors of the other tables say about a table that they have not seen.

    Attributes
    ----------
    table : str
    slope : float
        The slope of difficulty (`router_model.announced.reference`) with the least log-loss of its models' outcomes, if
        their levels are known.
    """

    table: str
    slope: float


def read_tables(folder: Path) -> dict[str, Outcomes]:
    """Read the outcome tables of a folder, in the order of their names.

    Raises
    ------
    TableError
        If there are fewer than two, or a model was not graded on a prompt.
    """
    paths = sorted(folder.glob("*/outcomes.parquet"))
    if len(paths) < 2:  # noqa: PLR2004 - how anchors do on a table that they have not seen must be measured
        raise TableError(f"{folder}: {len(paths)} tables; expected two or more, as <table>/outcomes.parquet")
    return {path.parent.name: _some_texts(_without_gaps(read_outcomes(path), path)) for path in paths}


def _without_gaps(outcomes: Outcomes, path: Path) -> Outcomes:
    """Refuse gaps: where a strong model was not graded, the share of models that do well would tell of the others."""
    gaps = np.isnan(outcomes.quality).sum(axis=0)
    if gaps.any():
        worst = int(gaps.argmax())
        raise TableError(
            f"{path}: {outcomes.models[worst]} was not graded on {gaps[worst]} of {len(outcomes)} prompts; expected a "
            "grade of every model on every prompt: leave the model or these prompts out"
        )
    return outcomes


def _some_texts(outcomes: Outcomes) -> Outcomes:
    """Return some of the prompts, always the same, without the tools and settings of their requests.

    Tools and settings are known of single tables only, so they would tell which table it is and not what is hard.
    """
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in outcomes.prompt_ids])
    some = outcomes.take(np.sort(order[:PROMPTS_A_TABLE]))
    return replace(some, prompts=[one["messages"] if isinstance(one, Mapping) else one for one in some.prompts])


def fit_anchors(tables: Mapping[str, Outcomes], *, slope: float) -> Artifact:
    """Fit anchors on tables.

    Parameters
    ----------
    slope : of difficulty, on prompts of other tables
    """
    outcomes = join_near_duplicates(_pooled(tables))
    encoder = load_encoder(_CONFIG.encoder)
    features = featurise(outcomes.prompts, encoder)
    split = split_prompts(outcomes.split_keys, seed=_CONFIG.seed, holdout=_CONFIG.holdout)
    run = Run(None, outcomes, features, split, _cards(), encoder, _CONFIG)
    fitted = run.fit(lambda _: None)[0].artifact
    assert fitted.reference is not None  # noqa: S101 - training fits one
    return replace(
        fitted,
        anchors=ANCHORS,
        reference=replace(fitted.reference, slope=slope),
        # These name or fit the public tables; a router trained on the starter's log has the usual settings.
        bank_prompts=None,
        sketches=None,
        spend_curve=None,
        provenance={"tables": sorted(tables), "config": asdict(TrainConfig())},
    )


def best_slope(anchors: Artifact, outcomes: Outcomes) -> float:
    """Return the slope of difficulty with the least log-loss on a table, given its models' levels."""
    success = (outcomes.quality >= outcomes.quality.mean()).astype(np.float64)
    levels = log_odds_of(np.clip(success.mean(axis=0), _EDGE, 1 - _EDGE))
    assert anchors.reference is not None  # noqa: S101
    weights, _ = replace(anchors.reference, slope=1.0).mixture(levels)
    difficulty = anchor_log_odds(anchors, outcomes) @ weights
    losses = []
    for slope in _SLOPES.tolist():
        reference = Reference((slope * difficulty).astype(np.float32), 1.0)
        p = np.clip(expit(slope * difficulty + _shifts(reference, levels)), _EDGE, 1 - _EDGE)
        losses.append(float(-(success * np.log(p) + (1 - success) * np.log1p(-p)).mean()))
    return float(_SLOPES[int(np.argmin(losses))])


def _shifts(reference: Reference, levels: Float64Array) -> Float64Array:
    """Return what brings the mean of each column to its level."""
    columns = (Reference(reference.log_odds[:, [k]], 1.0) for k in range(len(levels)))
    return np.array([one.mixture(levels[[k]])[1][0] for k, one in enumerate(columns)])


def anchor_log_odds(anchors: Artifact, outcomes: Outcomes) -> Float64Array:
    """Return the log odds of the anchors' success on prompts, shape (n_prompts, n_anchors)."""
    encoder = load_encoder(anchors.encoder_name)
    features = featurise(outcomes.prompts, encoder)
    quality = anchors.predictor.predict(features, quality_bar=1.0).expected_quality
    return log_odds_of(quality)


def leave_out(tables: Mapping[str, Outcomes]) -> tuple[LeftOut, ...]:
    """Measure anchors on each table that they have not seen."""
    found = []
    for name, table in tables.items():
        others = {other: one for other, one in tables.items() if other != name}
        found.append(LeftOut(name, best_slope(fit_anchors(others, slope=1.0), table)))
    return tuple(found)


def build_anchors(tables: Mapping[str, Outcomes]) -> Artifact:
    """Fit anchors on all tables, with the least slope that was the best on a table left out."""
    found = leave_out(tables)
    anchors = fit_anchors(tables, slope=min(one.slope for one in found))
    metrics: dict[str, Any] = {"left_out": [asdict(one) for one in found]}
    return replace(anchors, metrics=metrics)


def _pooled(tables: Mapping[str, Outcomes]) -> Outcomes:
    """Join tables, with the anchors as models."""
    parts = {name: (table, table.quality.mean(axis=1)) for name, table in tables.items()}
    n = sum(len(table) for table in tables.values())
    share = np.concatenate([part for _, part in parts.values()])
    tokens = np.concatenate([np.nanmedian(table.output_tokens, axis=1) for table in tables.values()])
    unknown = np.full((n, len(LEVELS)), np.nan)
    return Outcomes(
        prompt_ids=[f"{name}/{one}" for name, table in tables.items() for one in table.prompt_ids],
        prompts=[prompt for table in tables.values() for prompt in table.prompts],
        tasks=[f"{name}/{task}" for name, table in tables.items() for task in table.tasks],
        models=ANCHORS,
        quality=(share[:, None] >= 1 - np.array(LEVELS) - 1e-9).astype(np.float64),
        input_tokens=unknown,
        output_tokens=np.repeat(tokens[:, None], len(LEVELS), axis=1),
        cost_usd=unknown,
        latency_s=unknown,
        propensity=unknown,
    )


def _cards() -> Catalog:
    """Return cards of the anchors: nobody calls them, so any price will do."""
    return Catalog({model: ModelCard(model, Decimal(1), Decimal(1), price_source="none") for model in ANCHORS})


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), default=Path("router_model/assets/anchors"), show_default=True)
def main(data: Path, out: Path) -> None:
    """Build the anchors from the public tables in DATA."""
    anchors = build_anchors(read_tables(data))
    content_hash = save_artifact(anchors, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    click.echo(f"{out}: {content_hash[:19]}, {size / 1e6:.1f} MB, {anchors.metrics}")


if __name__ == "__main__":
    main()
