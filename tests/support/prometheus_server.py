"""A real Prometheus, of Debian's package, with the configuration of ``deploy/prometheus``."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
from processes import eventually, free_port, running_program
from system import System

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "prometheus"


@dataclass(frozen=True)
class Prometheus:
    """Where it is."""

    url: str

    def query(self, expression: str) -> list[dict]:
        """Return the series of an instant query."""
        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10, trust_env=False)
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]["result"]


@contextlib.contextmanager
def prometheus_of(service: System, folder: Path) -> Iterator[Prometheus]:
    """Run one that scrapes a service every second, with a key of the role 'metrics', until the end of the block.

    Only what differs from place to place is replaced: the target, the file of the key, and the intervals.
    """
    _, key = create_key(service.folder / "keys.toml", name="prometheus", roles=[Role.METRICS])
    (folder / "key").write_text(f"{key}\n")
    text = (CONFIGURATION / "prometheus.yml").read_text("utf-8")
    for ours, here in {
        "/run/secrets/metrics_key": str(folder / "key"),
        "router:8484": f"127.0.0.1:{service.port}",
        "interval: 15s": "interval: 1s",
        "rules/*.yml": str(CONFIGURATION / "rules" / "*.yml"),
    }.items():
        assert ours in text, ours
        text = text.replace(ours, here)
    (folder / "prometheus.yml").write_text(text, "utf-8")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with running_program(command, port=port):
        one = Prometheus(f"http://127.0.0.1:{port}")
        eventually(lambda: one.query('up{job="router-model"} == 1'), "the service has been scraped")
        yield one
