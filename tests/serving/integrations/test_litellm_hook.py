"""The hook alone: LiteLLM's base class is a stand-in here; `test_litellm` has the real proxy."""

import asyncio
import importlib.util
import json
import sys
import types
from types import SimpleNamespace

import httpx
import pytest

ENV = {"ROUTER_URL": "http://router/v1/", "ROUTER_DEFAULT_MODEL": "spare", "ROUTER_API_KEY": "rk-canary"}
SAID = {"id": "dec_1", "plan": [{"model": "vendor/small"}, {"model": "large"}, {"model": "coder"}, {"model": "spare"}]}
PAYLOAD = {
    "id": "chatcmpl-1", "litellm_call_id": "call", "model_id": "deployment", "model_group": "small",
    "status": "success",
    "startTime": 100.0, "completionStartTime": 100.5, "endTime": 102.0, "stream": True, "custom_llm_provider": "openai",
    "prompt_tokens": 1000, "completion_tokens": 100, "response_cost": 0.0012,
    "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 400, "cache_creation_tokens": 50}}},
    "response": {"choices": [{"finish_reason": "stop"}]},
}  # fmt: skip


@pytest.fixture
def module(monkeypatch):
    """The file, loaded as the proxy loads it: by its path."""
    for name in ("litellm", "litellm.integrations", "litellm.proxy"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    logger = types.ModuleType("litellm.integrations.custom_logger")
    logger.CustomLogger = type("CustomLogger", (), {})
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    router = SimpleNamespace(get_model_names=lambda: ["small", "large", "coder", "spare", "auto"])
    sys.modules["litellm.proxy"].proxy_server = SimpleNamespace(llm_router=router)
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    path = (
        importlib.util.find_spec("router_model.serving.integrations").submodule_search_locations[0] + "/litellm_hook.py"
    )
    spec = importlib.util.spec_from_file_location("litellm_hook", path)
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "litellm_hook", loaded)
    spec.loader.exec_module(loaded)
    return loaded


class Service:
    """Keeps what it is sent; answers with `answers`, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    async def __call__(self, request):
        self.seen.append((request.url.path, dict(request.headers), json.loads(request.content)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if answer == "never":
            await asyncio.sleep(60)
        return httpx.Response(200, json=answer) if isinstance(answer, dict) else httpx.Response(answer, text="no")


def hook(module, service, **env):
    return module.RouterHook(module.HookSettings.read(ENV | env), httpx.MockTransport(service))


def before(module, service, data, **env):
    """Return what the proxy goes on with."""
    return asyncio.run(hook(module, service, **env).async_pre_call_hook(None, None, data, "acompletion"))


def after(module, service, *payloads, metadata=None, **env):
    """Report what happened, and wait until the reports have been sent; return the hook."""
    kwargs = {"litellm_params": {"metadata": {"router_decision_id": "dec_1"} if metadata is None else metadata}}

    async def report():
        made = hook(module, service, **env)
        for payload in payloads:
            await made.async_log_success_event(kwargs | {"standard_logging_object": payload}, None, None, None)
        if made._reports is not None:
            await made._reports.join()
        return made

    return asyncio.run(report())


def chat(**more):
    return {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "metadata": {}, **more}


def test_plan_becomes_model_and_fallbacks(module):
    service = Service(SAID)
    data = before(module, service, chat(), ROUTER_MODEL_NAMES='{"small": "vendor/small"}')
    assert (data["model"], data["fallbacks"]) == ("small", ["large", "coder"])
    assert data["metadata"] == {"router_decision_id": "dec_1"}
    path, headers, body = service.seen[0]
    assert (path, headers["authorization"]) == ("/v1/route", "Bearer rk-canary")
    assert body["router"] == {"allow": ["vendor/small", "large", "coder", "spare"]}


def test_only_what_decides_is_sent(module):
    """Neither a client's provider key nor LiteLLM's own fields leave the proxy."""
    service = Service(SAID)
    data = chat(tools=[{"x": 1}], api_key="sk-client", temperature=1, litellm_logging_obj=object(), stream=True)
    before(module, service, data | {"router": {"quality_bar": 0.7, "allow": ["l*"]}, "litellm_session_id": "s"})
    assert service.seen[0][2] == {
        "messages": data["messages"],
        "tools": [{"x": 1}],
        "stream": True,
        "router": {"quality_bar": 0.7, "allow": ["large"], "session_id": "s"},
    }


def test_options_do_not_reach_the_provider(module):
    assert "router" not in before(module, Service(SAID), chat(router={"explore": False}))


def test_named_model_is_left_alone(module):
    service = Service(SAID)
    asked = chat(model="large", metadata={"router_decision_id": "dec_forged"})
    assert before(module, service, asked) == chat(model="large")
    assert service.seen == []


def test_a_router_s_name_behind_auto_is_asked_of_the_service(module):
    service = Service(SAID)
    for model in ("auto:code", "code", "auto"):
        before(module, service, chat(model=model), ROUTER_AUTO_MODELS="auto,code")
    assert [body.get("model") for _, _, body in service.seen] == ["auto:code", None, None]


def test_client_s_own_fallbacks_stay(module):
    assert before(module, Service(SAID), chat(fallbacks=["spare"]))["fallbacks"] == ["spare"]


def test_wildcard_of_the_proxy_takes_the_router_s_name(module):
    """LiteLLM's ``vendor/*`` is a glob of ours; other special characters in a name stand for themselves."""
    service = Service(SAID)
    data = before(module, service, chat(), ROUTER_MODELS="vendor/*,odd[1]")
    assert data["model"] == "vendor/small"
    assert service.seen[0][2]["router"]["allow"] == ["vendor/*", "odd[[]1]"]


