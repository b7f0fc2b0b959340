"""A Dask scheduler and two workers, started as a user starts them: the same results, also where a worker is killed."""

import json
import threading
import time

import pytest
from command_line import run_command
from dask_cluster import dask_cluster
from explored_log import explored_log
from simulated_world import simulate

from router_model.router import Router
from router_model.training.distributed import prompts
from router_model.training.distributed.engine import computing_on
from router_model.training.train import train

pytestmark = pytest.mark.slow
BUCKET = "outcomes"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """Partitions in a bucket of a server of S3's API, which this process and the workers reach by the environment."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        for name, value in (("DEFAULT_REGION", "us-east-1"), ("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "x")):
            patch.setenv(f"AWS_{name}", value)
        s3fs = pytest.importorskip("s3fs")
        s3fs.S3FileSystem.clear_instance_cache()  # one that another test made knows another server
        files = s3fs.S3FileSystem()
        files.mkdir(BUCKET)
        rows = simulate(300)
        for day, part in enumerate(rows.iter_slices(300), start=1):
            path = tmp_path_factory.mktemp("day") / "outcomes.parquet"
            part.write_parquet(path)
            files.put_file(str(path), f"{BUCKET}/log/day=2026-11-{day:02}/outcomes.parquet")
        yield f"s3://{BUCKET}/log"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def cluster(bucket, tmp_path):  # noqa: ARG001  (the workers inherit how the bucket is reached)
    with dask_cluster(tmp_path, n_workers=2) as found:
        yield found


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(prompts, "_AT_ONCE", 50)


def kill_when_busy(client, cluster, name):
    """Kill a worker as soon as it has a task; return a list that then has the worker's address."""
    address = next(where for where, one in client.scheduler_info()["workers"].items() if str(one["name"]) == name)
    killed = []

    def watch():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if client.processing().get(address):
                cluster.processes[1 + int(name)].kill()
                killed.append(address)
                return
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    return killed, thread


def test_a_worker_that_is_killed_changes_nothing(bucket, cluster, catalog, tmp_path):
    """Worker 1 is killed with a fold's evidence under way; the router is the local one, to the last bit.

    Of the 300 prompts 250 are drawn, on the workers, too.
    """
    local = train(bucket, tmp_path / "local", catalog=catalog, max_prompts=250)
    assert local.provenance["table"]["drawn_from"] == 300
    killings = []
    with computing_on(cluster.address) as engine:
        engine.client.wait_for_workers(2)

        def advance(step):
            if step == "features":
                killings.append(kill_when_busy(engine.client, cluster, "1"))

        found = train(bucket, tmp_path / "distributed", catalog=catalog, max_prompts=250, advance=advance)
        killed, thread = killings[0]
        thread.join()
        assert len(killed) == 1
        assert [str(one["name"]) for one in engine.client.scheduler_info()["workers"].values()] == ["0"]
    assert found.content_hash == local.content_hash
    assert found.as_dict()["held_out"] == local.as_dict()["held_out"]
    assert_commands_say_the_same(tmp_path / "local", cluster.address, tmp_path)


def assert_commands_say_the_same(router, address, folder):
    """Prompts and decisions that the router was not trained on; 300 of each, so that there are pieces of 50."""
    simulate(300, seed=9).write_parquet(folder / "unseen.parquet")
    log, _ = explored_log(Router.load(router), 300)
    log.write_parquet(folder / "log.parquet")
    for command in (
        ("evaluate", router, folder / "unseen.parquet"),
        ("ope", router, "--log", folder / "log.parquet"),
    ):
        here, there = (run_command(*command, "--json", "--engine", where) for where in ("local", address))
        assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
        assert json.loads(there.stdout) == json.loads(here.stdout)
