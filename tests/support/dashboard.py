"""What the shipped dashboard and alerts ask Prometheus."""

import json
import re
from typing import Final

import yaml
from prometheus_server import DEPLOY, RULES

ALERTS: Final = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
_PANELS: Final = json.loads((DEPLOY / "grafana/dashboards/router-model.json").read_text())["panels"]
QUERIES: Final = {(panel["title"], target["expr"]) for panel in _PANELS for target in panel.get("targets", ())}
"""Title of a panel, and what it asks."""
LEGENDS: Final = {
    target["expr"]: frozenset(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
    for panel in _PANELS
    for target in panel.get("targets", ())
}
"""The labels that the legend of a query names."""
