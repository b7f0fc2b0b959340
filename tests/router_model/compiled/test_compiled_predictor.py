"""The compiled predictor against the plain one: golden decisions, and every kind of router."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import lightgbm as lgb
import numpy as np
import pytest
from simulated_world import simulate
from tiled_router import tiled

from router_model import RequestError
from router_model.features.featuriser import featurise
from router_model.model_set import without_column
from router_model.prediction.compiled import SWITCH, compile_predictor, likeness
from router_model.prediction.compiled.predictor import FEW, CompiledPredictor
from router_model.prediction.predictor import Prediction

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


def one_by_one(predictor, features, quality_bar=0.5):
    return [predictor.predict(features.take(np.array([row])), quality_bar=quality_bar) for row in range(len(features))]


@pytest.mark.parametrize("kind", ["trained", "graded"])
def test_golden_decisions_are_the_same(kind, prompts, request):
    router = request.getfixturevalue(kind).router
    compiled = router.warm_up()
    assert isinstance(compiled.artifact.predictor, CompiledPredictor)
    for prompt in prompts:
        plain, found = router.route(prompt), compiled.route(prompt)
        p = {step.model: step.p_success for step in plain.plan}
        difference = max(abs(step.p_success - p[step.model]) for step in found.plan)
        assert difference < 1e-6
        assert found.familiarity == plain.familiarity
        assert found.model == plain.model


@pytest.mark.parametrize("kind", ["trained", "graded"])
@pytest.mark.parametrize("quality_bar", [0.3, 0.5, 0.77, 0.99])
def test_every_field_is_the_same(kind, quality_bar, prompts, request):
    router = request.getfixturevalue(kind).router
    predictor, features = router.artifact.predictor, featurise(prompts[-20:], router.encoder)
    found = one_by_one(compile_predictor(predictor), features, quality_bar)
    for row, plain in enumerate(one_by_one(predictor, features, quality_bar)):
        assert_same(plain, found[row])


def test_few_prompts_are_stacked_and_many_go_the_plain_way(trained, prompts, monkeypatch):
    router = trained.router
    compiled = compile_predictor(router.artifact.predictor)
    features = featurise(prompts[: FEW - 1], router.encoder)
    assert_same(
        router.artifact.predictor.predict(features, quality_bar=0.5), compiled.predict(features, quality_bar=0.5)
    )
    monkeypatch.setattr(CompiledPredictor, "_predict_one", None)
    many = featurise(prompts[:FEW], router.encoder)
    assert len(compiled.predict(many, quality_bar=0.5).p_success) == FEW
    assert len(compiled.predict(features.take(np.arange(0)), quality_bar=0.5).p_success) == 0


def test_one_model_no_amount_boosters_and_many_models_work(trained, prompts):
    router = trained.router
    features, predictor = featurise(prompts[:5], router.encoder), router.artifact.predictor
    single = predictor
    for model in predictor.models[1:]:
        single = without_column(single, model)
    amounts = {name: replace(amount, boosters=()) for name, amount in predictor.amounts.items()}
    for changed in (single, replace(predictor, amounts=amounts), tiled(router.artifact, 70).predictor):
        found = one_by_one(compile_predictor(changed), features)
        for row, plain in enumerate(one_by_one(changed, features)):
            assert_same(plain, found[row])


@pytest.mark.slow
def test_banks_beyond_16_bits_work(trained, prompts, monkeypatch):
    monkeypatch.setattr(likeness, "_MOST_OF_16_BITS", 0)
    predictor, features = trained.router.artifact.predictor, featurise(prompts[:5], trained.router.encoder)
    compiled = compile_predictor(predictor)
    assert compiled.prompt.evidence.logged.prompt.dtype == np.uint32
    for row, plain in enumerate(one_by_one(predictor, features)):
        assert_same(plain, one_by_one(compiled, features)[row])


def test_a_changed_predictor_is_compiled_again(trained, prompts):
    """One model less, from a compiled predictor: it says what the plain one says without that model."""
    predictor = trained.router.artifact.predictor
    changed = without_column(compile_predictor(predictor), predictor.models[0])
    assert isinstance(changed, CompiledPredictor)
    features = featurise(prompts[:1], trained.router.encoder)
    expected = without_column(predictor, predictor.models[0]).predict(features, quality_bar=0.5)
    assert_same(expected, changed.predict(features, quality_bar=0.5))


def test_tiled_models_are_copies(trained):
    router, copies = trained.router, tiled(trained.router.artifact, 10)
    features = featurise(["Prove that 17 is prime."], router.encoder)
    p = copies.predictor.predict(features, quality_bar=0.5).p_success[0]
    n = len(router.models)
    assert len(set(copies.predictor.models)) == len(copies.catalog) == 10
    assert p[n : 2 * n] == pytest.approx(p[:n], abs=1e-6)


def test_threads_do_not_disturb_each_other(trained, prompts):
    router = trained.router.warm_up()
    expected = [router.route(prompt) for prompt in prompts[:40]]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(router.route, prompts[:40])) == expected


def test_a_bar_that_was_not_learned_is_refused(trained):
    compiled = compile_predictor(trained.router.artifact.predictor)
    with pytest.raises(RequestError, match="expected a quality above 0"):
        compiled.predict(featurise(["x"], trained.router.encoder), quality_bar=0.0)


def test_the_switch_leaves_it_plain(trained, monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    assert compile_predictor(trained.router.artifact.predictor) is trained.router.artifact.predictor


def test_what_cannot_be_compiled_stays_plain_and_the_log_says_why(trained, caplog):
    predictor = trained.router.artifact.predictor
    text = predictor.boosters[0].model_to_string().replace("is_linear=0", "is_linear=1")
    odd = replace(predictor, boosters=(lgb.Booster(model_str=text),))
    assert compile_predictor(odd) is odd
    assert "tree 0: missing, unknown or repeated lines" in caplog.text


def test_longer_embeddings_stay_plain(trained, caplog):
    """Integers of 32 bits hold products of vectors up to unit length."""
    predictor = trained.router.artifact.predictor
    space = predictor.evidence_model.embedding
    longer = replace(predictor.evidence_model, embedding=replace(space, index=2 * space.index))
    odd = replace(predictor, evidence_model=longer)
    assert compile_predictor(odd) is odd
    assert "has length 2" in caplog.text


def test_a_full_disk_leaves_it_plain_and_the_log_says_why(trained, monkeypatch, caplog):
    """Numba writes its cache when it compiles."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CompiledPredictor, "_warm_up", full)
    assert compile_predictor(trained.router.artifact.predictor) is trained.router.artifact.predictor
    assert "No space left on device" in caplog.text


def test_without_numba_it_decides_by_numpy(trained):
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from router_model import Router\n"
        f"router = Router.load({str(trained.path)!r}).warm_up()\n"
        "print(type(router.artifact.predictor).__name__, router.route('Prove that 17 is prime.').model)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["Predictor", trained.router.route("Prove that 17 is prime.").model]
