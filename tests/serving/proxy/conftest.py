"""What the proxy was asked to forward."""

import pytest


@pytest.fixture
def orders(parts):
    """What was forwarded."""
    return parts.proxy.forwarder.orders
