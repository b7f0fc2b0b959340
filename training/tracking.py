"""Record training, benchmarks, evaluations on logs and promotions in MLflow (extra ``train``).

``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` have their usual meaning. The default is MLflow's own: a SQLite
file without a server, ``mlflow.db`` in the working folder. A training is recorded unless it is switched off; everything
else where MLflow is configured (`is_configured`). The message after each says where it was recorded, and how to look at
it.

MLflow comes last and may fail: whatever it does, the router is saved or published, and the command goes on after
`DEADLINE_S` at the latest.
"""

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from router_model.install_line import install_line

if TYPE_CHECKING:
    from router_model.saved.place import Place
    from router_model.training.benchmark.results import Results
    from router_model.training.measuring.verdict import Difference
    from router_model.training.offpolicy.evaluate_on_log import LogEvaluation
    from router_model.training.promotion.promote import Promotion
    from router_model.training.train import TrainConfig, TrainingReport

DEFAULT_URI: Final = "sqlite:///mlflow.db"
DEFAULT_FILE: Final = Path("mlflow.db")
DEFAULT_EXPERIMENT: Final = "router-model"
DEADLINE_S: Final = 120.0

_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Unless set otherwise. By MLflow's own defaults, a server that is down is asked again for minutes, and addresses of
runs are printed among the output of ``--json``."""

_MOST_IN_A_PARAMETER: Final = 6000  # characters; MLflow's limit

logger = logging.getLogger(__name__)


def is_configured() -> bool:
    """Return whether somebody tracks here: by ``MLFLOW_TRACKING_URI``, or in the default store of earlier runs."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or DEFAULT_FILE.is_file()


def track_run(report: "TrainingReport", config: "TrainConfig") -> str:
    """Record a training: its settings, data hash, metrics and plots, and the artifact as plain files.

    Returns
    -------
    str
        A message that says where the run was recorded, or why it was not.
    """
    return _tracked(lambda mlflow: _record(mlflow, report, config), "the router itself is saved")


def track_benchmark(results: "Results", folder: Path) -> str:
    """Record a benchmark: its settings and data hashes, every method's metrics, and the files of its folder."""
    return _tracked(lambda mlflow: _record_benchmark(mlflow, results, folder), f"the results are in {folder}")


