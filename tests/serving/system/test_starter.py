"""From a catalog and a provider to a router of one's own: serve without an artifact, grade, train on the log."""

import json
import os
import sys

import httpx2
import numpy as np
import pytest
from command_line import run_command
from processes import free_port, running
from simulated_world import CATALOG, P_SUCCESS, simulate

pytestmark = pytest.mark.slow  # a process is started, and a router trained

N_PROMPTS = 150
PROVIDERS = '[echo]\nkind = "echo"\nmodels = ["small", "coder", "large"]\n'


def test_a_service_from_a_catalog_alone_writes_the_log_that_the_first_router_is_trained_on(tmp_path):
    (tmp_path / "catalog.toml").write_text(CATALOG)
    (tmp_path / "providers.toml").write_text(PROVIDERS)
    port, log = free_port(), f"sqlite:///{tmp_path}/log.db"
    command = [sys.executable, "-m", "router_model", "serve", "--catalog", "catalog.toml"]
    command += ["--providers", "providers.toml", "--insecure", "--port", str(port), "--log", log]
    command += ["--explore-share", "0.5", "--decision-deadline-s", "20"]
    url = f"http://127.0.0.1:{port}"
    rng = np.random.default_rng(0)
    world = simulate(N_PROMPTS).unique("prompt_id", maintain_order=True)
    tasks = dict(world.select("prompt", "task").iter_rows())
    answered, reasons = [], set()
    with running(
        command, ready_url=f"{url}/readyz", output=tmp_path / "said", env=os.environ, cwd=tmp_path, limit_s=90
    ):
        with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
            for prompt, task in tasks.items():
                body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
                answer = client.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                model = answer.headers["x-router-model"]
                answered.append(model)
                decision = client.get(f"/v1/decisions/{answer.headers['x-router-decision-id']}").json()
                reasons.add(decision["reason"])
                graded = {
                    "decision_id": answer.headers["x-router-decision-id"],
                    "score": float(rng.random() < P_SUCCESS[task][model]),
                }
                assert client.post("/v1/feedback", json=graded).status_code < 300
            said = client.get("/admin/status").json()
        assert said["ready"]
    assert "a starter from catalog.toml" in (tmp_path / "said").read_text()
    assert set(answered) == {"small", "coder", "large"}
    assert reasons == {"starter", "explored"}
    started = run_command("start", "--catalog", tmp_path / "catalog.toml", "--out", tmp_path / "first")
    assert started.returncode == 0, started.stderr
    retrained = run_command(
        *("retrain", "--log", log, "--spool", tmp_path / "router-spool", "--base", tmp_path / "first"),
        *("--out", tmp_path / "router", "--no-track", "--json"),
    )
    assert retrained.returncode == 0, retrained.stderr
    assert {one["model"] for one in json.loads(retrained.stdout)["logged"]} == {"small", "coder", "large"}
    routed = run_command("route", tmp_path / "router", "rose moon verse rhyme", "--json")
    assert routed.returncode == 0, routed.stderr
    decided = json.loads(routed.stdout)
    assert decided["reason"] != "starter"
    assert {step["model"] for step in decided["plan"]} == {"small", "coder", "large"}
