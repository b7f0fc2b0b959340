"""Google's own SDK reads what we write, and we read what it sends."""

import json
from decimal import Decimal

import orjson
import pydantic
import pytest
from google import genai
from google.genai import errors, types
from http_thread import LocalServer, QuietHandler, answering
from openai.types.chat import completion_create_params

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import NotFoundError
from router_model.serving.formats.format import Call, Facts, Surface
from router_model.serving.formats.gemini.error_body import google_error_body
from router_model.serving.formats.gemini.generate_format import GeminiFormat
from router_model.serving.formats.translations.chat_to_gemini import CHAT_TO_GEMINI
from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI
from router_model.serving.providers.failures import FailureKind, UpstreamFailure
from router_model.serving.providers.provider import Kind, Provider, Target
from router_model.serving.providers.usage import Usage

CARD = ModelCard("openai/gpt", Decimal(2), Decimal(10))
TARGET = Target("openai/gpt", Provider("openai", Kind.OPENAI, "https://o/v1"), "gpt", CARD)
FACTS = Facts(usage=Usage(100, 50, cached_input_tokens=60, reasoning_tokens=30), cost_usd=0.0007)
EXTRAS = {"openrouter_metadata": {"attempt": 1}}


class _Surface(LocalServer):
    """Answers what it is told to, and keeps paths, headers and bodies."""

    def __init__(self):
        super().__init__(_Handler)
        self.answers = []
        self.requests = []


class _Handler(QuietHandler):
    def do_POST(self):
        body = self.body()
        self.server.requests.append((self.path, dict(self.headers), body))
        status, kind, content = self.server.answers.pop(0)
        self.send(status, content, kind)


@pytest.fixture
def surface():
    server = _Surface()
    with answering(server):
        yield server


@pytest.fixture
def models(surface, monkeypatch):
    monkeypatch.delenv("GOOGLE_GENAI_API_VERSION", raising=False)
    options = types.HttpOptions(base_url=surface.url, timeout=10_000)
    with genai.Client(api_key="router-key", vertexai=False, http_options=options) as client:
        yield client.models


def completion(message, finish_reason="stop"):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return {"id": "c1", "model": "gpt-4o", "choices": [choice]}


def whole(answer):
    written = GeminiFormat().write_answer(GENERATE_TO_OPENAI.answer(answer), FACTS, TARGET, EXTRAS)
    return 200, "application/json", orjson.dumps(written)


def streamed(*deltas, finish_reason="stop", failure=None):
    translation = GENERATE_TO_OPENAI.stream()
    writer = GeminiFormat().writer(Call(Surface.GENERATE, {}, stream=True), TARGET)
    choices = [{"index": 0, "delta": delta} for delta in deltas]
    choices += [] if failure else [{"index": 0, "delta": {}, "finish_reason": finish_reason}]
    sent = []
    for choice in choices:
        for event in translation.translate({"id": "c1", "model": "gpt-4o", "choices": [choice]}):
            sent += writer.write(event)
    sent += writer.fail(failure) if failure else writer.end(FACTS, EXTRAS)
    return 200, "text/event-stream", b"".join(sent)


def test_a_whole_answer(surface, models):
    surface.answers = [whole(completion({"content": "yes", "reasoning_content": "hm"}))]
    answer = models.generate_content(model="auto", contents="hi")
    path, headers, body = surface.requests[0]
    assert path == "/v1/models/auto:generateContent"  # of SDK 3; before it was /v1beta
    assert {name.lower(): value for name, value in headers.items()}["x-goog-api-key"] == "router-key"
    assert GENERATE_TO_OPENAI.request(body) == {"messages": [{"role": "user", "content": "hi"}]}
    assert (answer.text, answer.model_version, answer.response_id) == ("yes", "openai/gpt", "c1")
    counts = answer.usage_metadata
    assert (counts.prompt_token_count, counts.candidates_token_count, counts.thoughts_token_count) == (100, 20, 30)
    assert (counts.cached_content_token_count, counts.total_token_count) == (60, 150)


