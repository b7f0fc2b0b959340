"""What refers to a conversation that is kept elsewhere is passed on, or refused; never left out."""

import anthropic
import orjson
import pytest
from anthropic import beta_tool

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Call, Surface
from router_model.serving.formats.registry import adapter_for
from router_model.serving.providers.provider import Kind, Provider, Target

HI = [{"role": "user", "content": "Hi"}]
CONTINUE = {"type": "continue", "previous_message_id": "msg_0"}
BODIES = {
    Surface.CHAT: {"messages": HI},
    Surface.MESSAGES: {"messages": HI, "max_tokens": 9},
    Surface.GENERATE: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
OWN = {Surface.CHAT: Kind.OPENAI, Surface.MESSAGES: Kind.ANTHROPIC, Surface.GENERATE: Kind.GEMINI}
REFERENCES = {
    "thread": CONTINUE,
    "container": "container_1",
    "previous_response_id": "resp_1",
    "conversation": "conv_1",
    "cachedContent": "cachedContents/1",
    "cached_content": "cachedContents/1",
    "batch_id": "batch_1",
    "file_ids": ["file_1"],
    "previous_turn_handle": "unheard-of",
}
FOLLOWS = {Kind.ANTHROPIC: {"thread", "container"}, Kind.GEMINI: {"cachedContent", "cached_content"}}


def sent(surface, kind, body, model="m"):
    target = Target(model, Provider("p", kind, "http://127.0.0.1:1/v1"), model)
    return orjson.loads(adapter_for(surface, kind).request(Call(surface, body), target, None).content)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("kind", [Kind.OPENAI, Kind.ANTHROPIC, Kind.GEMINI])
@pytest.mark.parametrize("surface", BODIES)
def test_a_reference_is_passed_on_or_refused(surface, kind, name):
    body = BODIES[surface] | {name: REFERENCES[name]}
    if kind is OWN[surface] or (surface is Surface.CHAT and name in FOLLOWS.get(kind, ())):
        assert REFERENCES[name] in sent(surface, kind, body).values()
        return
    with pytest.raises(InvalidRequestError) as caught:
        sent(surface, kind, body)
    assert caught.value.param.lower().replace("_", "") == name.lower().replace("_", "")


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "container_upload", "file_id": "file_1"},
    ],
)
@pytest.mark.parametrize("kind", [Kind.OPENAI, Kind.GEMINI])
def test_uploads_at_anthropic_are_refused_elsewhere(kind, block):
    with pytest.raises(InvalidRequestError, match="exists for Anthropic's models only"):
        sent(Surface.MESSAGES, kind, {"max_tokens": 9, "messages": [{"role": "user", "content": [block]}]})


def test_uploads_at_google_are_refused_elsewhere():
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    parts = [{"fileData": {"fileUri": uri, "mimeType": "image/png"}}]
    with pytest.raises(InvalidRequestError, match="fileData"):
        sent(Surface.GENERATE, Kind.OPENAI, {"contents": [{"role": "user", "parts": parts}]})


def test_anthropics_unknown_fields_stay_here_and_are_named():
    body = BODIES[Surface.MESSAGES] | {"made_up": 1, "temperature": 0.2}
    target = Target("m", Provider("p", Kind.OPENAI, "http://127.0.0.1:1/v1"), "m")
    request = adapter_for(Surface.MESSAGES, Kind.OPENAI).request(Call(Surface.MESSAGES, body), target, None)
    assert request.changes == ("made_up",)
    assert b"made_up" not in request.content
    assert b'"temperature":0.2' in request.content


def test_models_of_other_vendors_keep_no_threads():
    with pytest.raises(InvalidRequestError, match="only Anthropic's models"):
        sent(Surface.MESSAGES, Kind.ANTHROPIC, BODIES[Surface.MESSAGES] | {"thread": CONTINUE}, "kimi-k2")


def ask(claude, model, **more):
    return claude.beta.messages.create(model=model, max_tokens=9, messages=HI, **more)


@pytest.mark.parametrize("model", ["openai/gpt-x", "gemini/gemini-x"])
@pytest.mark.parametrize("thread", [{"type": "create"}, CONTINUE])
def test_a_provider_without_threads_says_it_so_that_the_sdk_resends_all(claude, upstream, model, thread):
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(claude, model, thread=thread)
    assert caught.value.error_code == caught.value.details.error_code == "thread_unsupported_request"
    assert upstream.seen == []


def test_a_thread_reaches_anthropic(claude, upstream):
    assert ask(claude, "anthropic/claude-x", thread=CONTINUE).content[0].text == "hello"
    assert upstream.seen[0][2]["thread"] == CONTINUE


@pytest.mark.parametrize(
    ("type_", "code", "error"),
    [
        ("not_found_error", "thread_not_found", anthropic.NotFoundError),
        ("conflict_error", "thread_already_continued", anthropic.ConflictError),
        ("invalid_request_error", "thread_fingerprint_mismatch", anthropic.BadRequestError),
    ],
)
def test_a_lost_thread_is_no_lost_model(claude, upstream, type_, code, error):
    """Nothing is paused, and no other provider is asked: the client sends the conversation again."""
    said = {"type": type_, "message": "thread: replay it", "details": {"error_code": code}}
    status = {"not_found_error": 404, "conflict_error": 409, "invalid_request_error": 400}[type_]
    upstream.script["anthropic"] = status, {"type": "error", "error": said}
    with pytest.raises(error) as caught:
        ask(claude, "anthropic/claude-x", thread=CONTINUE)
    assert (caught.value.error_code, caught.value.body["error"]["type"]) == (code, type_)
    assert caught.value.body["error"]["metadata"]["error_type"] == "bad_request"
    assert len(upstream.seen) == 1


def test_the_sdks_tool_runner_goes_on_without_a_thread(claude, upstream):
    @beta_tool
    def clock() -> str:
        """Say the time."""
        return "noon"

    runner = claude.beta.messages.tool_runner(model="openai/gpt-x", max_tokens=9, messages=HI, tools=[clock])
    assert [one.content[0].text for one in runner] == ["hello"]
    assert [(kind, "thread" in body) for kind, _, body in upstream.seen] == [("openai", False)]
