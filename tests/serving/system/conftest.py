"""Artifacts for whole services."""

import shutil

import pytest
from proxied import providers_toml, proxied
from scripted_upstream import scripted_upstream
from simulated_world import BOLD, simulate
from system import WATCHED_SERVE

from router_model.training.train import train


@pytest.fixture(scope="session")
def other(catalog, tmp_path_factory):
    """The folder of a router that is not `trained`, and its hash."""
    folder = tmp_path_factory.mktemp("other")
    simulate(200, seed=5).write_parquet(folder / "outcomes.parquet")
    return folder / "router", train(
        folder / "outcomes.parquet", folder / "router", catalog=catalog, config=BOLD
    ).content_hash


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of `trained` that a test may destroy."""
    return shutil.copytree(trained.path, tmp_path / "router")


@pytest.fixture(scope="session")
def upstream():
    """A provider that plays faults."""
    with scripted_upstream() as running:
        yield running


@pytest.fixture(scope="session")
def proxy(trained, upstream, tmp_path_factory):
    """The service before it, which counts its tasks; one for all tests that do not end it."""
    folder, options = tmp_path_factory.mktemp("proxy") / "service", {"program": WATCHED_SERVE, "proxy_total_s": 12}
    with proxied(folder, trained.path, providers_toml(upstream), **options) as running:
        yield running
