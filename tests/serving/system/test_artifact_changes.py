"""Under load, the artifact is destroyed and replaced: no request fails, none is lost."""

import re
import shutil
import time

import pytest
from processes import eventually
from system import load, logged_ids, system

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended


def delete(folder):
    shutil.rmtree(folder)


def truncate(folder):
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def fill_with_garbage(folder):
    for file in folder.iterdir():
        file.write_bytes(b"\0garbage\xff" * 1000)


def replace(folder, source):
    """Put a whole artifact in a folder's place, as a deployment would: beside it, then renamed."""
    beside = shutil.copytree(source, folder.with_name("beside"))
    if folder.exists():
        folder.rename(folder.with_name(f"old-{len(list(folder.parent.iterdir()))}"))
    beside.rename(folder)


def test_a_destroyed_artifact_costs_no_request(copied, other, trained, tmp_path):
    """Deleted, truncated, garbage, each in turn; then another router appears, and is served by itself."""
    path, content_hash = other
    with system(tmp_path / "service", copied, reload_every_s=0.2) as service, load(service) as asked:
        for n, destroy in enumerate((delete, truncate, fill_with_garbage)):
            destroy(copied)
            assert service.call("POST", "/admin/reload").json()["error"]["code"] == "reload_refused"
            assert service.call("GET", "/readyz").status_code == 200
            status = service.status()
            assert status["artifact"] == trained.report.content_hash
            assert status["engine"]["refused"]
            asked.wait_for(20)
            replace(copied, trained.path)
            eventually(lambda: service.status()["engine"]["refused"] is None, f"the good one is seen, {n}")
        replace(copied, path)
        eventually(lambda: service.status()["artifact"] == content_hash, "the new router is served")
        asked.wait_for(20)
    assert asked.statuses == {200}
    assert asked.artifacts_between() == {trained.report.content_hash, content_hash}
    assert not any(answer.body["degraded"] for answer in asked.answers)
    refusals = re.findall(
        r"ERROR router_model\.serving\S+: the new artifact was refused; the service goes on with what it served.*",
        service.output,
    )
    assert len(refusals) >= 3, service.output
    assert "Traceback" not in service.output
    assert sorted(logged_ids(service.log)) == sorted(asked.ids)


def test_routers_change_places_under_load(trained, other, tmp_path):
    """Four swaps, by the pointer alone and by the admin; after each swap every answer is of the new one."""
    hashes = {trained.path: trained.report.content_hash, other[0]: other[1]}
    pointer, steady = tmp_path / "current", []
    pointer.write_text(str(trained.path))
    with system(tmp_path / "service", pointer, reload_every_s=0.5) as service, load(service) as asked:
        for path, by_admin in ((other[0], False), (trained.path, True), (other[0], True), (trained.path, False)):
            new = tmp_path / "current.new"
            new.write_text(str(path))
            new.replace(pointer)
            if by_admin:
                assert service.call("POST", "/admin/reload").json()["artifact"] == hashes[path]
            else:
                eventually(lambda path=path: service.status()["artifact"] == hashes[path], "the swap")
            swapped_s = time.monotonic()
            assert service.route()["policy"]["artifact"] == hashes[path]
            asked.wait_for(20)
            steady.append((swapped_s, time.monotonic(), hashes[path]))
        assert service.metrics()['router_reloads_total{result="loaded",router="default"}'] == 5
    assert asked.statuses == {200}
    assert asked.artifacts_between() == set(hashes.values())
    for since_s, until_s, new in steady:
        assert asked.artifacts_between(since_s, until_s) == {new}
    assert not any(answer.body["degraded"] for answer in asked.answers)
