import sys

import pytest

from training.tracking import track_run
from training.train import TrainConfig


@pytest.mark.filterwarnings("ignore")  # MLflow's own deprecations are not ours to mend
def test_a_run_holds_settings_hashes_metrics_plots_and_the_router(trained, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = track_run(trained.report, TrainConfig())
    assert said.endswith("in sqlite:///mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["router-model"], output_format="list")
    assert run.data.params["fit.evidence.neighbours"] == "(10, 40, 100)"
    assert run.data.tags["content_hash"] == trained.report.content_hash
    assert len(run.data.tags["table_sha256"]) == 64
    assert run.data.metrics["auc"] == pytest.approx(trained.report.held_out.metrics["auc"])
    files = {item.path for item in mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="router")}
    assert files == {f"router/{path.name}" for path in trained.path.iterdir()}
    plots = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="plots")
    assert [plot.path for plot in plots] == ["plots/cost_and_quality.png"]


def test_without_mlflow_training_says_so(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert track_run(trained.report, TrainConfig()) == (
        "not tracked: MLflow is not installed (pip install 'router-model[train]')"
    )
