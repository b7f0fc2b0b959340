import sys
from pathlib import Path

import pytest

from router_model.training.commands.train import show_report
from router_model.training.tracking import track_run
from router_model.training.train import TrainConfig


@pytest.mark.filterwarnings("ignore")  # MLflow's own deprecations are not ours to mend
def test_a_run_holds_settings_hashes_metrics_plots_and_the_router(trained, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = track_run(trained.report, TrainConfig())
    assert " in mlflow.db and mlartifacts/ here; " in said
    assert "mlflow ui --backend-store-uri sqlite:///mlflow.db (elsewhere: set MLFLOW_TRACKING_URI; " in said
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlartifacts"}
    (run,) = mlflow.search_runs(experiment_names=["router-model"], output_format="list")
    assert run.data.params["fit.evidence.kernel_penalties"] == "(0.25, 2.0)"
    assert run.data.params["fit.evidence.kernel.bag"] == "2.0"
    assert run.data.tags["content_hash"] == trained.report.content_hash
    assert len(run.data.tags["table_sha256"]) == 64
    assert run.data.metrics["auc"] == pytest.approx(trained.report.held_out.metrics["auc"])
    files = {item.path for item in mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="router")}
    assert files == {f"router/{path.name}" for path in trained.path.iterdir()}
    plots = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="plots")
    assert [plot.path for plot in plots] == ["plots/cost_and_quality.png"]


@pytest.mark.filterwarnings("ignore")
def test_the_usual_variable_names_another_place_and_nothing_is_left_here(trained, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    uri = f"sqlite:///{tmp_path}/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr("router_model.training.tracking._record", lambda *_: "gifted-shark")
    assert track_run(trained.report, TrainConfig()) == (
        f"tracked as gifted-shark in {uri}; look at it with: mlflow ui --backend-store-uri {uri}"
    )
    assert list(Path.cwd().iterdir()) == []


def test_a_failing_store_is_named_without_its_password(trained, monkeypatch):
    pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    uri = "http://ann:secret@127.0.0.1:9/"

    def fail(*_):
        raise OSError(f"{uri} does not answer")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr("router_model.training.tracking._record", fail)
    assert track_run(trained.report, TrainConfig()) == (
        "not tracked: http://127.0.0.1:9/ failed (OSError: http://127.0.0.1:9/ does not answer); "
        "the router itself is saved"
    )


def test_the_summary_shows_the_extra_that_is_missing(trained, capsys):
    """Square brackets are markup to what prints it."""
    show_report(trained.report, "not tracked: MLflow is not installed (pip install 'router-model[train]')")
    assert "Run not tracked: MLflow is not installed (pip install 'router-model[train]')\n" in capsys.readouterr().out


def test_without_mlflow_training_says_so(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert track_run(trained.report, TrainConfig()) == (
        "not tracked: MLflow is not installed (pip install 'router-model[train]')"
    )
