import json
import socket
import sys
import threading
from pathlib import Path

import pytest
from command_line import run_command
from explored_log import explored_log
from fake_results import fake_results
from simulated_world import simulate

from router_model.install_line import install_line
from router_model.saved.artifact import load_artifact
from router_model.saved.place import Place
from router_model.training import tracking
from router_model.training.commands.train import show_report
from router_model.training.tracking import is_configured, track_benchmark, track_run
from router_model.training.train import TrainConfig


@pytest.mark.filterwarnings("ignore")  # MLflow's own deprecations are not ours to mend
@pytest.mark.slow
def test_a_run_holds_settings_hashes_metrics_plots_and_the_router(trained, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.slow
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
        f"not tracked: MLflow is not installed ({install_line('train')})"
    )


def test_a_store_that_does_not_answer_is_left_to_itself(trained, monkeypatch):
    pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    answered = threading.Event()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9/")
    monkeypatch.setattr(tracking, "_record", lambda *_: answered.wait())
    monkeypatch.setattr(tracking, "DEADLINE_S", 0.1)
    assert track_run(trained.report, TrainConfig()) == (
        "not tracked: http://127.0.0.1:9/ did not answer within 0.1 s; the router itself is saved"
    )
    answered.set()


def test_tracking_is_configured_by_the_variable_or_by_earlier_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "DEFAULT_FILE", tmp_path / "mlflow.db")
    assert not is_configured()
    (tmp_path / "mlflow.db").touch()
    assert is_configured()
    (tmp_path / "mlflow.db").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert is_configured()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_holds_the_routers_and_its_aliases_follow_the_place(
    mlflow_server, valued, trained, *, tmp_path, monkeypatch
):
    """Promoted, refused, promoted, rolled back: after each, the aliases name what the place serves and served."""
    import mlflow

    fresh = tmp_path / "fresh.parquet"
    simulate(600, seed=8).write_parquet(fresh)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    place, client = Place(tmp_path / "routers"), mlflow.MlflowClient(mlflow_server)

    def aliases():
        found = client.get_registered_model("router-model").aliases
        return {
            alias: client.get_model_version("router-model", number).tags["router"] for alias, number in found.items()
        }

    def run(*arguments, status=0):
        done = run_command(*arguments, "--json")
        assert done.returncode == status, done.stderr
        said = json.loads(done.stdout)
        assert said["tracking"].startswith("tracked as "), said["tracking"]
        assert said["tracking"].endswith(f" in {mlflow_server}")
        return said

    first = run("promote", valued["dear"], "--to", place.folder)["challenger"]
    assert aliases() == {"champion": first}
    refused = run("promote", valued["cheap"], "--to", place.folder, "--table", fresh, status=1)["challenger"]
    assert aliases() == {"champion": first, "challenger": refused}
    options = ("--to", place.folder, "--table", fresh, "--max-quality-loss", "0.1")
    second = run("promote", valued["weighing"], *options)
    assert aliases() == {"champion": second["challenger"], "previous": first}

    version = client.get_model_version_by_alias("router-model", "champion")
    copy = mlflow.artifacts.download_artifacts(
        version.source, dst_path=str(tmp_path / "copy"), tracking_uri=mlflow_server
    )
    assert load_artifact(copy).content_hash == trained.report.content_hash
    recorded = client.get_run(version.run_id)
    assert recorded.data.params["check.gain"] == "passed"
    assert recorded.data.tags["content_hash"] == trained.report.content_hash
    assert len(recorded.data.tags["table_sha256"]) == 64
    assert recorded.data.metrics["saving"] == pytest.approx(second["evidence"]["difference"]["saving"]["value"])
    assert recorded.data.metrics["quality_difference_low"] >= -0.1

    run("rollback", place.folder)
    assert aliases() == {"champion": first}
    n_versions = len(client.search_model_versions("name='router-model'"))
    run("promote", valued["weighing"], *options)
    assert aliases() == {"champion": second["challenger"], "previous": first}
    assert len(client.search_model_versions("name='router-model'")) == n_versions == 3  # no router twice


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_server_holds_trainings_benchmarks_and_evaluations_on_logs(
    mlflow_server, trained, graded, tmp_path, monkeypatch
):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "runs")
    found = fake_results()
    found.save(tmp_path / "results.json")
    (tmp_path / "private.txt").write_text("")
    assert track_benchmark(found, tmp_path).startswith("tracked as ")
    assert track_run(trained.report, TrainConfig()).startswith("tracked as ")
    explored_log(trained.router, 600)[0].write_parquet(tmp_path / "log.parquet")
    done = run_command("ope", graded.path, "--log", tmp_path / "log.parquet", "--against", trained.path, "--json")
    estimate = json.loads(done.stdout)
    assert estimate["tracking"].startswith("tracked as ")
    client = mlflow.MlflowClient(mlflow_server)
    experiment = client.get_experiment_by_name("runs").experiment_id
    evaluation, training, benchmark = client.search_runs([experiment])
    difference = estimate["challenger_minus_champion"]
    assert evaluation.data.metrics["quality_difference_low"] == pytest.approx(difference["quality"]["low"])
    assert evaluation.data.metrics["quality_difference/IPS"] == pytest.approx(
        difference["by_estimator"]["quality"]["IPS"]["value"]
    )
    assert evaluation.data.tags["content_hash"] == load_artifact(graded.path).content_hash
    assert evaluation.data.params["log"] == "log.parquet"
    assert [item.path for item in client.list_artifacts(benchmark.info.run_id)] == ["results.json"]
    assert any(name.endswith("/aiq") for name in benchmark.data.metrics)
    assert training.data.tags["content_hash"] == trained.report.content_hash
    assert {item.path for item in client.list_artifacts(training.info.run_id)} == {"router", "plots"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("answers", ["refuses", "is silent"])
def test_a_server_that_is_away_delays_no_promotion_and_no_rollback(valued, tmp_path, monkeypatch, answers):
    pytest.importorskip("mlflow", reason="extra 'train' is not installed")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if answers == "refuses":
            silent.close()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:secret@127.0.0.1:{port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        place = Place(tmp_path / "routers")
        for artifact in (valued["dear"], valued["cheap"]):
            done = run_command("promote", artifact, "--to", place.folder, "--force")
            assert done.returncode == 0, done.stderr
            assert f"Promotion not tracked: http://127.0.0.1:{port} failed (" in done.stdout
            assert done.stdout.endswith("); the place serves it\n")
        done = run_command("rollback", place.folder)
        assert (done.returncode, done.stdout.count("\n")) == (0, 2)
        assert done.stdout.endswith("); the place is rolled back\n")
        assert "secret" not in done.stdout + done.stderr
    assert place.current.name in done.stdout
