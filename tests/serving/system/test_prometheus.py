"""Prometheus itself scrapes the service, with the configuration that is deployed and a key of the role metrics."""

import pytest
from processes import eventually
from prometheus_server import prometheus_of
from system import system

pytestmark = pytest.mark.slow  # two processes


def test_prometheus_scrapes_with_the_deployed_configuration(trained, tmp_path):
    with system(tmp_path / "service", trained.path) as service, prometheus_of(service, tmp_path) as prometheus:
        for _ in range(3):
            service.route()
        eventually(lambda: prometheus.query("sum(router_decisions_total) == 3"), "the three decisions are there")
