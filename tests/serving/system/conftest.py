"""Artifacts for whole services."""

import shutil

import pytest
from simulated_world import simulate

from training.train import train


@pytest.fixture(scope="session")
def other(catalog, tmp_path_factory):
    """The folder of a router that is not `trained`, and its hash."""
    folder = tmp_path_factory.mktemp("other")
    simulate(200, seed=5).write_parquet(folder / "outcomes.parquet")
    return folder / "router", train(folder / "outcomes.parquet", folder / "router", catalog=catalog).content_hash


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of `trained` that a test may destroy."""
    return shutil.copytree(trained.path, tmp_path / "router")
