"""For all tests of the service: one that is asked over the network, one around stand-ins."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_service import client_of, fake_parts
from starlette.testclient import TestClient
from system import system

from router_model import Catalog, Router
from router_model.serving.api.parts import Parts
from router_model.serving.common.callers import Role


@pytest.fixture(scope="session")
def live_service(trained, tmp_path_factory):
    """The service in a process of its own, deciding with `trained`."""
    roles = (Role.DECIDE, Role.FEEDBACK)
    with system(tmp_path_factory.mktemp("service"), trained.path, roles=roles, log_flush_s=0.05) as running:
        yield running


@pytest.fixture(scope="session")
def router(trained) -> Router:
    """The tiny router: coder, large and small, by one provider."""
    cards = {name: replace(card, provider="simulated") for name, card in trained.router.catalog.cards.items()}
    return replace(trained.router, catalog=Catalog(cards))


@pytest.fixture
def parts(router) -> Parts:
    """The tiny router, and stand-ins for the other parts."""
    return fake_parts(router)


@pytest.fixture
def client(parts) -> Iterator[TestClient]:
    """The HTTP side around `parts`."""
    with client_of(parts) as client:
        yield client
