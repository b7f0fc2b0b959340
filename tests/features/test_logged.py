"""A log's features are those of the text, sealed with a key; what was changed or is foreign is refused."""

import hashlib
import stat
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.features import SURFACE_NAMES, EncoderError, FeatureError, Prompt, PromptError, load_encoder
from router_model.features.bag import BagVocabulary, Terms, count_terms
from router_model.features.featuriser import featurise
from router_model.features.logged import LogKeys, is_sealed, new_key_file, open_prompts, pack, unpack
from router_model.features.tool_counts import NO_TOOLS
from router_model.saved.artifact import hash_of, prompt_hash

ENCODER = load_encoder("static")
BODY = {
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is 2027 prime? Is it?"}],
    "tools": [{"type": "function"}],
    "max_tokens": 50,
}

AGENT = BODY | {
    "messages": [
        *BODY["messages"],
        {"role": "assistant"},
        {"role": "tool", "content": "Error: there is no such prime"},
    ],
    "tools": [{"function": {"name": "f", "parameters": {"properties": {"a": {"type": "number"}}}}}],
    "turn_type": "summary",
}


@pytest.fixture
def keys(tmp_path):
    return new_key_file(tmp_path / "log.key")


def record_of(value) -> bytes:
    prompt = Prompt.parse(value)
    features = featurise([prompt], ENCODER)
    return pack(features, prompt, text_hash=prompt_hash(prompt.text), encoder_hash=ENCODER.content_hash)


@pytest.mark.parametrize("value", ["", "Prove it.", BODY, AGENT, "ein Straßenfest 日本 🙂 \ud800", "word " * 5000])
def test_features_come_back_from_the_log(value, keys):
    """All but the embedding exactly; it has steps of a 127th of its largest entry, so half of one at most is lost."""
    prompt, expected = Prompt.parse(value), featurise([value], ENCODER)
    found = unpack(keys.open(keys.seal(record_of(value))))
    logged = featurise([found], ENCODER)
    assert np.abs(logged.embedding - expected.embedding).max() <= 1.05 * np.abs(expected.embedding).max() / 254
    for name in ("surface", "n_input_tokens", "n_images", "max_output_tokens"):
        assert np.array_equal(getattr(logged, name), getattr(expected, name)), name
    vocabulary = BagVocabulary.fit(expected.pieces, min_prompts=1, max_terms=10**6)
    (bag, n_terms), (known, n_known) = vocabulary.transform(logged.pieces), vocabulary.transform(expected.pieces)
    assert (bag != known).nnz == 0
    assert n_terms.tolist() == n_known.tolist()
    assert found.needs == replace(prompt, text="", tools=NO_TOOLS, n_steps=0, n_tool_errors=0, turn="")
    assert hash_of(found) == prompt_hash(prompt.text)


def test_prompts_without_tools_have_the_record_that_older_releases_wrote(monkeypatch):
    """A tool's columns come last and are left out where all are 0; a release that knows others refuses the rest."""
    plain, agent = (zlib.decompress(record_of(value)) for value in ("Hello", AGENT))
    of_text = hashlib.sha256(" ".join(SURFACE_NAMES).encode()).digest()[:4]
    assert (of_text in plain, of_text in agent) == (True, False)
    monkeypatch.setattr("router_model.features.logged._N_SURFACE", {of_text: len(SURFACE_NAMES)})
    with pytest.raises(FeatureError, match="other surface features"):
        unpack(zlib.compress(agent))


def test_terms_are_counted_without_their_order():
    """The pieces 7, 9, 7: 7 twice, 9 once, and the pairs (7, 9) and (9, 7). "a b a c a" has those of "a c a b a"."""
    codes, counts = count_terms(np.array([7, 9, 7]))
    assert (codes[:2].tolist(), counts.tolist()) == ([7, 9], [2, 1, 1, 1])
    assert count_terms(Terms(codes, counts))[1] is counts
    both = [unpack(record_of(text)) for text in ("a b a c a", "a c a b a")]
    assert np.array_equal(both[0].term_codes, both[1].term_codes)
    assert both[0].term_counts.tolist() == both[1].term_counts.tolist() == [3, 1, 1, 1, 1, 1, 1]


