import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_model.features import BagVocabulary
from router_model.features.grid import GRID_STEPS
from router_model.prediction.compiled.terms import TermTable

pytestmark = pytest.mark.processor

CORPUS = [np.random.default_rng(seed).integers(0, 30, 40) for seed in range(50)]
VOCABULARY = BagVocabulary.fit(CORPUS, min_prompts=3, max_terms=200)
pieces = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 30_000)), max_size=200)


@settings(deadline=None)
@given(ids=pieces)
def test_bags_are_the_vocabularys(ids):
    ids = np.array(ids, dtype=np.int64)
    bag, expected = TermTable.of(VOCABULARY).bag(ids), VOCABULARY.transform([ids])
    dense = np.zeros(len(VOCABULARY.codes), dtype=np.float32)
    dense[bag.terms] = bag.weights / np.float32(GRID_STEPS)
    assert np.array_equal(dense, expected.vectors.toarray()[0])
    assert np.float32(bag.coverage) == expected.coverage[0]


def test_an_empty_vocabulary_knows_no_term():
    nothing = BagVocabulary(np.empty(0, np.int64), np.empty(0, np.float32))
    bag = TermTable.of(nothing).bag(np.array([1, 2]))
    assert len(bag.terms) == 0
    assert bag.coverage == 0