def test_a_stream(surface, models):
    surface.answers = [streamed({"role": "assistant"}, {"content": "ye"}, {"content": "s"})]
    events = list(models.generate_content_stream(model="openai/gpt", contents="hi"))
    assert surface.requests[0][0] == "/v1/models/openai/gpt:streamGenerateContent?alt=sse"
    assert "".join(event.text or "" for event in events) == "yes"
    assert events[-1].usage_metadata.total_token_count == 150
    assert events[-1].candidates[0].finish_reason is types.FinishReason.STOP


def test_an_error(surface, models):
    surface.answers = [(404, "application/json", google_error_body(NotFoundError("no such model")))]
    with pytest.raises(errors.ClientError, match="404 NOT_FOUND.*no such model"):
        models.generate_content(model="nope", contents="hi")


def test_an_error_in_the_middle_of_a_stream(surface, models):
    failure = UpstreamFailure(FailureKind.TIMEOUT, "no token for 60 s")
    surface.answers = [streamed({"content": "ye"}, failure=failure)]
    stream = models.generate_content_stream(model="auto", contents="hi")
    assert next(stream).text == "ye"
    with pytest.raises(errors.ServerError, match="504 DEADLINE_EXCEEDED.*no token for 60 s"):
        next(stream)


def weather(city: str) -> dict[str, int]:
    """Say how warm it is.

    Args:
        city: which one
    """
    return {"celsius": len(city)}


def test_functions_are_called_by_the_sdk_itself(surface, models):
    """The SDK calls `weather` and sends its result back: 4 letters of Bern, 4 degrees."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    surface.answers = [
        whole(completion({"content": None, "tool_calls": [call]}, "tool_calls")),
        whole(completion({"content": "4 degrees"})),
    ]
    config = types.GenerateContentConfig(tools=[weather])
    assert models.generate_content(model="auto", contents="how warm?", config=config).text == "4 degrees"
    first, second = [GENERATE_TO_OPENAI.request(body) for _, _, body in surface.requests]
    function = first["tools"][0]["function"]
    assert (function["name"], function["parameters"]["required"]) == ("weather", ["city"])
    assert second["messages"][1]["tool_calls"][0]["id"] == second["messages"][2]["tool_call_id"] == "call_1"
    assert json.loads(second["messages"][2]["content"]) == {"result": {"celsius": 4}}
    pydantic.TypeAdapter(list[completion_create_params.ChatCompletionMessageParam]).validate_python(second["messages"])


class City(pydantic.BaseModel):
    name: str
    river: str | None = None


def test_everything_a_caller_can_ask_for_is_said_to_openai(surface, models):
    surface.answers = [whole(completion({"content": '{"name": "Bern"}'}))]
    config = types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        max_output_tokens=80,
        stop_sequences=["END"],
        response_mime_type="application/json",
        response_schema=City,
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")],
        thinking_config=types.ThinkingConfig(thinking_budget=0),
        tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY")),
        tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="now")])],
    )
    picture = types.Part.from_bytes(data=b"\xfb\xff\xfe", mime_type="image/png")
    answer = models.generate_content(model="auto", contents=["which city?", picture], config=config)
    assert answer.parsed == City(name="Bern")
    sent = GENERATE_TO_OPENAI.request(surface.requests[0][2])
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,+//+"
    assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (0.5, 80, ["END"])
    assert (sent["reasoning_effort"], sent["tool_choice"]) == ("none", "required")
    schema = sent["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["name"]["type"] == "string"
    assert schema["required"] == ["name"]


def test_the_sdk_reads_what_we_would_send_to_google():
    """A request of ours, through the SDK's own types, is what it was."""
    body = CHAT_TO_GEMINI.request(
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "1", "content": "r"},
            ],
            "max_tokens": 5,
        }
    )
    contents = [
        types.Content.model_validate(one).model_dump(exclude_none=True, by_alias=True) for one in body["contents"]
    ]
    assert contents == body["contents"]