def test_a_model_with_an_effort_needs_an_entry_of_its_own(module):
    high = {"model": "vendor/small:high", "base_model": "vendor/small", "parameters": {"reasoning_effort": "high"}}
    said = {"id": "dec_1", "plan": [high, {"model": "vendor/small", "parameters": {}}]}
    for listed, called in (("vendor/*", "vendor/small"), ("vendor/*,vendor/small:high", "vendor/small:high")):
        assert before(module, Service(said), chat(), ROUTER_MODELS=listed)["model"] == called


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        ("never", "TimeoutError"),
        (503, "RuntimeError: 503: no"),
        (401, "RuntimeError: 401: no"),
        ({"id": "dec_1", "plan": [{"model": "unheard of"}]}, "RuntimeError: the plan names none of the proxy's models"),
        ({"unexpected": 1}, "KeyError: 'plan'"),
    ],
)
def test_whatever_goes_wrong_the_default_model_answers(module, caplog, answer, why):
    data = before(module, Service(answer), chat(), ROUTER_TIMEOUT_S="0.05")
    assert (data["model"], data["metadata"]) == ("spare", {"router_degraded": True})
    assert "fallbacks" not in data
    assert f"the default model answers: {why}" in caplog.text
    assert "rk-canary" not in caplog.text


def test_connection_that_just_closed_is_no_reason_to_degrade(module):
    service = Service(httpx.RemoteProtocolError("closed"), SAID)
    assert before(module, service, chat())["model"] == "large"


def test_headers_tell_the_decision(module):
    made = hook(module, Service(SAID))

    def headers(metadata):
        return asyncio.run(made.async_post_call_response_headers_hook({"metadata": metadata}, None, None))

    assert headers({"router_decision_id": "dec_1"}) == {"x-router-decision-id": "dec_1"}
    assert headers({"router_degraded": True}) == {"x-router-degraded": "true"}
    assert headers({}) is None


def test_outcome_is_what_happened(module):
    """First token after 100.5 - 100 s, the end after 102 - 100 s."""
    service = Service({})
    after(module, service, PAYLOAD, ROUTER_MODEL_NAMES='{"small": "vendor/small"}')
    path, headers, body = service.seen[0]
    assert (path, headers["idempotency-key"]) == ("/v1/outcomes", "litellm-call-deployment-100.0")
    assert body == {
        "decision_id": "dec_1", "model": "vendor/small", "provider": "openai", "status": 200, "latency_s": 2.0,
        "first_token_s": 0.5, "response_id": "chatcmpl-1", "finish_reason": "stop", "input_tokens": 1000,
        "output_tokens": 100, "cached_input_tokens": 400, "cache_write_tokens": 50, "cost_usd": 0.0012,
    }  # fmt: skip