def track_log_evaluation(found: "LogEvaluation", settings: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
    """Record what `ope` estimated: its settings, the hashes of table and router, every estimate, and ``ope.json``."""
    return _tracked(lambda mlflow: _record_log_evaluation(mlflow, found, settings, hashes), "the estimate stands")


def track_promotion(promotion: "Promotion", artifact: Path, place: "Place", *, registered: str) -> str:
    """Record a promotion or a refusal, register the challenger and let the registry's aliases follow the place."""
    done = "the place serves it" if promotion.promoted else "the refusal stands"
    return _tracked(lambda mlflow: _record_promotion(mlflow, promotion, artifact, place, registered), done)


def track_rollback(place: "Place", *, registered: str) -> str:
    """Let the registry's aliases follow a place that was rolled back."""
    return _tracked(lambda mlflow: _follow(mlflow, place, None, registered), "the place is rolled back")


def _tracked(record: Callable[[Any], str], done: str) -> str:
    """Let MLflow record, in a thread that is left to itself after the deadline; say what came of it.

    Parameters
    ----------
    record : called with the module ``mlflow``; returns the name of what it recorded
    done : what holds whether it is recorded or not
    """
    try:
        import mlflow  # noqa: PLC0415  (extra; two seconds to import)
    except ImportError:
        return f"not tracked: MLflow is not installed ({install_line('train')})"
    _quieten()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    shown, ended = without_password(uri), []
    worker = threading.Thread(target=lambda: ended.append(_attempt(partial(record, mlflow), mlflow, uri)), daemon=True)
    worker.start()
    worker.join(DEADLINE_S)
    if not ended:
        return f"not tracked: {shown} did not answer within {DEADLINE_S:g} s; {done}"
    (found,) = ended
    if isinstance(found, str):
        return f"tracked as {found} in {store_in_words(uri)}"
    why = f"{type(found).__name__}: {found}".replace(uri, shown)
    return f"not tracked: {shown} failed ({why}); {done}"


def _attempt(record: Callable[[], str], mlflow: Any, uri: str) -> str | Exception:
    try:
        mlflow.set_tracking_uri(uri)
        return record()
    except Exception as exc:
        # MLflow's stores raise any error of their backends; a traceback could show the address with its password
        logger.debug("MLflow failed", exc_info=exc)
        return exc


def store_in_words(uri: str) -> str:
    """Say where runs are recorded and, without a server, how to look at them.

    >>> store_in_words("http://mlflow.example:5000")
    'http://mlflow.example:5000'
    >>> store_in_words("sqlite:////data/runs.db")
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


def _record(mlflow: Any, report: "TrainingReport", config: "TrainConfig") -> str:
    """Record a training and return its name."""
    _experiment(mlflow)
    with mlflow.start_run() as run:
        mlflow.log_params(_parameters(asdict(config)))
        mlflow.set_tags({"content_hash": report.content_hash, "table_sha256": report.provenance["table"]["sha256"]})
        if report.held_out is not None:
            mlflow.log_metrics(metrics_of(report))
        mlflow.log_artifacts(str(report.artifact), "router")
        with tempfile.TemporaryDirectory() as folder:
            for figure in draw_figures(report, Path(folder)):
                mlflow.log_artifact(str(figure), "plots")
    return str(run.info.run_name)


def _record_benchmark(mlflow: Any, results: "Results", folder: Path) -> str:
    _experiment(mlflow)
    with mlflow.start_run(tags={"kind": "benchmark"}) as run:
        mlflow.log_params(_parameters(results.provenance))
        for method in results.methods:
            figures = {name: interval.value for name, interval in method.metrics.items()}
            mlflow.log_metrics({f"{_key(method.name)}/{name}": v for name, v in figures.items() if v is not None})
        for path in sorted(folder.iterdir()):
            if path.name in {"results.json", "shift.json", "report.html"}:
                mlflow.log_artifact(str(path))
    return str(run.info.run_name)


def _record_log_evaluation(
    mlflow: Any, found: "LogEvaluation", settings: Mapping[str, Any], hashes: Mapping[str, str]
) -> str:
    _experiment(mlflow)
    with mlflow.start_run(tags={"kind": "ope", "sentence": found.verdict.sentence, **hashes}) as run:
        mlflow.log_params(_parameters({**settings, "champion_name": found.champion_name}))
        estimates = {"quality_difference": found.quality, "cost_difference_usd": found.cost_usd}
        for name, by_estimator in estimates.items():
            mlflow.log_metrics({f"{name}/{_key(kind)}": one.value for kind, one in by_estimator.items()})
        mlflow.log_metrics(_difference_metrics(found.difference))
        mlflow.log_metric("n_decisions", found.n_decisions)
        mlflow.log_dict(found.as_dict(), "ope.json")
    return str(run.info.run_name)


def _record_promotion(mlflow: Any, promotion: "Promotion", artifact: Path, place: "Place", registered: str) -> str:
    """Record the checks, keep the artifact as a version of the registered model, and set the aliases."""
    _experiment(mlflow)
    checks = {check.name: check for check in promotion.checks}
    with mlflow.start_run(tags={"kind": "promotion", "sentence": promotion.sentence}) as run:
        mlflow.log_params(
            {f"check.{name}": check.status.value for name, check in checks.items()}
            | {"champion": promotion.champion, "promoted": promotion.promoted, "forced": promotion.forced}
            | {"evidence": None if promotion.evidence is None else promotion.evidence.source}
        )
        mlflow.log_metrics(_promotion_metrics(promotion))
        mlflow.log_dict(promotion.as_dict(), "promotion.json")
        if checks:
            hashes = checks["reproducible"].figures
            mlflow.set_tags({name: hashes[name] for name in ("content_hash", "table_sha256") if hashes[name]})
        version = _version(mlflow, promotion.challenger, registered)
        if version is None:
            mlflow.log_artifacts(str(artifact), "router")
            version = _register(mlflow, run, promotion.challenger, registered)
    aliases = _follow(mlflow, place, None if promotion.promoted else version, registered)
    return f"{run.info.run_name}, {aliases},"


def _promotion_metrics(promotion: "Promotion") -> dict[str, float]:
    if promotion.evidence is None:
        return {}
    found = {"flips": promotion.evidence.moved, **_difference_metrics(promotion.evidence.difference)}
    return {name: value for name, value in found.items() if value is not None}


def _difference_metrics(difference: "Difference") -> dict[str, float]:
    """Return a difference in quality and the saving, each with the ends of its interval."""
    found: dict[str, float] = {"n_prompts": difference.n_prompts}
    for name, estimate in (("quality_difference", difference.quality), ("saving", difference.saving)):
        ends = estimate.as_dict().items()
        found |= {f"{name}{'' if end == 'value' else f'_{end}'}": value for end, value in ends if value is not None}
    return found


def _register(mlflow: Any, run: Any, digits: str, registered: str) -> str:
    """Make a version of the artifact that a run holds, and return its number."""
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name='{registered}'"):
        client.create_registered_model(registered)
    made = client.create_model_version(
        registered, f"{run.info.artifact_uri}/router", run.info.run_id, tags={"router": digits}
    )
    return str(made.version)


def _version(mlflow: Any, digits: str, registered: str) -> str | None:
    """Return the newest version that holds a router; None if it was never registered."""
    found = mlflow.MlflowClient().search_model_versions(f"name='{registered}' and tags.router='{digits}'")
    return max((str(one.version) for one in found), key=int, default=None)


def _follow(mlflow: Any, place: "Place", challenger: str | None, registered: str) -> str:
    """Set the aliases of the registered model to what a place serves and served before, and to a refused challenger.

    What follows from the place alone is right however often it is done, and mends what was missed before.
    """
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name='{registered}'"):
        return f"{registered} without versions"
    pointed = {"champion": place.current, "previous": place.previous}
    versions = {
        alias: None if folder is None else _version(mlflow, folder.name, registered)
        for alias, folder in pointed.items()
    }
    versions["challenger"] = challenger
    for alias, version in versions.items():
        if version is None:
            client.delete_registered_model_alias(registered, alias)
        else:
            client.set_registered_model_alias(registered, alias, version)
    return f"{registered} " + ", ".join(f"{alias} {version or 'none'}" for alias, version in versions.items())


def metrics_of(report: "TrainingReport") -> dict[str, float]:
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


def draw_figures(report: "TrainingReport", folder: Path) -> list[Path]:
    """Draw the figures of a report's held-out evaluation into a folder; without one, draw none."""
    if report.held_out is None:
        return []
    from router_model.charts import to_png  # noqa: PLC0415  (extra)
    from router_model.training.reporting.figures import router_frontier  # noqa: PLC0415

    path = folder / "cost_and_quality.png"
    path.write_bytes(to_png(router_frontier(report.held_out, width=760)))
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


def _key(name: str) -> str:
    """Return a name with nothing in it that MLflow refuses.

    >>> _key("RouteLLM (matrix factorisation), 2")
    'RouteLLM _matrix factorisation__ 2'
    """
    return "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)


def _parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    return {_key(name): str(value)[:_MOST_IN_A_PARAMETER] for name, value in _flat(settings)}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
