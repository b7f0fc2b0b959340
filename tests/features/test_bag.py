import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from router_model.features.bag import MOST_COUNTED, TERM_FREQUENCY, BagVocabulary, Terms, csr_of, term_codes

pytestmark = pytest.mark.processor

pieces = st.lists(
    st.lists(st.integers(0, 5), max_size=8).map(lambda ids: np.array(ids, np.int64)), min_size=1, max_size=6
)


def test_hand_worked_weights():
    """Two prompts [1 1 2] and [1 3]; terms in both: only piece 1. idf = ln(3/3) + 1 = 1, so the rows are [1]."""
    prompts = [np.array([1, 1, 2]), np.array([1, 3])]
    vocabulary = BagVocabulary.fit(prompts, min_prompts=2, max_terms=10)
    assert vocabulary.codes.tolist() == [1]
    assert vocabulary.idf.tolist() == [1.0]
    assert vocabulary.transform(prompts).vectors.toarray().tolist() == [[1.0], [1.0]]


@given(pieces)
def test_weights_are_scikit_learns(prompts):
    """The oracle: counts of the same terms through TfidfTransformer(sublinear_tf=True)."""
    vocabulary = BagVocabulary.fit(prompts, min_prompts=1, max_terms=1000)
    if not len(vocabulary.codes):
        return
    counts = np.array([[np.sum(term_codes(ids) == code) for code in vocabulary.codes] for ids in prompts])
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts).toarray()
    assert vocabulary.transform(prompts).vectors.toarray() == pytest.approx(expected, abs=2e-4)  # on a grid


@given(pieces)
def test_rows_have_unit_length_or_are_empty(prompts):
    norms = np.linalg.norm(
        BagVocabulary.fit(prompts, min_prompts=1, max_terms=5).transform(prompts).vectors.toarray(), axis=1
    )
    assert np.all(np.isclose(norms, 1, atol=1e-4) | (norms == 0))


def test_unknown_terms_and_empty_prompts_give_empty_rows():
    vocabulary = BagVocabulary.fit([np.array([1, 2])], min_prompts=1, max_terms=10)
    bags = vocabulary.transform([np.array([9]), np.array([], np.int64)]).vectors
    assert bags.shape == (2, 3)
    assert bags.nnz == 0


def test_the_commonest_terms_are_kept():
    prompts = [np.array([1]), np.array([1]), np.array([2])]
    assert BagVocabulary.fit(prompts, min_prompts=1, max_terms=1).codes.tolist() == [1]


def test_an_empty_vocabulary_transforms():
    vocabulary = BagVocabulary.fit([np.array([], np.int64)], min_prompts=1, max_terms=10)
    assert vocabulary.transform([np.array([1, 2])]).vectors.shape == (1, 0)


def test_coverage_is_the_share_of_terms_that_are_known():
    """Of 1, 2 and the pair (1, 2) a vocabulary of single pieces knows two; an empty prompt has nothing known."""
    vocabulary = BagVocabulary.fit([np.array([1]), np.array([2])], min_prompts=1, max_terms=5)
    assert vocabulary.transform([np.array([1, 2]), np.array([], np.int64)]).coverage == pytest.approx([2 / 3, 0])


def test_terms_counted_in_chunks_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, 9, rng.integers(0, 12)) for _ in range(50)]
    whole = BagVocabulary.fit(prompts, min_prompts=2, max_terms=30)
    monkeypatch.setattr("router_model.features.bag._CHUNK", 7)
    parts = BagVocabulary.fit(prompts, min_prompts=2, max_terms=30)
    assert parts.codes.tolist() == whole.codes.tolist()
    assert parts.idf.tolist() == whole.idf.tolist()


def test_terms_and_ids_together_are_weighed_alike_in_chunks_and_nothing_is_copied(monkeypatch):
    rng = np.random.default_rng(1)
    ids = [rng.integers(0, 9, rng.integers(0, 12)) for _ in range(50)]
    vocabulary = BagVocabulary.fit(ids, min_prompts=2, max_terms=30)
    mixed = [Terms(*np.unique(term_codes(one), return_counts=True)) if i % 3 else one for i, one in enumerate(ids)]
    alone = sp.vstack([vocabulary.transform([one]).vectors for one in ids])
    monkeypatch.setattr("router_model.features.bag._CHUNK", 7)
    together = vocabulary.transform(mixed).vectors
    assert (together != alone).nnz == 0
    few = csr_of(together.data[:9], together.indices[:9], together.indptr[:1], shape=(0, 30))
    assert np.shares_memory(few.data, together.data)


def test_no_logarithm_is_near_the_middle_of_two_steps():
    """Else libraries that differ in the last bits would round it to different ones."""
    steps = (1 + np.log(np.arange(1, MOST_COUNTED + 1))) * 2**20
    assert np.abs(steps % 1 - 0.5).min() > 1e-6
    assert np.array_equal(TERM_FREQUENCY[1:] * 2**20, np.rint(steps))


def test_a_term_counts_up_to_a_limit():
    vocabulary = BagVocabulary.fit([np.array([1, 2])], min_prompts=1, max_terms=2)
    few, many = (
        vocabulary.transform([np.append(np.repeat(1, n), [2])]).vectors.toarray() for n in (MOST_COUNTED, 100_000)
    )
    assert np.array_equal(few, many)
