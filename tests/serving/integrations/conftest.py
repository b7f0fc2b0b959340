"""One real service and one provider for all of these tests."""

import pytest
from fake_provider import fake_provider
from running_service import running_service


@pytest.fixture(scope="package")
def service(trained, tmp_path_factory):
    with running_service(tmp_path_factory.mktemp("service"), trained.path) as running:
        yield running


@pytest.fixture(scope="package")
def provider():
    with fake_provider() as running:
        yield running
