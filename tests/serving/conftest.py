"""One real service for all tests that ask one over the network."""

import pytest
from running_service import running_service


@pytest.fixture(scope="session")
def live_service(trained, tmp_path_factory):
    """The service in a process of its own, deciding with `trained`."""
    with running_service(tmp_path_factory.mktemp("service"), trained.path) as running:
        yield running
