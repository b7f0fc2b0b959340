"""Certificates on disk, and what decisions make of them."""

import json
from dataclasses import asdict, replace
from decimal import Decimal

import numpy as np
import pytest
from certificates import CERTIFIED
from scipy.stats import binom

from router_model import ArtifactError, Catalog, Constraints, Reason, RequestError, Router
from router_model.certificate import binomial_p_value, pack_certificates, unpack_certificates
from router_model.goal import TargetSuccess
from router_model.saved.artifact import MANIFEST, _digest, _sealed, load_artifact, save_artifact

POEM = "river moon verse rhyme autumn silence wind lantern petals dusk sonnet heart"
SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"

REFUSED = replace(
    CERTIFIED, target_success=0.95, success_value_usd=None, reason="0.95 is not reached", realised_success=0.9
)


GRADES = (1000, 900, 800, 900) * 50
QUALITY = replace(CERTIFIED, quality_bar=None, realised_success=0.9, grades=GRADES, design_effect=1.5)
"""Certified mean quality: 200 grades with a mean of 0.9."""


@pytest.fixture
def certified(trained):
    """The trained router with two certificates of our making, one of them refused."""
    return replace(trained.router, artifact=replace(trained.router.artifact, certificates=(CERTIFIED, REFUSED)))


@pytest.fixture
def folder(certified, tmp_path):
    save_artifact(certified.artifact, tmp_path / "router")
    return tmp_path / "router"


def forge(folder, change, name="certificates.json"):
    """Change the file and seal the folder again, as somebody who knows the format would."""
    content = json.loads((folder / name).read_text())
    payload = change(content)
    (folder / name).write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = _digest((folder / name).read_bytes())
    del manifest["content_hash"]
    (folder / MANIFEST).write_bytes(_sealed(manifest))


def test_certificates_survive_saving(folder):
    assert Router.load(folder).certificates == (CERTIFIED, REFUSED)


def test_p_values_are_binomial_tails():
    rng = np.random.default_rng(0)
    n = rng.integers(1, 3000, 500)
    count = rng.integers(0, n + 1)
    for target in (0.01, 0.5, 0.937):
        assert binomial_p_value(count, n, target) == pytest.approx(binom.sf(count - 1, n, target), rel=1e-9, abs=1e-300)


def test_a_certified_target_is_decided_by_its_value(certified):
    decision = certified.route(POEM, target_success=0.8)
    plain = certified.route(POEM, success_value_usd=0.001)
    assert (decision.plan, decision.reason) == (plain.plan, Reason.BEST_TRADEOFF)
    assert (decision.threshold, decision.success_value_usd) == (None, 0.001)
    assert (decision.certificate, plain.certificate) == (CERTIFIED, None)
    assert decision.as_dict()["certificate"]["certified"] is True
    assert plain.as_dict()["certificate"] is None


def test_targets_are_the_same_within_rounding_and_at_their_bar(certified):
    assert certified.route(SUM, target_success=0.8 + 1e-12).certificate == CERTIFIED
    for other in (
        certified.route(SUM, target_success=0.79),
        certified.route(SUM, target_success=0.8, quality_bar=0.6),
    ):
        assert other.certificate is None
        assert other.threshold is not None
    with pytest.raises(RequestError, match="give one of target_success, success_value_usd"):
        certified.route(SUM, target_success=0.8, success_value_usd=1.0)


def test_an_uncertified_target_goes_to_the_safest_model(certified):
    for prompt in (SUM, POEM):
        decision = certified.route(prompt, target_success=0.95)
        assert (decision.model, decision.reason) == ("large", Reason.SAFEST_MODEL)
        assert decision.certificate == REFUSED
        assert not decision.certificate.certified
        others = [step.p_success for step in decision.plan[1:]]
        assert others == sorted(others, reverse=True)


def test_the_safest_model_goes_first_even_if_another_is_likelier(trained):
    refused = replace(REFUSED, safest_model="small")
    router = replace(trained.router, artifact=replace(trained.router.artifact, certificates=(refused,)))
    decision = router.route(POEM, target_success=0.95)
    assert [step.model for step in decision.plan][:2] == ["small", "large"]
    assert router.rule(TargetSuccess(0.95)).in_words() == "always small, as the target is not certified"
    without = router.route(POEM, target_success=0.95, constraints=Constraints(deny=("small",)))
    assert (without.model, without.reason, without.certificate) == ("large", Reason.BEST_TRADEOFF, None)


