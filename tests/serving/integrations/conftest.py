"""What integrations are tested between: the real service, and a provider."""

import pytest
from fake_provider import fake_provider


@pytest.fixture(scope="session")
def service(live_service):
    return live_service


@pytest.fixture(scope="session")
def provider():
    with fake_provider() as running:
        yield running
