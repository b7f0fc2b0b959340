"""The evidence of compiled code has the bits of the numpy code, for any prompt and any size of a router."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_router import by_numpy

from router_model.features import BagVocabulary
from router_model.features.featuriser import featurise
from router_model.model_set import without_column
from router_model.prediction.compiled._native import PROCESSORS
from router_model.prediction.compiled.predictor import CompiledPredictor

pytestmark = pytest.mark.processor

PIECES = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 30_521), st.sampled_from([-1, 2**40])), max_size=200)


@pytest.fixture(scope="module")
def predictors(graded):
    """Of three models and of one, by numpy."""
    predictor = by_numpy(graded.router).artifact.predictor
    one = predictor
    for model in predictor.models[1:]:
        one = without_column(one, model)
    return [predictor, one]


@pytest.fixture(scope="module")
def features(graded):
    return featurise(["Prove that 17 is prime.", "?", "def f(x): return x", "zzzzqqq " * 3], graded.router.encoder)


@pytest.mark.parametrize("processor", PROCESSORS)
@given(data=st.data())
def test_evidence_has_the_bits_of_the_reference(predictors, features, processor, data):
    """Unknown pieces, repeated ones, none, any direction of the embedding, and forms far from all logged ones."""
    predictor = data.draw(st.sampled_from(predictors))
    rows = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=11))
    asked = features.take(np.array(rows))
    numbers = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    embedding = numbers.normal(size=asked.embedding.shape).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    surface = asked.surface * numbers.choice([0, 1, 100], size=asked.surface.shape).astype(np.float32)
    pieces = [np.array(data.draw(PIECES), dtype=np.int64) for _ in rows]
    asked = replace(asked, embedding=embedding, surface=surface, pieces=pieces)
    found = CompiledPredictor.of(predictor, processor).evidence(asked)
    expected = predictor.evidence_model.evidence(asked)
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.familiarity, expected.familiarity)


def test_a_vocabulary_without_terms_and_no_prompt_at_all_work(predictors, features):
    model = predictors[0].evidence_model
    nothing = BagVocabulary(np.empty(0, np.int64), np.empty(0, np.float32))
    bag = replace(
        model.bag, index=model.bag.index[:0], head=replace(model.bag.head, weights=model.bag.head.weights[:0])
    )
    compiled = CompiledPredictor.of(replace(predictors[0], evidence_model=replace(model, vocabulary=nothing, bag=bag)))
    found = compiled.evidence(features)
    expected = compiled.evidence_model.evidence(features)
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.familiarity, expected.familiarity)
    assert len(compiled.predict(features.take(np.arange(0)), quality_bar=0.5).p_success) == 0


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("n_logged", [0, 1, 64, 257])
def test_any_number_of_logged_prompts_has_the_bits_of_the_reference(predictors, features, processor, n_logged):
    """Blocks are of 64, and 256 are compared at once; the rest is filled with zeros."""
    model = predictors[0].evidence_model
    few = replace(
        model,
        embedding=replace(model.embedding, index=np.ascontiguousarray(model.embedding.index[:, :n_logged])),
        bag=replace(model.bag, index=model.bag.index[:, :n_logged]),
        kernel=replace(
            model.kernel,
            logged_form=model.kernel.logged_form[:, :n_logged],
            weights=model.kernel.weights[:n_logged],
        ),
    )
    found = CompiledPredictor.of(replace(predictors[0], evidence_model=few), processor).evidence(features)
    expected = few.evidence(features)
    assert np.array_equal(found.values, expected.values)
    assert np.array_equal(found.familiarity, expected.familiarity)
