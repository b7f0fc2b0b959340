"""Run a whole benchmark: from outcome tables to the `Results` of all methods."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from router_model.catalog import Catalog
from router_model.errors import RequestError, TableError
from router_model.features import Encoder, load_encoder
from router_model.features.featuriser import PromptFeatures, featurise
from router_model.training.benchmark.intervals import PromptWeights
from router_model.training.benchmark.leakage import LeakageAudit, audit
from router_model.training.benchmark.method import Method
from router_model.training.benchmark.results import Results
from router_model.training.benchmark.run import run_methods
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.benchmark.trials import seed_trials, shift_trials, trials_on_table
from router_model.training.files import file_sha256
from router_model.training.fitting.embedding_cache import cached
from router_model.training.learnable import learnable
from router_model.training.near_duplicates.groups import join_near_duplicates
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.wording import percent

Advance = Callable[[str, str, str], None]

_LIBRARIES = ("router-model", "lightgbm", "numpy", "scikit-learn", "scipy")
_TRAIN_SHARE = 6 / 7
_MIN_PROMPTS = 70
_N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """The settings of a benchmark.

    Attributes
    ----------
    n_seeds : int
        Number of trials, with seeds 0, 1, ...
    encoder : name for `router_model.features.load_encoder`
    quality_bar : the quality that counts as success
    models : ids to choose among; default: all models of the table
    max_prompts : most prompts for training and validation together (6 : 1), drawn by seed; None: all
        This shows how methods do on small tables. The test prompts stay as they are.
    dedupe : leave out test prompts that have a duplicate among the others
    n_resamples : number of resamples of the paired bootstrap
    title : title of the report; default: the name of the table's folder or file
    """

    n_seeds: int = 5
    encoder: str = "static"
    quality_bar: float = 0.5
    models: tuple[str, ...] = ()
    max_prompts: int | None = None
    dedupe: bool = False
    n_resamples: int = 1000
    title: str = ""

    def check(self) -> None:
        """Raise an error for settings with which nothing can be measured.

        Raises
        ------
        RequestError
        """
        if self.n_seeds < 1:
            raise RequestError(f"{self.n_seeds} seeds; expected 1 or more")
        if not 0 < self.quality_bar <= 1:
            raise RequestError(f"quality bar {self.quality_bar}; expected a number above 0 and up to 1")
        if self.n_resamples < 1:
            raise RequestError(f"{self.n_resamples} resamples; expected 1 or more, 1000 for intervals to publish")
        if len(self.models) == 1:
            raise RequestError(f"one model ({self.models[0]}); a router needs at least 2 to choose among")
        if self.max_prompts is not None and self.max_prompts < _MIN_PROMPTS:
            raise RequestError(f"{self.max_prompts} prompts to learn from; expected {_MIN_PROMPTS} or more")


@dataclass(frozen=True, slots=True)
class Bench:
    """Tables after reading and encoding, ready to be split into trials.

    Attributes
    ----------
    title : str
    outcomes, features : of the same prompts
    test : outcomes and features of another table to test on, or None
    catalog : prices; those it lacks are looked up
    encoder : Encoder
    config : BenchmarkConfig
    provenance : the entries about tables in `Results.provenance`
    """

    title: str
    outcomes: Outcomes
    features: PromptFeatures
    test: tuple[Outcomes, PromptFeatures] | None
    catalog: Catalog | None
    encoder: Encoder
    config: BenchmarkConfig
    provenance: dict[str, Any]

    @classmethod
    def prepare(
        cls,
        table: Path,
        *,
        test_table: Path | None = None,
        catalog: Catalog | None = None,
        config: BenchmarkConfig | None = None,
        encoding: Callable[[int, int], None] = lambda _n_done, _n: None,
    ) -> "Bench":
        """Read and encode tables.

        Parameters
        ----------
        table : outcomes to split; with a test table, outcomes to learn from
        test_table : outcomes to test on
        encoding : called with the number of texts encoded so far and in all

        Raises
        ------
        TableError, CatalogError, RequestError, TrainingError
        """
        config = config or BenchmarkConfig()
        config.check()
        encoder = cached(load_encoder(config.encoder), advance=encoding)
        outcomes = _read(table, config.models)
        test = None if test_table is None else read_outcomes(test_table).select_models(outcomes.models)
        if not all(side.has_text.all() for side in (outcomes, test or outcomes)):
            raise TableError(
                f"{table if test is None else test_table}: some prompts were logged without their texts, which other "
                "methods and the search for near duplicates read; 'train' and 'evaluate' learn and measure without"
            )
        tables = {"table": _described(table, outcomes)}
        if test is not None and test_table is not None:
            tables["test_table"] = _described(test_table, test)
        return cls(
            title=config.title or (table.resolve().parent.name if table.stem == "outcomes" else table.stem),
            outcomes=outcomes,
            features=featurise(outcomes.prompts, encoder),
            test=None if test is None else (test, featurise(test.prompts, encoder)),
            catalog=catalog,
            encoder=encoder,
            config=config,
            provenance=tables,
        )

    def measure(self, methods: Sequence[Method], *, advance: Advance = lambda _trial, _method, _step: None) -> Results:
        """Split by seeds (or between the two tables) and measure methods.

        Parameters
        ----------
        advance : called with the trial, the method and the step that the method has just finished
        """
        seeds = range(self.config.n_seeds)
        if self.test is None:
            trials = seed_trials(
                self.outcomes,
                self.features,
                self.catalog,
                self.encoder,
                seeds=seeds,
                quality_bar=self.config.quality_bar,
            )
            return self._results(trials, methods, advance, {"seeds": len(seeds)})
        trials = trials_on_table(
            self.outcomes,
            self.features,
            *self.test,
            catalog=self.catalog,
            encoder=self.encoder,
            seeds=seeds,
            quality_bar=self.config.quality_bar,
        )
        return self._results(trials, methods, advance, {"seeds": len(seeds)})

    def measure_shift(
        self, methods: Sequence[Method], *, advance: Advance = lambda _trial, _method, _step: None
    ) -> Results:
        """Leave each task out in turn and measure methods on it."""
        trials = shift_trials(
            self.outcomes, self.features, self.catalog, self.encoder, quality_bar=self.config.quality_bar
        )
        return self._results(trials, methods, advance, {"shift": "task"})

    @property
    def tasks(self) -> list[str]:
        """The labels that can be left out."""
        return sorted({task for task in self.outcomes.tasks if task})

    def _results(
        self, trials: Iterator[Trial], methods: Sequence[Method], advance: Advance, setting: dict[str, Any]
    ) -> Results:
        started = time.perf_counter()
        audits: dict[str, LeakageAudit] = {}
        keys = [*self.outcomes.split_keys, *(self.test[0].split_keys if self.test else ())]
        weights = PromptWeights.draw(keys, n_resamples=self.config.n_resamples)
        notes: list[str] = []
        measured = run_methods(self._audited(trials, audits, notes), methods, weights, advance=advance)
        return Results(
            title=self.title,
            provenance={
                **self.provenance,
                "setting": {**asdict(self.config), "models": list(self.config.models), **setting},
                "encoder": {"name": self.encoder.name, "content_hash": self.encoder.content_hash},
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": _versions(),
                "notes": notes,
            },
            leakage=_leakage(audits, left_out=self.config.dedupe),
            trials=measured.trials,
            methods=measured.methods,
            not_run=measured.not_run,
            seconds=time.perf_counter() - started,
        )

    def _audited(self, trials: Iterator[Trial], audits: dict[str, LeakageAudit], notes: list[str]) -> Iterator[Trial]:
        """Yield trials of the configured size after an audit; duplicates are left out if the settings say so."""
        for trial in trials:
            sized = _limited(trial, self.config.max_prompts)
            audits[trial.name] = _audit(sized.train, sized.test)
            notes += sized.notes
            yield _without_twins(sized, audits[trial.name]) if self.config.dedupe else sized


def _read(table: Path, models: tuple[str, ...]) -> Outcomes:
    outcomes = join_near_duplicates(read_outcomes(table))
    return learnable(outcomes.select_models(sorted(models)) if models else outcomes)[0]


def _limited(trial: Trial, max_prompts: int | None) -> Trial:
    if max_prompts is None:
        return trial
    n_train = round(max_prompts * _TRAIN_SHARE)
    rng = np.random.default_rng(trial.seed)

    def some(side: Side, n: int) -> Side:
        return side.take(np.sort(rng.permutation(len(side))[:n]))

    return replace(trial, train=some(trial.train, n_train), validation=some(trial.validation, max_prompts - n_train))


def _audit(before: Side, after: Side) -> LeakageAudit:
    return audit(
        before.outcomes.prompts,
        after.outcomes.prompts,
        train_ids=before.outcomes.prompt_ids,
        test_ids=after.outcomes.prompt_ids,
    )


def _without_twins(trial: Trial, found: LeakageAudit) -> Trial:
    """Leave out validation prompts with a duplicate in training, and test prompts with a duplicate in either."""
    of_validation = _audit(trial.train, trial.validation)
    of_test = np.union1d(found.rows, _audit(trial.validation, trial.test).rows)
    return replace(trial, validation=_except(trial.validation, of_validation.rows), test=_except(trial.test, of_test))


def _except(side: Side, rows: Any) -> Side:
    return side.take(np.setdiff1d(np.arange(len(side)), rows))


def _leakage(audits: dict[str, LeakageAudit], *, left_out: bool) -> dict[str, Any]:
    """Return the counts of the audits with a sentence."""
    n_test, n_exact, n_near = (
        float(np.mean([getattr(found, name) for found in audits.values()])) for name in ("n_test", "n_exact", "n_near")
    )
    share = (n_exact + n_near) / max(n_test, 1)
    return {
        "summary": f"{percent(share)} of test prompts have a twin among training prompts: of {n_test:,.0f} (mean of "
        f"{len(audits)} trials) {n_exact:,.1f} are the same text, {n_near:,.1f} nearly"
        f"{'; they were left out' if left_out else ''}",
        "left_out": left_out,
        "trials": {
            name: {"n_test": found.n_test, "n_exact": found.n_exact, "n_near": found.n_near}
            for name, found in audits.items()
        },
        "examples": [twin.as_dict() for found in audits.values() for twin in found.examples][:_N_EXAMPLES],
    }


def _described(path: Path, outcomes: Outcomes) -> dict[str, Any]:
    return {
        "file": path.name,
        "sha256": file_sha256(path),
        "n_prompts": len(outcomes),
        "n_models": len(outcomes.models),
        "n_outcomes": int((~np.isnan(outcomes.quality)).sum()),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # scikit-learn belongs to an extra and may be missing
            found[name] = "not installed"
    return found
