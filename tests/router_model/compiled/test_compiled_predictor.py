"""The compiled predictor against the plain one: golden decisions, and every kind of router."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import lightgbm as lgb
import numpy as np
import pytest
from plain_router import by_numpy
from simulated_world import simulate
from tiled_router import tiled

from router_model import RequestError, RouterModelError
from router_model.features.featuriser import featurise
from router_model.model_set import without_column
from router_model.prediction.compiled._native import PROCESSORS
from router_model.prediction.compiled.choice import SWITCH, compiled
from router_model.prediction.compiled.predictor import CompiledPredictor
from router_model.prediction.predictor import Prediction, Predictor

pytestmark = pytest.mark.processor

ODD = [
    "?",
    "x",
    "zzzzqqq " * 3,
    "Докажите, что 17 — простое число.",
    "证明十七是质数。",
    "🙂🙂🙂",
    "\x00\ud800 odd",
    "SELECT * FROM t;" * 50,
    "Explain. " * 20_000,
    [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
]


@pytest.fixture(scope="module")
def prompts():
    return [*simulate(400, seed=7)["prompt"].unique(maintain_order=True).to_list()[:300], *ODD]


def assert_same(plain, found, *, p_within=1e-6):
    """Tokens may differ by more: they are exponentials of what is compared."""
    for field in fields(Prediction):
        expected, got = getattr(plain, field.name), getattr(found, field.name)
        if expected is None:
            assert got is None
            continue
        assert got.dtype == expected.dtype
        exponential = field.name in {"output_tokens", "output_token_quantiles", "latency_s"}
        assert got == pytest.approx(expected, rel=1e-5 if exponential else 0, abs=p_within), field.name


@pytest.mark.parametrize("kind", ["trained", "graded"])
def test_golden_decisions_are_the_same(kind, prompts, request):
    router = request.getfixturevalue(kind).router
    reference = by_numpy(router)
    assert isinstance(router.artifact.predictor, CompiledPredictor)
    for prompt in prompts:
        plain, found = reference.route(prompt), router.route(prompt)
        p = {step.model: step.p_success for step in plain.plan}
        difference = max(abs(step.p_success - p[step.model]) for step in found.plan)
        assert difference < 1e-6
        assert found.familiarity == plain.familiarity
        assert found.model == plain.model


@pytest.mark.parametrize("kind", ["trained", "graded"])
@pytest.mark.parametrize("quality_bar", [1e-9, 0.3, 0.5, 0.77, 0.99])
def test_every_field_is_the_same(kind, quality_bar, prompts, request):
    router = request.getfixturevalue(kind).router
    plain, features = by_numpy(router).artifact.predictor, featurise(prompts[-20:], router.encoder)
    expected = plain.predict(features, quality_bar=quality_bar)
    for processor in PROCESSORS:
        found = CompiledPredictor.of(plain, processor).predict(features, quality_bar=quality_bar)
        # where p is 1, the reference's interval has the error of 1 - 1e-6 in float32
        assert_same(expected, found, p_within=1e-5 if quality_bar == 1e-9 else 1e-6)


def test_alone_and_together_prompts_are_predicted_to_the_same_bits(trained, prompts):
    predictor, features = trained.router.artifact.predictor, featurise(prompts, trained.router.encoder)
    together = predictor.predict(features, quality_bar=0.5)
    for row in range(0, len(prompts), 7):
        alone = predictor.predict(features.take(np.array([row])), quality_bar=0.5)
        assert np.array_equal(alone.p_success[0], together.p_success[row])
        assert np.array_equal(alone.output_tokens[0], together.output_tokens[row])


def test_one_model_no_amount_boosters_and_many_models_work(trained, prompts):
    router = by_numpy(trained.router)
    features, predictor = featurise(prompts[:5], router.encoder), router.artifact.predictor
    single = predictor
    for model in predictor.models[1:]:
        single = without_column(single, model)
    amounts = {name: replace(amount, boosters=()) for name, amount in predictor.amounts.items()}
    for changed in (single, replace(predictor, amounts=amounts), tiled(router.artifact, 70).predictor):
        expected = changed.predict(features, quality_bar=0.5)
        assert_same(expected, compiled(changed).predict(features, quality_bar=0.5))


def test_a_changed_predictor_is_laid_out_again(trained, prompts):
    """One model less, from a compiled predictor: it says what the plain one says without that model."""
    predictor = trained.router.artifact.predictor
    changed = without_column(predictor, predictor.models[0])
    assert isinstance(changed, CompiledPredictor)
    features = featurise(prompts[:1], trained.router.encoder)
    expected = changed.by_numpy().predict(features, quality_bar=0.5)
    assert_same(expected, changed.predict(features, quality_bar=0.5))


def test_tiled_models_are_copies(trained):
    router, copies = trained.router, tiled(trained.router.artifact, 10)
    features = featurise(["Prove that 17 is prime."], router.encoder)
    p = copies.predictor.predict(features, quality_bar=0.5).p_success[0]
    n = len(router.models)
    assert len(set(copies.predictor.models)) == len(copies.catalog) == 10
    assert p[n : 2 * n] == pytest.approx(p[:n], abs=1e-6)


def test_threads_do_not_disturb_each_other(trained, prompts):
    expected = [trained.router.route(prompt) for prompt in prompts[:40]]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(trained.router.route, prompts[:40])) == expected


def test_a_bar_that_was_not_learned_is_refused(trained):
    with pytest.raises(RequestError, match="expected a quality above 0"):
        trained.router.artifact.predictor.predict(featurise(["x"], trained.router.encoder), quality_bar=0.0)


def test_a_pickled_predictor_is_laid_out_as_the_process_that_loads_it_chooses(trained, prompts, monkeypatch):
    made = trained.router.artifact.predictor
    features = featurise(prompts[:3], trained.router.encoder)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is CompiledPredictor
    np.testing.assert_array_equal(
        again.predict(features, quality_bar=1.0).p_success, made.predict(features, quality_bar=1.0).p_success
    )
    monkeypatch.setenv(SWITCH, "0")
    assert type(pickle.loads(pickle.dumps(made))) is Predictor
    monkeypatch.setenv(SWITCH, "baseline")
    assert compiled(made).processor == "baseline"


def test_the_switch_leaves_it_plain_or_chooses_the_instructions(trained, monkeypatch):
    plain = by_numpy(trained.router).artifact.predictor
    monkeypatch.setenv(SWITCH, "0")
    assert compiled(plain) is plain
    monkeypatch.setenv(SWITCH, "baseline")
    assert compiled(plain).processor == "baseline"
    monkeypatch.setenv(SWITCH, "z80")
    with pytest.raises(RouterModelError, match="'z80'; expected one of .*baseline, 0 on this machine"):
        compiled(plain)


def test_what_is_not_covered_stays_plain_and_the_log_says_why(trained, caplog):
    predictor = by_numpy(trained.router).artifact.predictor
    text = predictor.boosters[0].model_to_string().replace("is_linear=0", "is_linear=1")
    odd = replace(predictor, boosters=(lgb.Booster(model_str=text),))
    assert compiled(odd) is odd
    assert "tree 0: missing, unknown or repeated lines" in caplog.text


def test_longer_embeddings_stay_plain(trained, caplog):
    """Integers of 32 bits hold products of vectors up to unit length."""
    predictor = by_numpy(trained.router).artifact.predictor
    space = predictor.evidence_model.embedding
    longer = replace(predictor.evidence_model, embedding=replace(space, index=2 * space.index))
    odd = replace(predictor, evidence_model=longer)
    assert compiled(odd) is odd
    assert "has length 2" in caplog.text