def test_failure_is_an_outcome_without_its_text(module):
    failed = {"error_code": "429", "error_class": "RateLimitError", "error_message": "the prompt was ..."}
    service = Service({})
    after(module, service, PAYLOAD | {"status": "failure", "error_information": failed})
    assert service.seen[0][2] == {
        "decision_id": "dec_1", "model": "small", "provider": "openai", "latency_s": 2.0, "status": 429,
        "error_type": "RateLimitError",
    }  # fmt: skip


def test_stream_without_usage_has_no_tokens_and_no_cost(module):
    """LiteLLM says 0 of both, which would be a free answer."""
    service = Service({})
    after(module, service, PAYLOAD | {"prompt_tokens": 0, "completion_tokens": 0, "response_cost": 0.0})
    assert not {"input_tokens", "output_tokens", "cost_usd"} & service.seen[0][2].keys()


@pytest.mark.parametrize(
    ("payload", "metadata"),
    [
        (PAYLOAD, {}),
        (PAYLOAD | {"cache_hit": True}, None),
        (PAYLOAD | {"model_id": None}, None),
        (None, None),
        ({"model_id": 1, "status": "success", "response": {"choices": 3}}, None),
    ],
)
def test_what_is_no_attempt_of_ours_is_not_reported(module, payload, metadata):
    service = Service({})
    after(module, service, payload, metadata=metadata)
    assert service.seen == []


def test_report_is_sent_again_with_the_same_key(module, monkeypatch):
    monkeypatch.setattr(module, "_BACKOFF_S", 0.0)
    service = Service(httpx.ReadError("dropped"), 503, {})
    after(module, service, PAYLOAD)
    assert {headers["idempotency-key"] for _, headers, _ in service.seen} == {"litellm-call-deployment-100.0"}
    assert len(service.seen) == 3


@pytest.mark.parametrize(("answer", "attempts"), [(400, 1), (503, 3), (httpx.ReadError("dropped"), 3)])
def test_report_that_cannot_be_sent_is_given_up(module, monkeypatch, caplog, answer, attempts):
    monkeypatch.setattr(module, "_BACKOFF_S", 0.0)
    service = Service(answer)
    after(module, service, PAYLOAD)
    assert len(service.seen) == attempts
    assert "an outcome is lost" in caplog.text


async def test_reports_are_bounded_and_never_wait(module, monkeypatch, caplog):
    """A queue of 3 in front of a service that never answers: of ten reports seven are dropped, and said to be."""
    monkeypatch.setattr(module, "_QUEUE", 3)
    made = hook(module, Service("never"))
    kwargs = {"litellm_params": {"metadata": {"router_decision_id": "d"}}, "standard_logging_object": PAYLOAD}
    for _ in range(10):
        await made.async_log_failure_event(kwargs, None, None, None)
    assert made.n_dropped == 7
    assert "4 outcomes were dropped" in caplog.text
    assert "3 outcomes were dropped" not in caplog.text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ROUTER_URL": ""}, "ROUTER_URL is not set; litellm_hook needs it"),
        ({"ROUTER_DEFAULT_MODEL": ""}, "ROUTER_DEFAULT_MODEL is not set"),
        ({"ROUTER_MODEL_NAMES": "[]"}, "expected a JSON object of names to names"),
        ({"ROUTER_TIMEOUT_S": "soon"}, "could not convert string to float: 'soon'"),
    ],
)
def test_bad_settings_stop_the_start(module, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        module.HookSettings.read(ENV | change)


def test_settings_do_not_show_the_key(module):
    settings = module.HookSettings.read(ENV | {"ROUTER_AUTO_MODELS": "auto, best"})
    assert "rk-canary" not in repr(settings)
    assert (settings.url, settings.auto_models) == ("http://router", {"auto", "best"})
