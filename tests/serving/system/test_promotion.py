"""A place under load: routers are promoted and rolled back, no request fails, and each change is served in seconds."""

import subprocess
import sys
import time

import pytest
from processes import eventually
from system import load, system

pytestmark = pytest.mark.slow  # processes that are started and loaded

TRIED_S, KNOWN_S = 120, 30
"""Seconds, on a busy machine, within which a new router, which is tried first, and the former one are served."""


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "router_model", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_promotion_and_rollback_under_load_cost_no_request(trained, other, tmp_path):
    place, (path, new) = tmp_path / "routers", other
    old, took = trained.report.content_hash, {}
    run("promote", trained.path, "--to", place)
    with system(tmp_path / "service", place, reload_every_s=0.5) as service, load(service) as asked:
        assert service.status()["artifact"] == old
        version = service.status()["policy_version"]
        for name, arguments, wanted, limit_s in (
            ("promote", ("promote", path, "--to", place, "--force"), new, TRIED_S),
            ("rollback", ("rollback", place), old, KNOWN_S),
        ):
            begun_s = time.monotonic()
            run(*arguments)
            ran_s = time.monotonic() - begun_s
            eventually(lambda w=wanted: service.status()["artifact"] == w, f"{name} is served", limit_s=limit_s)
            swapped_s = time.monotonic()
            took[name] = f"{name} is served {swapped_s - begun_s:.1f} s after its start (it ran for {ran_s:.1f} s)"
            asked.wait_for(40)
            assert asked.artifacts_between(swapped_s) == {wanted}
        assert service.status()["policy_version"] == version
        damaged = place / new.removeprefix("sha256:")[:12] / "arrays.safetensors"
        damaged.write_bytes(b"short")
        asked.wait_for(40)
    print("", *took.values(), f"{len(asked.answers):,} answers", sep="\n")
    assert asked.statuses == {200}
    assert not any(answer.body["degraded"] for answer in asked.answers)
    assert asked.artifacts_between() == {old, new}
    assert "Traceback" not in service.output


def test_a_service_that_watches_the_pointer_itself_follows_too(valued, tmp_path):
    place = tmp_path / "routers"
    run("promote", valued["dear"], "--to", place)
    with system(tmp_path / "service", place / "current", reload_every_s=0.2) as service:
        before = service.status()["artifact"]
        run("promote", valued["cheap"], "--to", place, "--force")
        eventually(lambda: service.status()["artifact"] != before, "the new router is served", limit_s=TRIED_S)
        run("rollback", place)
        eventually(lambda: service.status()["artifact"] == before, "the former router is served", limit_s=KNOWN_S)