@given(st.text(min_size=12, alphabet="abcdefgh ,."))
def test_a_sealed_record_shows_nothing_of_its_prompt(tmp_path_factory, text):
    """Not even whether two prompts are equal; what can be seen is the length."""
    keys = new_key_file(tmp_path_factory.mktemp("keys") / "log.key")
    first, second = (keys.seal(record_of(text)) for _ in range(2))
    assert is_sealed(first)
    assert first != second
    assert first.split(".")[:2] == ["rf1", keys.key_id]
    assert text not in first


def test_prompts_with_and_without_texts_are_featurised_in_their_order():
    values = ["First.", BODY, "Third, please."]
    expected = featurise(values, ENCODER)
    found = featurise([unpack(record_of("First.")), BODY, unpack(record_of("Third, please."))], ENCODER)
    assert np.array_equal(found.surface, expected.surface)
    assert np.array_equal(found.embedding[1], expected.embedding[1])
    assert [isinstance(pieces, Terms) for pieces in found.pieces] == [True, False, True]


def test_a_text_is_not_made_up():
    with pytest.raises(PromptError, match="logged as features.*its text is not known"):
        Prompt.parse(unpack(record_of("Hello")))


def test_another_encoders_features_are_refused():
    logged = replace(unpack(record_of("Hello")), encoder="sha256:0123")
    with pytest.raises(EncoderError, match="encoder sha256:0123, and the encoder 'static' here is sha256:.*--encoder"):
        featurise([logged], ENCODER)


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (lambda record: record[:-9], "damaged"),
        (lambda _: b"nothing", "damaged"),
        (lambda _: b"", "damaged"),
    ],
)
def test_a_damaged_record_is_refused(damaged, said):
    with pytest.raises(FeatureError, match=said):
        unpack(damaged(record_of("Hello")))


def test_a_record_of_other_surface_features_is_refused(monkeypatch):
    record = record_of("Hello")
    monkeypatch.setattr("router_model.features.logged._N_SURFACE", {b"else": 70})
    with pytest.raises(FeatureError, match="a release with other surface features"):
        unpack(record)


def test_a_changed_record_is_refused(keys):
    sealed = keys.seal(b"record")
    with pytest.raises(FeatureError, match="changed after they were sealed"):
        keys.open(sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:])
    with pytest.raises(FeatureError, match="got 'Hello'; expected features as the decision log keeps them"):
        keys.open("Hello")


def test_a_new_key_seals_and_the_old_one_still_opens(keys, tmp_path):
    old, path = keys.seal(b"old"), tmp_path / "log.key"
    both = new_key_file(path)
    assert both.key_id != keys.key_id
    assert [both.open(old), LogKeys.read(path).open(both.seal(b"new"))] == [b"old", b"new"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FeatureError, match=f"with the key {both.key_id}; .*log.key has {keys.key_id}. Add"):
        keys.open(both.seal(b"new"))


def test_a_key_is_never_shown(keys, tmp_path):
    (key,) = (tmp_path / "log.key").read_text().split()
    assert key not in repr(keys) + keys.seal(b"record") + keys.key_id


@pytest.mark.parametrize("content", ["", "not a key\n", "c2hvcnQ=\n"])
def test_a_file_that_holds_no_key_is_refused_and_kept(content, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(content)
    for use in (LogKeys.read, new_key_file):
        with pytest.raises(FeatureError, match="expected a key in each line"):
            use(path)
    assert path.read_text() == content


def test_without_the_key_file_it_is_said_which_key_is_needed(keys, tmp_path, monkeypatch):
    sealed = [keys.seal(record_of("Hello"))]
    monkeypatch.delenv("ROUTER_LOG_KEY", raising=False)
    with pytest.raises(FeatureError, match=f"of 1 prompts, sealed with the key {keys.key_id}; set ROUTER_LOG_KEY"):
        open_prompts(sealed)
    monkeypatch.setenv("ROUTER_LOG_KEY", str(tmp_path / "absent"))
    with pytest.raises(FeatureError, match="absent: the key file cannot be read.*log new-key"):
        open_prompts(sealed)
    monkeypatch.setenv("ROUTER_LOG_KEY", keys.origin)
    assert hash_of(open_prompts(sealed)[0]) == prompt_hash("Hello")
