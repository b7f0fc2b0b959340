from collections.abc import Mapping

import orjson
import pytest

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.providers.provider import Kind, Provider, Target

BASE = "https://generativelanguage.googleapis.com/v1beta"
BODY = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "newField": [1]}


def target(upstream="gemini-2.5-flash", headers: Mapping[str, str] = {}):
    provider = Provider("google", Kind.GEMINI, BASE, headers=headers)
    return Target("google/gemini", provider, upstream)


def request(body=BODY, *, surface=Surface.GENERATE, stream=False, to=None, headers=None, key="s3cret"):
    call = Call(surface, body, stream=stream, headers=headers or {})
    return GeminiFormat().request(dict(body), call, to or target(), key)


def test_the_key_is_in_a_header_and_nowhere_else():
    sent = request()
    assert sent.headers["x-goog-api-key"] == "s3cret"
    assert sent.url == f"{BASE}/models/gemini-2.5-flash:generateContent"
    assert "s3cret" not in sent.url + repr(sent)
    assert b"s3cret" not in sent.content


def test_without_a_key_there_is_no_header():
    assert "x-goog-api-key" not in request(key=None).headers


def test_a_stream_is_asked_for_in_the_url():
    assert request(stream=True).url == f"{BASE}/models/gemini-2.5-flash:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("upstream", "resource"),
    [
        ("tunedModels/mine", "tunedModels/mine"),
        ("models/gemini-3-pro", "models/gemini-3-pro"),
        ("a b?c=1#d", "models/a%20b%3Fc%3D1%23d"),
    ],
)
def test_the_models_id_cannot_change_the_url(upstream, resource):
    assert request(to=target(upstream)).url == f"{BASE}/{resource}:generateContent"


def test_a_body_of_the_same_format_goes_as_it_is():
    sent = request(BODY | {"model": "auto", "stream": True})
    assert orjson.loads(sent.content) == BODY


def test_the_callers_own_key_stays_here():
    sent = request(headers={"X-Goog-Api-Key": "ours", "Authorization": "Bearer ours", "Cookie": "c"}, key=None)
    assert sorted(sent.headers) == ["accept", "content-type"]


def test_the_callers_headers_go_along_but_never_over_ours():
    sent = request(headers={"x-goog-api-client": "genai", "x-goog-api-key": "theirs"}, to=target(headers={"x-a": "b"}))
    assert sent.headers["x-goog-api-client"] == "genai"
    assert (sent.headers["x-a"], sent.headers["x-goog-api-key"]) == ("b", "s3cret")
    assert "x-goog-api-client" not in request(surface=Surface.CHAT, headers={"x-goog-api-client": "x"}).headers
