"""The alerts, the runbook and the dashboard, against what the service says of itself; the drill asks a Prometheus."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dashboard import ALERTS, QUERIES
from fake_service import client_of, fake_parts

ROOT = Path(__file__).parents[2]


def test_each_alert_has_its_section_in_the_runbook():
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]
    for text in re.split(r"^## \w+$", (ROOT / "docs/runbook.md").read_text(), flags=re.MULTILINE)[1:]:
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
