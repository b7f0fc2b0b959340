"""The HTTP side of the service around a tiny router and stand-ins for the other parts."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_service import client_of, fake_parts
from starlette.testclient import TestClient

from router_model import Catalog, Router
from serving.api.parts import Parts


@pytest.fixture(scope="session")
def router(trained) -> Router:
    """The tiny router, its models by one provider."""
    cards = {name: replace(card, provider="simulated") for name, card in trained.router.catalog.cards.items()}
    return replace(trained.router, catalog=Catalog(cards))


@pytest.fixture
def parts(router) -> Parts:
    return fake_parts(router)


@pytest.fixture
def client(parts) -> Iterator[TestClient]:
    with client_of(parts) as client:
        yield client
