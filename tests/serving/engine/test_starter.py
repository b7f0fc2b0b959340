"""A service without an artifact that has a catalog: a starter decides, and explores."""

from collections import Counter
from random import Random

import pytest
from simulated_world import CATALOG, SUM

from router_model.errors import ArtifactError
from router_model.serving.common.service_errors import ReloadRefusedError
from router_model.serving.common.settings import Settings
from router_model.serving.engine.exploration import STARTER_SHARE
from router_model.serving.preflight import about

ONE = "[models.only]\nusd_per_mtok_input = 1\nusd_per_mtok_output = 1\n"


@pytest.fixture
def catalog_file(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return path


async def test_a_catalog_alone_decides_and_explores_within_the_cost_bound(bench, query, catalog_file):
    """By prices alone `large` answers. A tenth is drawn: the others cost less, so both are within the bound."""
    async with bench(artifact=None, catalog=catalog_file, rng=Random(3)) as b:
        chosen = Counter()
        for _ in range(200):
            routed = await b.engine.decide(query(SUM))
            chosen[routed.model] += 1
            assert routed.reason == ("explored" if routed.explored else "starter")
            assert (routed.degraded, routed.certificate) == (False, None)
            assert sum(routed.propensities) == pytest.approx(1)
            by_model = dict(zip([step.model for step in routed.plan], routed.propensities, strict=True))
            assert by_model["large"] > 1 - STARTER_SHARE
            assert min(by_model.values()) > 0
        assert 200 * (1 - 2 * STARTER_SHARE) < chosen["large"] < 200
        assert len(chosen) == 3
        record = b.log.decisions[-1]
        assert [one.propensity for one in record.candidates] == list(routed.propensities)
        assert record.artifact == b.engine.router.artifact.content_hash != ""
        assert b.engine.default_plan == ("large", "coder", "small")


async def test_dear_models_are_not_drawn_where_a_cheap_one_is_chosen(bench, query, catalog_file):
    """`small` is known to be as good as any; a call of `large` costs more than three times as much."""
    catalog_file.write_text(
        CATALOG.replace("[models.small]", "[models.small]\naccuracy = 0.95\naccuracy_prompts = 900")
    )
    async with bench(artifact=None, catalog=catalog_file, explore_share=1.0) as b:
        routed = await b.engine.decide(query(SUM, explore=False))
        assert routed.model == "small"
        drawn = {(await b.engine.decide(query(SUM))).model for _ in range(40)}
        assert drawn == {"small"}


async def test_a_share_that_is_set_holds_and_a_trained_router_does_not_explore_by_itself(bench, query, catalog_file):
    for settings in ({"artifact": None, "catalog": catalog_file, "explore_share": 0.0}, {}):
        async with bench(**settings) as b:
            routed = await b.engine.decide(query(SUM))
            assert routed.propensities == [1, 0, 0]


async def test_a_catalog_that_changes_is_read_again_and_one_that_cannot_start_is_refused(bench, query, catalog_file):
    async with bench(artifact=None, catalog=catalog_file) as b:
        before = b.engine.policy_version
        catalog_file.write_text(ONE)
        with pytest.raises(ReloadRefusedError, match="the catalog has one model, only"):
            await b.engine.reload()
        assert (await b.engine.decide(query(SUM))).predicted
        catalog_file.write_text(CATALOG.replace("[models.coder]", "[models.coder2]"))
        assert (await b.engine.reload()).changed
        assert b.engine.policy_version != before
        assert "coder2" in b.engine.router.models
        catalog_file.write_text(ONE)
    with pytest.raises(ArtifactError, match="expected at least 2"):
        async with bench(artifact=None, catalog=catalog_file):
            pass


async def test_a_default_plan_says_what_auto_means_instead(bench, query, catalog_file):
    async with bench(artifact=None, catalog=catalog_file, default_plan=("small",)) as b:
        assert (await b.engine.decide(query(SUM))).reason == "fallback_default"


def test_the_service_says_before_it_listens_what_decides(catalog_file):
    said = about(Settings(catalog=catalog_file, insecure=True, log="none"))
    assert "a starter from" in said[0]
    assert "which does not route" in said[0]
