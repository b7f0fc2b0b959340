"""The alerts, the runbook and the dashboard, against what the service says of itself and a real Prometheus."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from fake_service import client_of, fake_parts
from processes import eventually
from prometheus_server import DEPLOY, RULES, prometheus
from proxied import providers_toml, proxied
from scripted_upstream import scripted_upstream

from router_model.serving.access.issuing import create_key
from router_model.serving.common.callers import Role

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
PANELS = json.loads((DEPLOY / "grafana/dashboards/router-model.json").read_text())["panels"]
TARGETS = [target for panel in PANELS for target in panel.get("targets", ())]
QUERIES = {(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())}
HAS_NO_DATA = {  # until a key has a budget, feedback shifts a level, prices have dates, or something goes wrong
    *("Left of budgets", "Calls that budgets refused", "Levels shifted by feedback", "Age of prices"),
    *("Challenger and canary", "Default plan by cause, exploration", "Breakers and keys", "Errors by code"),
    "First token",
}


def test_each_alert_has_its_section_in_the_runbook():
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]
    for text in re.split(r"^## .*$", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)[1:]:
        assert "**Means (" in text
        assert "**Do:**" in text
    severities = re.findall(r"\*\*Means \((\w+)\):", (ROOT / "docs/runbook.md").read_text())
    assert severities == [alert["labels"]["severity"] for alert in ALERTS]


def test_alerts_and_dashboard_read_metrics_that_there_are(trained):
    with client_of(fake_parts(trained.router)) as client:
        served = set(re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, flags=re.MULTILINE))
    served |= {f"{name}_bucket" for name in served}
    for expression in [alert["expr"] for alert in ALERTS] + [expression for _, expression in QUERIES]:
        assert set(re.findall(r"router_\w+", expression)) - {"router_model"} <= served, expression


@pytest.mark.slow
def test_the_alerts_fire_when_they_should():
    assert shutil.which("promtool"), "Prometheus is missing: apt-get install prometheus"
    tests = Path(__file__).with_name("alerts_test.yml")
    done = subprocess.run(
        ["promtool", "test", "rules", str(tests)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_real_prometheus_scrapes_a_service_and_the_dashboard_shows_it(trained, tmp_path):
    """With a key that may read metrics and nothing else, and two workers."""
    with (
        scripted_upstream() as upstream,
        proxied(tmp_path / "it", trained.path, providers_toml(upstream), workers=2) as service,
    ):
        _, key = create_key(service.folder / "keys.toml", name="prometheus", roles=[Role.METRICS])
        with prometheus(tmp_path / "prometheus", f"127.0.0.1:{service.port}", key) as scraping:
            eventually(lambda: scraping.values("up") == [1.0], "the service is scraped")

            def asked():
                for model in ("auto", "openai/x", "openai.alone.status_500.x"):
                    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
                    service.call("POST", "/v1/chat/completions", body)
                return scraping.values("sum(rate(router_decisions_total[5m])) > 0")

            eventually(asked, "decisions are counted")
            eventually(
                lambda: scraping.values('sum(rate(router_attempts_total{outcome!="success"}[5m])) > 0'), "failures"
            )
            empty = {title for title, query in QUERIES if not scraping.values(query)}
            assert empty <= HAS_NO_DATA
            for target in TARGETS:  # a legend with a label that no series has is blank
                series = scraping.ask("query", query=target["expr"])["result"]
                labels = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
                assert not series or labels <= set().union(*(one["metric"] for one in series)), target
            rules = scraping.ask("rules")["groups"][0]["rules"]
            assert [(rule["name"], rule["health"]) for rule in rules] == [(one["alert"], "ok") for one in ALERTS]
            service.process.terminate()
            eventually(lambda: scraping.values("up") == [0.0], "the service is missed")
            eventually(lambda: scraping.values('ALERTS{alertname="RouterDown"}'), "the alert is pending")
