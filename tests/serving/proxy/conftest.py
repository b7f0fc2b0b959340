"""The proxy's surfaces around a tiny router, and providers that answer in this process."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_service import client_of, fake_parts
from starlette.testclient import TestClient

from router_model import Catalog, Router
from serving.api.parts import Parts


@pytest.fixture(scope="session")
def router(trained) -> Router:
    """The tiny router: coder, large and small, by one provider."""
    cards = {name: replace(card, provider="simulated") for name, card in trained.router.catalog.cards.items()}
    return replace(trained.router, catalog=Catalog(cards))


@pytest.fixture
def parts(router) -> Parts:
    return fake_parts(router)


@pytest.fixture
def client(parts) -> Iterator[TestClient]:
    with client_of(parts) as client:
        yield client


@pytest.fixture
def orders(parts):
    """What was forwarded."""
    return parts.proxy.forwarder.orders