def test_constraints_that_rule_a_model_out_void_the_certificate(certified):
    for constraints in (
        Constraints(deny=("small",)),
        Constraints(allow=("large", "coder")),
        Constraints(max_cost_usd=1e-4),
    ):
        decision = certified.route(POEM, target_success=0.8, constraints=constraints)
        assert (decision.certificate, decision.success_value_usd) == (None, 0.001)
    harmless = certified.route(POEM, target_success=0.8, constraints=Constraints(deny=("gpt-*",)))
    assert harmless.certificate == CERTIFIED
    only = certified.route(POEM, target_success=0.95, constraints=Constraints(allow=("large",)))
    assert (only.reason, only.certificate) == (Reason.ONLY_CANDIDATE, None)


def test_what_the_prompt_itself_rules_out_does_not_void_it(certified):
    """Calibration left out the same models for the same prompts."""
    body = {"messages": [{"role": "user", "content": SUM}], "tools": [{"type": "function"}]}
    decision = certified.route(body, target_success=0.8)
    assert [exclusion.model for exclusion in decision.excluded] == ["small"]
    assert decision.certificate == CERTIFIED


def test_other_prices_void_every_certificate(folder, catalog):
    same = Router.load(folder, catalog=catalog)
    assert same.route(SUM, target_success=0.8).certificate == CERTIFIED
    dear = catalog.dump().replace("usd_per_mtok_output = 0.3", "usd_per_mtok_output = 3")
    other = Router.load(folder, catalog=Catalog.parse(dear, origin="dear"))
    decision = other.route(SUM, target_success=0.8)
    assert (decision.certificate, decision.success_value_usd) == (None, 0.001)


def test_batches_carry_certificates_row_by_row(certified):
    """A cost limit rules the large model out for the poem alone."""
    dear = certified.route(POEM).plan
    limit = (
        next(s for s in dear if s.model == "large").expected_cost_usd + certified.predict([SUM]).expected_cost_usd[0, 1]
    ) / 2
    decisions = certified.route_batch([SUM, POEM], target_success=0.8, constraints=Constraints(max_cost_usd=limit))
    assert [decision.certificate for decision in decisions] == [CERTIFIED, None]


def test_a_warm_prompt_cache_voids_the_certificate_of_its_row(certified, catalog):
    """Costs that the calibration prompts did not have make other decisions; what saves nothing changes nothing."""
    large = replace(catalog["large"], usd_per_mtok_cached_input=Decimal("0.5"))
    cards = Catalog({**catalog.cards, "large": large})
    router = Router.assemble(replace(certified.artifact, catalog=cards), certified.encoder)
    warm = [{"large": 10.0}, {"small": 10.0}, None]
    decisions = router.route_batch([SUM] * 3, target_success=0.8, warm_caches=warm)
    assert [decision.certificate for decision in decisions] == [None, CERTIFIED, CERTIFIED]


def test_artifacts_from_before_certificates_load(folder):
    (folder / "certificates.json").unlink()
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["certificates.json"], manifest["content_hash"]
    (folder / MANIFEST).write_bytes(_sealed(manifest))
    assert load_artifact(folder).certificates == ()


def entry(**changes):
    return {"certificates": [{**asdict(CERTIFIED), **changes}]}


def graded_entry(**changes):
    return {"certificates": [{**asdict(QUALITY), **changes}]}


