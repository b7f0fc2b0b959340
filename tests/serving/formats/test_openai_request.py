import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_streams import chat, target_at

from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind


def requested(call, target=None, key="k-1"):
    return adapter_for(Surface.CHAT, Kind.OPENAI).request(call, target or target_at(), key)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OURS = {"model", "stream", "stream_options"}


@given(st.dictionaries(st.text(max_size=8).filter(lambda name: name not in OURS), JSON, max_size=5), st.booleans())
def test_all_that_is_not_ours_reaches_the_provider_untouched(body, stream):
    request = requested(Call(Surface.CHAT, body | {"model": "auto"}, stream=stream))
    sent = orjson.loads(request.content)
    assert {name: value for name, value in sent.items() if name not in OURS} == body
    assert sent["model"] == "small-2026-01-01"
    assert sent.get("stream", False) is stream


def test_a_stream_is_asked_for_its_usage_beside_the_callers_options():
    call = chat(body={"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": False}})
    sent = orjson.loads(requested(call).content)
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize("body", [{}, {"stream": True}, {"stream": False}, {"stream_options": None}])
def test_a_whole_answer_is_asked_for_without_options_of_streams(body):
    sent = orjson.loads(requested(chat(stream=False, body=body)).content)
    assert "stream_options" not in sent
    assert sent.get("stream", False) is False


def test_a_host_that_refuses_to_be_asked_for_usage_is_not_asked():
    sent = orjson.loads(requested(chat(), target_at("https://api.mistral.ai/v1")).content)
    assert sent["stream"] is True
    assert "stream_options" not in sent


def test_the_callers_body_is_not_changed():
    call = chat(body={"stream_options": {"include_usage": False}})
    requested(call)
    assert call.body["model"] == "auto"
    assert call.body["stream_options"] == {"include_usage": False}


def test_url_key_and_headers():
    target = target_at(headers={"OpenAI-Organization": "org-1"})
    request = requested(chat(headers={"X-Trace": "7", "Authorization": "Bearer the-callers"}), target)
    assert request.url == "https://api.acme.test/v1/chat/completions"
    assert request.method == "POST"
    assert request.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-trace": "7",
        "openai-organization": "org-1",
        "authorization": "Bearer k-1",
    }
    assert "k-1" not in repr(request)


def test_without_a_key_none_is_sent_nor_the_callers():
    request = requested(chat(stream=False, headers={"authorization": "Bearer the-callers"}), key=None)
    assert request.headers == {"content-type": "application/json", "accept": "application/json"}


def test_a_provider_may_carry_its_key_in_a_header_of_its_own():
    assert requested(chat(), target_at(headers={"api-key": "k"}), key=None).headers["api-key"] == "k"
