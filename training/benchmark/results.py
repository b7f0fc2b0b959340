"""The results of a benchmark as plain data, written to ``results.json`` for the report, the notebook and the docs.

The schema is stable: fields are only added. `SCHEMA_VERSION` changes if a field changes its meaning. A metric that is
not defined or not reached is None (null).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from router_model.errors import TableError

SCHEMA_VERSION = 1

Metrics = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % paired-bootstrap interval over prompts.

    Attributes
    ----------
    value : mean over trials; None if no trial has it
    low, high : ends of the interval; None if it was not resampled
    n_trials : number of trials with a value (a metric may be "not reached")
    reached : share of resampled trials with a value; `low` and `high` are over these
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n_trials: int = 0
    reached: float = 1.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A frontier (``x`` mean cost in USD, ``y`` mean quality) or a reliability curve (``x`` predicted, ``y`` observed).

    Attributes
    ----------
    x, y : of equal length
    n : number of outcomes of each point of a reliability curve; empty for a frontier
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    n: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Realised:
    """The result of one configuration on the test prompts, or on those of one task.

    Attributes
    ----------
    n_prompts : int
    cost_usd, quality, success : means over prompts
    saving : 1 - cost / cost of the best single model (on validation), on the same prompts; None if that is free
    quality_kept : quality / quality of the best single model (on validation), same prompts; None if that is 0
    """

    n_prompts: int
    cost_usd: float
    quality: float
    success: float
    saving: float | None
    quality_kept: float | None


@dataclass(frozen=True, slots=True)
class MethodTrial:
    """A method in one trial.

    Attributes
    ----------
    trial : name
    settings : hyperparameters chosen on validation
    fit_s : seconds to learn
    decide_ms : milliseconds per prompt, in a batch
    metrics : name -> value on test prompts; see docs/benchmark.md for the names
    frontier : frontier on test prompts, ascending in cost
    reliability : predicted against observed success; None without probabilities
    chosen : result on test prompts of the cheapest configuration that had the best single model's quality on
        validation, or else of the one with the highest quality there
    by_task : task -> the same configuration on the test prompts of the task
    shares : model -> share of test prompts that this configuration sends to it
    auc_by_model, log_loss_by_task : empty without probabilities
    """

    trial: str
    settings: Mapping[str, Any]
    fit_s: float
    decide_ms: float
    metrics: Metrics
    frontier: Curve
    reliability: Curve | None
    chosen: Realised
    by_task: Mapping[str, Realised]
    shares: Mapping[str, float]
    auc_by_model: Metrics = field(default_factory=dict)
    log_loss_by_task: Metrics = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method over all trials.

    Attributes
    ----------
    name, kind, origin, knob : as its `MethodCard`
    trials : one for each trial
    metrics : name -> mean over trials with interval
    ours_minus : name of a metric -> `Interval` of (ours - this method), paired; empty for ours
    """

    name: str
    kind: str
    origin: str
    knob: str
    trials: tuple[MethodTrial, ...]
    metrics: Mapping[str, Interval]
    ours_minus: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SingleModel:
    """A single model used for all test prompts of a trial (means over prompts)."""

    model: str
    cost_usd: float
    quality: float
    success: float


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """The sizes of a trial and its single models, best first."""

    name: str
    n_train: int
    n_validation: int
    n_test: int
    singles: tuple[SingleModel, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """A whole benchmark.

    Attributes
    ----------
    title : str
        The table's name.
    provenance : JSON types
        Table hashes and sizes, the setting (encoder, seeds, bar, shift, resamples), versions of packages.
    leakage : JSON types
        The counts of the leakage audit.
    trials : one for each seed, or for each task left out
    methods : in the order they were run
    not_run : method -> reason
    seconds : wall-clock time of the whole benchmark
    """

    title: str
    provenance: Mapping[str, Any]
    leakage: Mapping[str, Any]
    trials: tuple[TrialInfo, ...]
    methods: tuple[MethodResult, ...]
    not_run: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def method(self, name: str) -> MethodResult | None:
        """Return a method by name; None if it was not run."""
        return next((method for method in self.methods if method.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def save(self, path: Path) -> None:
        """Write ``results.json``."""
        path.write_text(json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read ``results.json``.

        Raises
        ------
        TableError
            If the file is missing, is not JSON, or has another schema version.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as exc:
            raise TableError(f"{path}: no such file; 'router-model benchmark TABLE --out FOLDER' writes it") from exc
        except (OSError, ValueError) as exc:
            raise TableError(f"{path}: not readable as results of a benchmark ({exc})") from exc
        version = document.get("schema_version") if isinstance(document, dict) else None
        if version != SCHEMA_VERSION:
            raise TableError(
                f"{path}: schema_version is {version!r}, expected {SCHEMA_VERSION}; run the benchmark again"
            )
        return cls(
            title=document["title"],
            provenance=document["provenance"],
            leakage=document["leakage"],
            trials=tuple(_trial_info(entry) for entry in document["trials"]),
            methods=tuple(_method(entry) for entry in document["methods"]),
            not_run=document["not_run"],
            seconds=document["seconds"],
        )


def _trial_info(entry: dict[str, Any]) -> TrialInfo:
    return TrialInfo(**{**entry, "singles": tuple(SingleModel(**single) for single in entry["singles"])})


def _method(entry: dict[str, Any]) -> MethodResult:
    return MethodResult(
        **{
            **entry,
            "trials": tuple(_method_trial(trial) for trial in entry["trials"]),
            "metrics": {name: Interval(**value) for name, value in entry["metrics"].items()},
            "ours_minus": {name: Interval(**value) for name, value in entry["ours_minus"].items()},
        }
    )


def _method_trial(entry: dict[str, Any]) -> MethodTrial:
    return MethodTrial(
        **{
            **entry,
            "frontier": _curve(entry["frontier"]),
            "reliability": None if entry["reliability"] is None else _curve(entry["reliability"]),
            "chosen": Realised(**entry["chosen"]),
            "by_task": {task: Realised(**value) for task, value in entry["by_task"].items()},
        }
    )


def _curve(entry: dict[str, Any]) -> Curve:
    return Curve(*(tuple(entry[name]) for name in ("x", "y", "n")))