FORGERIES = {
    "not JSON": (lambda _: b"{", "not valid JSON"),
    "nested beyond reason": (lambda _: b"[" * 100_000, "not valid JSON"),
    "a list": (lambda _: [], r'expected {"certificates": \[\.\.\.\]}'),
    "another key": (lambda c: {**c, "x": 1}, "and nothing else"),
    "no object": (lambda _: {"certificates": [3]}, "certificate 1: got 3, expected the keys"),
    "a key too many": (lambda _: entry(note="x"), "expected the keys"),
    "text for a number": (lambda _: entry(delta="0.1"), "delta is '0.1', of the wrong type"),
    "true for a number": (lambda _: entry(target_success=True), "target_success is True"),
    "a fraction of a prompt": (lambda _: entry(n_prompts=200.5), "n_prompts is 200.5"),
    "a number of 400 digits": (lambda _: entry(success_value_usd=10**400), "success_value_usd is 1000"),
    "a count of 400 digits": (lambda _: entry(n_prompts=10**400), "n_prompts is 1000"),
    "NaN": (lambda _: entry(success_value_usd=float("nan")), "success_value_usd is nan"),
    "a certain target": (lambda _: entry(target_success=1.0), "target_success and delta lie between 0 and 1"),
    "an impossible delta": (lambda _: entry(delta=0), "target_success and delta lie between 0 and 1"),
    "a rate above 1": (lambda _: entry(safest_success=1.5), "lie in 0 to 1"),
    "no prompts": (lambda _: entry(n_prompts=0), "n_targets and n_prompts are 1 or more"),
    "a negative value": (lambda _: entry(success_value_usd=-1.0), "success_value_usd is 0 or more"),
    "a foreign model": (lambda _: entry(safest_model="gpt"), "safest_model is one of the router's"),
    "both": (lambda _: entry(reason="no"), "a reason is given if and only if nothing is certified"),
    "neither": (lambda _: entry(success_value_usd=None), "a reason is given if and only if"),
    "no whole count": (lambda _: entry(realised_success=0.8512), "realised_success is a share of n_prompts"),
    "an unearned promise": (lambda _: entry(target_success=0.9), "the certified rate follows from the counts"),
    "grades of a success rate": (lambda _: entry(grades=[1000] * 200), "a success rate has no grades"),
    "mean quality without grades": (lambda _: entry(quality_bar=None), "there are 200 grades from 0 to 1,000"),
    "half a grade": (lambda _: graded_entry(grades=[0.5] * 200), "grades is"),
    "a grade of 400 digits": (lambda _: graded_entry(grades=[10**400, *GRADES[1:]]), "there are 200 grades from 0"),
    "a grade above 1": (lambda _: graded_entry(grades=[1001, *GRADES[1:]]), "there are 200 grades from 0 to 1,000"),
    "another mean": (lambda _: graded_entry(realised_success=0.95), "realised_success is the mean of the grades"),
    "too many missing": (lambda _: graded_entry(n_missing=1), "and missing ones are 0"),
    "an unearned mean": (lambda _: graded_entry(target_success=0.89), "mean quality follows from the grades"),
    "grades of a refusal": (
        lambda _: graded_entry(success_value_usd=None, reason="no"),
        "what is not certified has no grades",
    ),
    "twice": (lambda c: {"certificates": [c["certificates"][0]] * 2}, "certificate 2: a second one for the same"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_and_malformed_certificates_are_refused(folder, name):
    change, match = FORGERIES[name]
    forge(folder, change)
    with pytest.raises(ArtifactError, match=f"certificates.json.*{match}"):
        load_artifact(folder)


def test_what_is_packed_is_unpacked():
    packed = json.loads(json.dumps(pack_certificates((CERTIFIED, REFUSED, QUALITY))))
    assert unpack_certificates(packed, models=("large",), origin="x") == (CERTIFIED, REFUSED, QUALITY)
    older = {name: value for name, value in asdict(CERTIFIED).items() if name not in ("grades", "n_missing")}
    assert unpack_certificates({"certificates": [older]}, models=("large",), origin="x") == (CERTIFIED,)


def test_without_a_bar_mean_quality_comes_before_success(trained):
    """Its rule weighs expected quality. A bar that is asked for finds the certificate of success."""
    both = replace(trained.router, artifact=replace(trained.router.artifact, certificates=(CERTIFIED, QUALITY)))
    decision, at_bar = both.route(POEM, target_success=0.8), both.route(POEM, target_success=0.8, quality_bar=0.5)
    assert (decision.certificate, decision.quality_value_usd, decision.success_value_usd) == (QUALITY, 0.001, None)
    assert (at_bar.certificate, at_bar.success_value_usd) == (CERTIFIED, 0.001)
    stated = decision.as_dict()["certificate"]
    assert (stated["measure"], stated["quality_bar"], "grades" in stated) == ("quality", None, False)
    assert both.rule(TargetSuccess(0.8)).in_words().endswith(", certified for mean quality >= 0.8")


def test_words_for_people():
    assert CERTIFIED.in_words() == (
        "certified: success >= 0.8 on average (delta 0.1; 0.850 of 200 calibration prompts succeeded)"
    )
    assert replace(QUALITY, n_missing=4).in_words() == (
        "certified: mean quality >= 0.8 on average (delta 0.1; 0.900 on 200 calibration prompts, which count as 133, "
        "4 (2 %) without an outcome counted as failures)"
    )
    assert REFUSED.in_words() == (
        "not certified: success >= 0.95 on average. 0.95 is not reached. Requests for it go to large, the best single "
        "model on these prompts (0.900)"
    )
