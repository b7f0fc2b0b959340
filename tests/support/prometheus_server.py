"""A real Prometheus, which scrapes services as the shipped configuration says, with the shipped alerts in a hurry."""

import contextlib
import math
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from processes import free_port, running

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/rules/alerts.yml"
HURRY = 60
"""A minute of the shipped rules is a second here."""
LEAST_WINDOW_S = 10
"""A rate needs a few scrapes; there is one a second."""
LEAST_FOR_S = 5
"""A busy machine may be late with a scrape or two, and each may take a second."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API."""
        answer = httpx2.get(f"{self.url}/api/v1/{path}", params=query, timeout=20, trust_env=False).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, query: str) -> list[float]:
        """Return the values that an expression has now, without NaN."""
        found = [float(one["value"][1]) for one in self.ask("query", query=query)["result"]]
        return [value for value in found if not math.isnan(value)]


def hurried(rules: str) -> str:
    """Return the text of rules whose windows and waits are a sixtieth as long, but not too short for a busy machine.

    >>> print(hurried("expr: sum(increase(x[15m])) / sum(rate(y[5m])) > 0.05\\nfor: 10m\\nfor: 2m"))
    expr: sum(increase(x[15s])) / sum(rate(y[10s])) > 0.05
    for: 10s
    for: 5s
    """

    def seconds(found: re.Match[str], least: int) -> int:
        return max(least, int(found[2]) * _UNITS[found[3]] // HURRY)

    rules = re.sub(r"(\[)(\d+)([smhd])\]", lambda found: f"[{seconds(found, LEAST_WINDOW_S)}s]", rules)
    return re.sub(r"(for: )(\d+)([smhd])", lambda found: f"for: {seconds(found, LEAST_FOR_S)}s", rules)


@contextlib.contextmanager
def prometheus(folder: Path, target: str, key: str) -> Iterator[Prometheus]:
    """Run one until the end of the block: with the shipped configuration, this target and this key, each second."""
    folder.mkdir()
    (folder / "key").write_text(key)
    (folder / "alerts.yml").write_text(hurried(RULES.read_text()))
    config = (DEPLOY / "prometheus/prometheus.yml").read_text()
    for shipped, here in (
        ("15s", "1s"),
        ("router:8484", target),
        ("/run/secrets/metrics_key", str(folder / "key")),
        ('"rules/*.yml"', f'"{folder / "alerts.yml"}"'),
    ):
        assert shipped in config, shipped
        config = config.replace(shipped, here)
    (folder / "prometheus.yml").write_text(config)
    program, address = shutil.which("prometheus"), f"127.0.0.1:{free_port()}"
    assert program, "Prometheus is missing: apt-get install prometheus"
    command = [
        program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}", "--log.level=warn",
    ]  # fmt: skip
    url = f"http://{address}"
    with running(command, ready_url=f"{url}/-/ready", output=folder / "said", env=os.environ, cwd=folder):
        yield Prometheus(url)
