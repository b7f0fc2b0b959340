import asyncio
import logging
import shutil
from dataclasses import replace

import pytest
from simulated_world import CATALOG, POEM, SUM
from waiting import until

from router_model import ArtifactError, Router
from router_model.policy import OperatingPoint
from router_model.saved.artifact import save_artifact
from router_model.serving.common.service_errors import ReloadRefusedError

pytestmark = pytest.mark.usefixtures("untried")


@pytest.fixture(scope="session")
def other(trained, tmp_path_factory):
    """The same predictor with another default value of a success, and so with another content hash."""
    path = tmp_path_factory.mktemp("other") / "router"
    save_artifact(replace(trained.router.artifact, operating_point=OperatingPoint(0.5, 0.0)), path)
    return path


@pytest.fixture
def pointer(trained, tmp_path):
    """A pointer that names a copy of the trained router."""
    shutil.copytree(trained.path, tmp_path / "good")
    path = tmp_path / "current"
    path.write_text("good")
    return path


def point(pointer, to):
    fresh = pointer.with_name("fresh")
    fresh.write_text(str(to))
    fresh.replace(pointer)


def damaged(folder, kind):
    """Damage a copy of an artifact."""
    bad = folder.with_name(f"bad {kind}")
    shutil.copytree(folder, bad)
    if kind == "truncated":
        (bad / "arrays.safetensors").write_bytes((bad / "arrays.safetensors").read_bytes()[:1000])
    elif kind == "no manifest":
        (bad / "manifest.json").unlink()
    elif kind == "missing file":
        (bad / "predictor.json").unlink()
    else:
        (bad / "manifest.json").write_text("{")
    return bad


async def test_a_changed_pointer_is_served(bench, query, pointer, other):
    """With a success worth nothing the cheapest model is chosen, for a poem, too."""
    async with bench(artifact=pointer) as b:
        before = await b.engine.decide(query(POEM, success_value_usd=1.0))
        point(pointer, other)
        reloaded = await b.engine.reload()
        after = await b.engine.decide(query(POEM))
        assert reloaded.changed
        assert reloaded.artifact == after.artifact != before.artifact
        assert reloaded.policy_version == after.policy_version != before.policy_version
        assert (before.model, after.model) == ("large", "small")
        assert not (await b.engine.reload()).changed


async def test_the_watch_finds_a_new_artifact_by_itself(bench, pointer, other):
    async with bench(artifact=pointer, reload_every_s=0.01) as b:
        before = b.engine.policy_version
        point(pointer, other)
        await until(lambda: b.engine.policy_version != before)
        assert b.engine.status["swaps"] == 2


async def test_the_same_content_elsewhere_is_no_change(bench, pointer, trained):
    async with bench(artifact=pointer) as b:
        router = b.engine.router
        point(pointer, trained.path)
        assert not (await b.engine.reload()).changed
        assert b.engine.router is router


async def test_prices_reload_with_the_same_artifact(bench, query, tmp_path):
    """'large' at a hundredth of its price is the cheapest model that is likely to write a poem, and a sum."""
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    async with bench(catalog=catalog) as b:
        assert (await b.engine.decide(query(SUM, target_success=0.6))).model == "small"
        artifact = b.engine.router.artifact
        catalog.write_text(CATALOG.replace("input = 5\n", "input = 0.05\n").replace("= 15\n", "= 0.15\n"))
        assert (await b.engine.reload()).changed
        assert (await b.engine.decide(query(SUM, target_success=0.6))).model == "large"
        assert b.engine.router.artifact is artifact
        catalog.write_text("nonsense")
        with pytest.raises(ReloadRefusedError, match="not valid TOML"):
            await b.engine.reload()
        assert (await b.engine.decide(query(SUM, target_success=0.6))).model == "large"


@pytest.mark.parametrize("kind", ["truncated", "no manifest", "missing file", "manifest"])
async def test_a_bad_artifact_is_refused_and_the_old_one_stays(bench, query, pointer, caplog, kind):
    with caplog.at_level(logging.ERROR):
        async with bench(artifact=pointer) as b:
            before = b.engine.policy_version
            point(pointer, damaged(pointer.with_name("good"), kind))
            with pytest.raises(
                ReloadRefusedError,
                match="the new artifact was refused; the service goes on with what it served before: .*bad",
            ):
                await b.engine.reload()
            for _ in range(3):
                with pytest.raises(ReloadRefusedError, match="was refused"):
                    await b.engine.reload()
            assert b.engine.policy_version == before
            assert "bad" in b.engine.status["refused"]
            assert b.engine.status["refusals"] == 1
            assert not (await b.engine.decide(query(SUM))).degraded
            point(pointer, "good")
            assert not (await b.engine.reload()).changed
            assert b.engine.status["refused"] is None
    assert len(caplog.records) == 1


