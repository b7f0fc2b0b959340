"""Record training runs in MLflow (extra ``train``), by default in a local SQLite file without a server.

``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` have their usual meaning. The default is MLflow's own:
``mlflow.db`` in the working folder. The message after a run says where it was recorded, how to look at it, and how to
switch recording off.
"""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from router_model.training.train import TrainConfig, TrainingReport

DEFAULT_URI = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "router-model"

logger = logging.getLogger(__name__)


def track_run(report: TrainingReport, config: TrainConfig) -> str:
    """Record a run: its settings, data hash, metrics and plots, and the artifact as plain files.

    Returns
    -------
    str
        A message that says where the run was recorded, or why it was not.
    """
    try:
        import mlflow  # noqa: PLC0415  (extra; two seconds to import)
    except ImportError:
        return "not tracked: MLflow is not installed (pip install 'router-model[train]')"
    _quieten()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    try:
        name = _record(mlflow, uri, report, config)
    except Exception as exc:
        # MLflow's stores raise any error of their backends; a traceback could show the address with its password
        logger.debug("MLflow failed", exc_info=exc)
        shown = without_password(uri)
        why = f"{type(exc).__name__}: {exc}".replace(uri, shown)
        return f"not tracked: {shown} failed ({why}); the router itself is saved"
    return f"tracked as {name} in {place(uri)}"


def place(uri: str) -> str:
    """Say where runs are recorded and, without a server, how to look at them.

    >>> place("http://mlflow.example:5000")
    'http://mlflow.example:5000'
    >>> place("sqlite:////data/runs.db")
    'sqlite:////data/runs.db; look at it with: mlflow ui --backend-store-uri sqlite:////data/runs.db'
    """
    if uri == DEFAULT_URI:
        return (
            f"mlflow.db and mlartifacts/ here; look at it with: mlflow ui --backend-store-uri {uri} "
            "(elsewhere: set MLFLOW_TRACKING_URI; not at all: --no-track)"
        )
    is_local = urlsplit(uri).scheme in {"", "file", "sqlite"}
    return f"{uri}; look at it with: mlflow ui --backend-store-uri {uri}" if is_local else without_password(uri)


def without_password(uri: str) -> str:
    """Return an address without the user and password that it may contain.

    >>> without_password("https://ann:secret@mlflow.example/runs")
    'https://mlflow.example/runs'
    """
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def _record(mlflow: Any, uri: str, report: TrainingReport, config: TrainConfig) -> str:
    """Record a run and return its name."""
    mlflow.set_tracking_uri(uri)
    _experiment(mlflow)
    with mlflow.start_run() as run:
        mlflow.log_params(dict(_flat(asdict(config))))
        mlflow.set_tags({"content_hash": report.content_hash, "table_sha256": report.provenance["table"]["sha256"]})
        if report.held_out is not None:
            mlflow.log_metrics(metrics_of(report))
        mlflow.log_artifacts(str(report.artifact), "router")
        with tempfile.TemporaryDirectory() as folder:
            for figure in draw_figures(report, Path(folder)):
                mlflow.log_artifact(str(figure), "plots")
    return str(run.info.run_name)


def metrics_of(report: TrainingReport) -> dict[str, float]:
    """Return the numbers of a held-out evaluation by name; undefined ones are left out."""
    if report.held_out is None:
        return {}
    router = report.held_out.router
    numbers: dict[str, float | None] = {
        **report.held_out.metrics,
        "router_quality": router.quality,
        "router_cost_usd": router.cost_usd,
        "router_saving": router.saving,
    }
    return {name: value for name, value in numbers.items() if value is not None}


def draw_figures(report: TrainingReport, folder: Path) -> list[Path]:
    """Draw the figures of a report's held-out evaluation into a folder; without one, draw none."""
    if report.held_out is None:
        return []
    from router_model.training.benchmark.plots import cost_and_quality  # noqa: PLC0415  (matplotlib)

    path = folder / "cost_and_quality.png"
    cost_and_quality(report.held_out).savefig(path, dpi=120)
    return [path]


def _experiment(mlflow: Any) -> None:
    """Choose the experiment; a new one in the default store keeps its files beside the database."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", DEFAULT_EXPERIMENT)
    if mlflow.get_experiment_by_name(name) is None and mlflow.get_tracking_uri() == DEFAULT_URI:
        mlflow.create_experiment(name, artifact_location=Path("mlartifacts").resolve().as_uri())
    mlflow.set_experiment(name)


def _quieten() -> None:
    """Hide the progress messages of MLflow and alembic in a terminal; warnings are still shown."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
