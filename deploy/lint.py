"""Lint everything in this folder; ``make lint-deploy`` runs it in an environment of its own.

hadolint reads the Dockerfile, Compose's schema the compose file, Helm's own library lints and renders the chart,
Kubernetes' schemas check what it renders, promtool reads Prometheus' configuration and rules, systemd-analyze the unit.
Grafana's own models read the dashboard: a name that they do not know is one that Grafana would not heed.
A program of Debian's that is missing is said, and fails only with --all, as CI runs it.
"""

import argparse
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from helm_python import chart
from helm_python.errors import HelmRenderError, HelmValuesError

DEPLOY = Path(__file__).resolve().parent
CHART = DEPLOY / "helm" / "router-model"
UNIT = DEPLOY / "systemd" / "router-model.service"
KUBERNETES = "1.33"
_NO_SCHEMA = {"ServiceMonitor"}  # a resource of the Prometheus operator
_MOST_EXPOSED = 2.0  # of 10, by `systemd-analyze security`
_VALUES: tuple[dict[str, Any], ...] = (
    {},
    {
        "serviceMonitor": {"enabled": True},
        "networkPolicy": {"callers": [{"matchLabels": {"team": "a"}}], "ports": [6379]},
        "imagePullSecrets": [{"name": "registry"}],
        "artifact": {"path": "one"},
        "settings": {"ROUTER_LOG_RETENTION_DAYS": 30},
        "trustedHosts": ["router.example.com"],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "only", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    {"autoscaling": {"enabled": False}, "networkPolicy": {"enabled": False}},
    {"autoscaling": {"enabled": False}, "replicas": 1, "state": {"claim": "router-state"}},
    # Scaled down for a while, and as a dependency of another chart.
    {"autoscaling": {"enabled": False}, "replicas": 0, "state": {"claim": "router-state"}},
    {"enabled": True, "global": {"imageRegistry": "registry.example.com"}},
)

_REFUSED: tuple[dict[str, Any], ...] = (
    {"autoscalling": {"enabled": False}},  # a name that the chart does not know
    {"settings": {"log queue": 1}},
    {"state": {"claim": "router-state"}},  # a volume of one pod, and several pods
)


def main() -> int:
    """Run every linter; return the number of complaints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="fail where a program is missing")
    needs_all = parser.parse_args().all
    complaints = [*_dockerfile(), *_yaml(), *_chart(), *_prometheus(), *_dashboards(), *_unit()]
    missing = [one for one in complaints if one.startswith("missing: ")]
    for one in complaints:
        print(one, file=sys.stderr)
    return len(complaints) - (0 if needs_all else len(missing))


def _dockerfile() -> Iterator[str]:
    # DL3059 would merge steps that are apart on purpose: their layers change at different times.
    yield from _ran("hadolint", "--ignore", "DL3059", DEPLOY / "Dockerfile")
    called = set(re.findall(r"RUN \S+steps\.sh (\w+)", (DEPLOY / "Dockerfile").read_text("utf-8")))
    for script in ("in_chroot.sh",):
        also = set(re.findall(r'in_root "\$folder/\w+" (\w+)', (DEPLOY / "image" / script).read_text("utf-8")))
        if also != called:
            yield f"{script} runs the steps {sorted(also)}, the Dockerfile {sorted(called)}; expected the same"
    for script in (DEPLOY / "image").glob("*.sh"):
        yield from _ran("sh", "-n", script)


def _yaml() -> Iterator[str]:
    yield from _ran("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    files = [*DEPLOY.glob("*.yaml"), *DEPLOY.glob("prometheus/**/*.yml"), *DEPLOY.glob("grafana/**/*.yaml")]
    yield from _ran("yamllint", "--strict", "--config-data", rules, *files, CHART / "values.yaml", CHART / "Chart.yaml")


def _chart() -> Iterator[str]:
    for message in chart.lint(CHART, strict=True)["messages"]:
        if message["severity"] > 1:  # 1: an icon is recommended
            yield f"helm lint: {message['path']}: {message['error']}"
    for values in _REFUSED:
        try:
            _rendered(values)
        except (HelmRenderError, HelmValuesError):
            continue
        yield f"the chart takes {values}; expected an error"
    for values in _VALUES:
        for path, text in _rendered(values).items():
            if path.endswith(".yaml"):
                yield from (f"{path}: {one}" for one in _resources(text))


def _rendered(values: dict[str, Any]) -> dict[str, str]:
    with chart.Chart.load(CHART) as loaded:
        return dict(loaded.render(name="router", namespace="routers", values=values))


def _resources(text: str) -> Iterator[str]:
    for resource in filter(None, yaml.safe_load_all(text)):
        if resource["kind"] in _NO_SCHEMA:
            continue
        try:
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as exc:
            yield f"{resource['kind']}: {exc.message} at {'.'.join(map(str, exc.path))}"


def _prometheus() -> Iterator[str]:
    # The key is a secret of the container, so the syntax alone is checked.
    yield from _ran("promtool", "check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yml")
    rules = [*(DEPLOY / "prometheus" / "rules").glob("*.yml")]
    if rules:
        yield from _ran("promtool", "check", "rules", *rules)


def _dashboards() -> Iterator[str]:
    register_default_plugins()
    known_units = {value for name, value in vars(units).items() if name.isidentifier() and isinstance(value, str)}
    for file in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        said = json.loads(file.read_text("utf-8"))
        understood = json.loads(JSONEncoder().encode(Dashboard.from_json(said)))
        yield from (f"{file.name}: {path} is not what Grafana's models know" for path in _lost(said, understood))
        for panel in said["panels"]:
            unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
            if unit is not None and unit not in known_units:
                yield f"{file.name}: {panel['title']}: Grafana has no unit {unit!r}"
        for one, other in itertools.combinations(said["panels"], 2):
            if one["id"] == other["id"] or _overlap(one["gridPos"], other["gridPos"]):
                yield f"{file.name}: {one['title']} and {other['title']} have the same id or place"


def _lost(said: Any, understood: Any, path: str = "$") -> Iterator[str]:
    """Yield the paths of what a model has dropped or changed."""
    if isinstance(said, dict) and isinstance(understood, dict):
        for name, value in said.items():
            yield from _lost(value, understood.get(name), f"{path}.{name}")
    elif isinstance(said, list) and isinstance(understood, list) and len(said) == len(understood):
        for index, pair in enumerate(zip(said, understood, strict=True)):
            yield from _lost(*pair, f"{path}[{index}]")
    elif said != understood:
        yield path


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    across, down = ((one[a] < other[a] + other[b] and other[a] < one[a] + one[b]) for a, b in ("xw", "yh"))
    return across and down


def _unit() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / UNIT.name  # the command of the unit is not on this machine
        copy.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8")), "utf-8")
        yield from _ran("systemd-analyze", "verify", copy)
        if shutil.which("systemd-analyze"):
            command = ["systemd-analyze", "security", "--offline=true", str(copy)]
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
            found = re.search(r"exposure level[^:]*: ([\d.]+)", said)
            if found is None or float(found[1]) > _MOST_EXPOSED:
                yield f"{UNIT.name}: exposed {found[1] if found else '?'}; expected {_MOST_EXPOSED} at most"


def _ran(program: str, *arguments: object) -> Iterator[str]:
    """Run a linter; yield what it complains of."""
    beside = Path(sys.executable).with_name(program)
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        yield f"missing: {program} is not here, so it was not run"
        return
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        yield f"{program}: {(done.stdout + done.stderr).strip()}"


if __name__ == "__main__":
    sys.exit(main())