async def test_the_watch_does_not_load_a_bad_artifact_twice(bench, pointer):
    async with bench(artifact=pointer) as b:
        point(pointer, damaged(pointer.with_name("good"), "truncated"))
        with pytest.raises(ReloadRefusedError, match="damaged"):
            await b.engine._reloader.reload(only_if_new=True)
        assert not (await b.engine._reloader.reload(only_if_new=True)).changed
        assert b.engine.status["refused"]


async def test_a_router_that_does_not_decide_is_refused(bench, pointer, trained, tmp_path):
    """A predictor whose numbers are not finite is intact on disk, and says nothing."""
    artifact = trained.router.artifact
    bank = artifact.predictor.evidence_model.bank
    broken = replace(
        artifact,
        predictor=replace(
            artifact.predictor,
            evidence_model=replace(
                artifact.predictor.evidence_model, bank=replace(bank, base=bank.base * float("nan"))
            ),
        ),
    )
    save_artifact(broken, tmp_path / "broken")
    async with bench(artifact=pointer) as b:
        point(pointer, tmp_path / "broken")
        with pytest.raises(ReloadRefusedError, match="was refused; the service goes on with what it served before: "):
            await b.engine.reload()
        assert b.engine.ready


@pytest.mark.parametrize("how", ["deleted", "truncated"])
async def test_files_that_vanish_or_shrink_are_harmless(bench, query, pointer, how):
    """Nothing of a loaded artifact is read from its files again."""
    async with bench(artifact=pointer, reload_every_s=0.01) as b:
        folder = pointer.with_name("good")
        if how == "deleted":
            shutil.rmtree(folder)
        else:
            for file in folder.iterdir():
                file.write_bytes(b"")
        while not b.engine.status["refused"]:
            assert not (await b.engine.decide(query(SUM))).degraded
        assert not (await b.engine.decide(query(POEM, explain=True))).degraded
        assert b.engine.ready


async def test_without_an_artifact_the_service_does_not_start(bench, tmp_path):
    with pytest.raises(ArtifactError, match="^the artifact was refused: .*does not name a trained router"):
        async with bench(artifact=tmp_path / "nothing"):
            pass


async def test_with_a_default_plan_it_starts_degraded_and_keeps_trying(bench, query, pointer):
    path = pointer.with_name("later")
    async with bench(artifact=path, default_plan=["large", "small"], reload_every_s=0.01) as b:
        assert not b.engine.ready
        routed, *batch = [await b.engine.decide(query(SUM)), *await b.engine.decide_batch([query(SUM)])]
        for one in (routed, *batch):
            assert (one.degraded_by, one.artifact, one.quality_bar) == ("no_router", "", 0.5)
            assert [step.model for step in one.plan] == ["large", "small"]
        path.symlink_to("good")
        await until(lambda: b.engine.ready)
        assert not (await b.engine.decide(query(SUM))).degraded


@pytest.mark.parametrize("n_reloads", [8, pytest.param(50, marks=pytest.mark.slow)])
async def test_decisions_during_reloads_are_each_of_one_artifact(bench, query, pointer, other, *, n_reloads):
    """Good, other and bad artifacts take turns under load; each decision is what its artifact decides alone."""
    routers = {
        router.artifact.content_hash: router for router in (Router.load(pointer.with_name("good")), Router.load(other))
    }
    expected = {(name, said): router.route(said).plan for name, router in routers.items() for said in (SUM, POEM)}
    async with bench(artifact=pointer) as b:
        good, bad = pointer.with_name("good"), damaged(pointer.with_name("good"), "truncated")
        done, seen, refused = asyncio.Event(), [], 0

        async def client(said):
            while not done.is_set():
                seen.append((said, await b.engine.decide(query(said))))

        clients = [asyncio.create_task(client(said)) for said in (SUM, POEM) * 4]
        for turn in range(n_reloads):
            point(pointer, (other, bad, good, bad)[turn % 4])
            try:
                assert (await b.engine.reload()).changed
            except ReloadRefusedError:
                refused += 1
        done.set()
        await asyncio.gather(*clients)
        assert refused == n_reloads // 2
        assert not any(routed.degraded for _, routed in seen)
        assert {routed.artifact for _, routed in seen} == set(routers)
        versions = {(routed.artifact, routed.policy_version) for _, routed in seen}
        assert len(versions) == 2
        for said, routed in seen:
            assert [step.model for step in routed.plan] == [step.model for step in expected[routed.artifact, said]]
