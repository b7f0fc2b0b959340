import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.serving.common.service_errors import InvalidRequestError, TooLargeError
from router_model.serving.http_edge import json_loading
from router_model.serving.http_edge.json_loading import load_json
from router_model.serving.http_edge.json_shape import json_shape

LONG = 17_000


@pytest.fixture(autouse=True)
def in_short_pieces(monkeypatch):
    monkeypatch.setattr(json_loading, "AT_ONCE_BYTES", 31)


def load(body):
    return load_json(body, json_shape(body))


spellings = st.sampled_from(["a", "\\", '"', "\n", "é", "漢", "😀", "\x00", "u", "\\u0041"])


@given(st.lists(spellings, min_size=1, max_size=7), st.booleans())
def test_a_long_string_is_read_whole_however_it_is_cut(texts, ascii_only):
    """In every spelling: plain UTF-8, escapes, pairs of surrogates."""
    value = {"a": ["".join(texts) * (LONG // len(texts)), 1, {"b": "x" * LONG}], "c": None}
    assert load(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": "' + b"x" * LONG + b"\n" + b'"}', "is not valid JSON"),
        (b'{"a": "' + b"x" * LONG + b"\xff" + b'"}', "is not valid JSON"),
        (b'{"a": "' + b"x" * LONG + b"\\ud83d" + b'"}', "is not valid JSON"),
        (b'{"a": "' + b"x" * LONG, "is not valid JSON"),
        (b'{"' + b"x" * LONG + b'": 1}', "a field name of 4 KiB or more"),
        (b'{"a": "' + b"x" * LONG + b'", "a": "' + b"y" * LONG + b'"}', "the same long field twice"),
    ],
)
def test_what_is_no_json_or_has_long_names_is_refused(body, said):
    with pytest.raises(InvalidRequestError, match=said):
        load(body)


def test_a_text_that_looks_like_a_stand_in_stays(monkeypatch):
    monkeypatch.setattr(json_loading.secrets, "token_hex", lambda n: "t" * n)
    body = json.dumps(["x" * LONG, "tttttttt-1"]).encode()
    assert load(body) == ["x" * LONG, "tttttttt-1"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_only_data_may_be_longer_than_any_model_reads(monkeypatch, prefix):
    monkeypatch.setattr(json_loading, "MOST_TEXT_BYTES", 1000)
    data = prefix + "aB3+/_-=" * (LONG // 8)
    assert load(json.dumps([data]).encode()) == [data]
    with pytest.raises(TooLargeError, match=rf"the body has {LONG + 5} bytes besides data in base64; .* at most 1000"):
        load(json.dumps(["a b." * (LONG // 4) + "."]).encode())


@given(st.binary(max_size=100))
def test_what_is_short_is_what_the_parser_makes_of_it(body):
    try:
        expected = orjson.loads(body)
    except orjson.JSONDecodeError:
        with pytest.raises(InvalidRequestError):
            load(body)
    else:
        assert load(body) == expected


@pytest.mark.parametrize("shift", range(0, 40, 3))
def test_names_of_fields_are_read_wherever_a_step_ends(shift):
    """Steps of 16 KiB end within names and short texts of a long body; all of it is read as it stands."""
    value = [{"role": "user", "content": "x" * (979 + shift)} for _ in range(200)]
    assert load(json.dumps(value).encode()) == value
