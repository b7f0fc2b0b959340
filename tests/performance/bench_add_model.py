"""Adding a model against training with it: the learning curve, as a Markdown table; this file with ``--help``.

Of each table five models, spread over quality, are left out one at a time (seed 0). The yardstick is a router
trained with the model's outcomes on all training prompts; each is added to the router without it from some of the
training prompts (``known``: the router has the others' outcomes there) and from calibration prompts (``unseen``).
AUC and log-loss are of the model's P(success) on the same test prompts.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from announced_crowd import spread_models

from router_model.announced.level import Level
from router_model.catalog import Catalog
from router_model.features import load_encoder
from router_model.features.featuriser import featurise
from router_model.model_set import with_column
from router_model.prediction.predictor import Predictor
from router_model.saved.artifact import Artifact, load_artifact, save_artifact
from router_model.training.fitting.preconditioner import Sketch
from router_model.training.metrics import log_loss, mean_auc
from router_model.training.new_model.add_model import bank_kernel, fit_column
from router_model.training.new_model.new_model_outcomes import answers_of
from router_model.training.table.outcomes import read_outcomes
from router_model.training.table.prices import complete_catalog
from router_model.training.table.split import split_prompts
from router_model.training.train import Run, TrainConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--prompts", default="50,100,200,300", help="sizes of the draws")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--models", type=int, default=5, help="how many of the five")
    parser.add_argument("--cache", type=Path, help="folder for the trained routers")
    options = parser.parse_args()
    sizes = [int(size) for size in options.prompts.split(",")]
    for table in options.tables.split(","):
        world = World.read(options.data / table, options.cache and options.cache / table)
        for model in spread_models(world.run)[-options.models :]:
            curve(world, model, sizes, options.draws)


@dataclass(frozen=True)
class World:
    """A table, ready to train on, and where routers trained on it are kept."""

    run: Run
    cache: Path | None

    @classmethod
    def read(cls, folder: Path, cache: Path | None = None, *, n_prompts: int | None = None) -> "World":
        """Read a table, or some of its prompts, drawn at random."""
        table, encoder = folder / "outcomes.parquet", load_encoder("static")
        outcomes = read_outcomes(table)
        if n_prompts is not None and n_prompts < len(outcomes):
            outcomes = outcomes.take(np.sort(np.random.default_rng(0).permutation(len(outcomes))[:n_prompts]))
        catalog = complete_catalog(Catalog.load(folder / "catalog.toml"), outcomes.models)
        split = split_prompts(outcomes.prompt_ids, seed=0)
        features = featurise(outcomes.prompts, encoder)
        return cls(Run(table, outcomes, features, split, catalog, encoder, TrainConfig(seed=0)), cache)

    def trained(self, left_out: str | None) -> Artifact:
        """Train without one model, or read what was trained before."""
        path = self.cache and self.cache / (left_out or "full").replace("/", "__")
        if path and path.exists():
            return load_artifact(path)
        kept = tuple(model for model in self.run.outcomes.models if model != left_out)
        run = replace(self.run, outcomes=self.run.outcomes.select_models(kept), catalog=self.run.catalog.only(kept))
        router, _ = run.fit(lambda _: None)
        if path:
            save_artifact(router.artifact, path)
        return router.artifact

    def score(self, predictor: Predictor, model: str) -> tuple[float, float]:
        """Return AUC and log-loss of one model on test prompts."""
        rows = self.run.split.test
        success = self.run.outcomes.quality[rows][:, [self.run.outcomes.models.index(model)]]
        table = predictor.predict(self.run.features.take(rows), quality_bar=1.0)
        p = table.p_success[:, [predictor.models.index(model)]].astype(np.float64)
        return mean_auc(p, success), log_loss(p, success)

    def added(
        self, predictor: Predictor, model: str, rows: np.ndarray, *, seen: bool, prior: Level | None = None
    ) -> Predictor:
        """Add a model from some prompts, and from what is known of its level beside them."""
        answers = answers_of(
            predictor,
            self.run.outcomes.select_models([model]).take(rows),
            self.run.features.take(rows),
            seen=np.full(len(rows), seen),
            card=self.run.catalog[model],
        )
        matrix = bank_kernel(predictor.evidence_model)
        return with_column(predictor, model, fit_column(predictor, answers, matrix, Sketch.of(matrix), prior=prior)[0])


def curve(world: World, model: str, sizes: list[int], n_draws: int) -> None:
    """Print one model's rows."""
    name = world.run.table.parent.name
    auc, loss = world.score(world.trained(None).predictor, model)
    print(f"| {name} | {model} | trained | all | {auc:.4f} | | {loss:.4f} |", flush=True)
    without = world.trained(model).predictor
    rng = np.random.default_rng(0)
    for kind, rows, seen in (("known", world.run.split.train, True), ("unseen", world.run.split.calibration, False)):
        for size in sizes if kind == "known" else [size for size in sizes if size <= len(rows)][-2:-1]:
            found = [
                world.score(world.added(without, model, rng.permutation(rows)[:size], seen=seen), model)
                for _ in range(n_draws)
            ]
            mean_area, mean_loss = np.mean(found, axis=0)
            print(
                f"| {name} | {model} | {kind} | {size} | {mean_area:.4f} | {mean_area - auc:+.4f} | {mean_loss:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
