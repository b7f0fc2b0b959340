"""A LiteLLM proxy, the decision service and a provider, each in a process or thread of its own, over real sockets.

Every answer of the provider is 1000 tokens in (400 of them cached) and 100 out, 30 of them reasoning; at the proxy's
1 and 2 USD per million that is 1000 x 1e-6 + 100 x 2e-6 = 0.0012 USD.
"""

import openai
import pytest
from documents import blocks
from litellm_proxy import MASTER_KEY, litellm_proxy
from processes import eventually
from relay import relay
from system import system

pytestmark = pytest.mark.slow  # installs LiteLLM on first use

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"
MODELS = ["small", "large", "coder", "spare"]  # the router knows the first three


@pytest.fixture(scope="module")
def wire(service):
    """Between the proxy and the service; cut by a test."""
    with relay(service.url) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(service, provider, wire, tmp_path_factory):
    (settings,) = blocks("yaml", "LiteLLM proxy")
    environment = {"ROUTER_URL": wire.url, "ROUTER_API_KEY": service.key, "ROUTER_DEFAULT_MODEL": "spare"}
    environment |= {
        "ROUTER_TIMEOUT_S": "5"
    }  # the machine may be busy; what happens on time-out is tested with a cut wire
    folder = tmp_path_factory.mktemp("litellm")
    (copy,) = blocks("sh", "LiteLLM proxy")
    with litellm_proxy(folder, copy, provider=provider.url, models=MODELS, settings=settings, **environment) as running:
        yield running


@pytest.fixture
def client(proxy):
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=MASTER_KEY, max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def whole(wire, provider):
    """Everything works, before each test and after it."""
    yield
    wire.down, provider.broken = False, set()


def ask(client, text=SUM, **router):
    """Return (decision id or None, headers, answer)."""
    messages = [{"role": "user", "content": text}]
    body = {"router": router} if router else None
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages, extra_body=body)
    return raw.headers.get("x-router-decision-id"), raw.headers, raw.parse()


def outcomes(service, decision_id, n=1):
    """Return the n attempts of a decision, as soon as they are in the log."""
    return eventually(
        lambda: len(rows := service.rows("attempts", decision_id=decision_id)) == n and rows, f"{n} outcomes in the log"
    )


@pytest.mark.parametrize(("target", "model"), [(0.6, "small"), (0.999, "large")])
def test_the_decided_model_answers_and_its_outcome_is_logged(client, service, provider, target, model):
    decision_id, _, answer = ask(client, target_success=target)
    (decision,) = eventually(lambda: service.rows("decisions", decision_id=decision_id), "the decision in the log")
    called = provider.bodies[-1]
    assert decision["model"] == called["model"] == model
    assert "router" not in called
    (outcome,) = outcomes(service, decision_id)
    assert (outcome["model"], outcome["status"], outcome["response_id"]) == (called["model"], 200, answer.id)
    assert (outcome["input_tokens"], outcome["output_tokens"]) == (1000, 100)
    assert (outcome["cached_input_tokens"], outcome["reasoning_tokens"]) == (400, 30)
    assert outcome["cost_usd"] == pytest.approx(0.0012)
    assert outcome["latency_s"] > 0
    assert outcome["finish_reason"] == "stop"


def test_streamed_answers_are_reported_too(client, service, provider):
    """The client asks for no usage; the proxy's setting does."""
    messages = [{"role": "user", "content": SUM}]
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=messages, stream=True)
    chunks = list(raw.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "four"
    (outcome,) = outcomes(service, raw.headers["x-router-decision-id"])
    assert (outcome["input_tokens"], outcome["output_tokens"], outcome["cached_input_tokens"]) == (1000, 100, 400)
    assert outcome["cost_usd"] == pytest.approx(0.0012)
    assert 0 < outcome["first_token_s"] <= outcome["latency_s"]
    assert (outcome["model"], outcome["response_id"]) == (provider.bodies[-1]["model"], chunks[0].id)


def test_the_plan_s_next_model_answers_where_the_first_fails(client, service, provider):
    provider.broken = {"small"}
    decision_id, _, answer = ask(client, target_success=0.6, allow=["small", "large"])
    assert provider.bodies[-1]["model"] == "large"
    failed, answered = outcomes(service, decision_id, 2)
    assert (failed["model"], failed["status"], failed["error_type"]) == ("small", 500, "InternalServerError")
    assert (answered["model"], answered["status"], answered["response_id"]) == ("large", 200, answer.id)


def test_feedback_on_the_answer_s_own_id_joins_the_outcome(client, service):
    from router_model.serving.client import RouterClient

    decision_id, _, answer = ask(client)
    with RouterClient(service.url, service.key) as router:
        router.feedback(response_id=answer.id, thumb="up")
    (outcome,) = outcomes(service, decision_id)
    (feedback,) = eventually(lambda: service.rows("feedback", response_id=answer.id), "the feedback in the log")
    assert (outcome["response_id"], feedback["score"]) == (feedback["response_id"], 1.0)


def test_named_model_is_called_without_a_decision(client, service, provider):
    before = len(service.rows("decisions"))
    client.chat.completions.create(model="coder", messages=[{"role": "user", "content": SUM}])
    assert provider.bodies[-1]["model"] == "coder"
    assert len(service.rows("decisions")) == before


@pytest.mark.parametrize("trouble", ["down", "refused"])
def test_without_a_decision_the_default_model_answers(client, wire, provider, trouble):
    """The wire is cut; or the service refuses the options (a quality bar of 7)."""
    wire.down = trouble == "down"
    decision_id, headers, _ = ask(client, quality_bar=0.7 if wire.down else 7)
    assert provider.bodies[-1]["model"] == "spare"
    assert (decision_id, headers["x-router-degraded"]) == (None, "true")


def test_outcome_whose_answer_is_lost_is_logged_once(client, wire, service):
    """The decision's answer comes through; the first one to the report does not, and it is sent again."""
    decision_id, _, _ = ask(client)
    wire.n_lost_answers = 1
    (outcome,) = outcomes(service, decision_id)
    eventually(lambda: wire.n_lost_answers == 0, "the lost answer")
    assert outcome["decision_id"] == decision_id
    later, _, _ = ask(client)
    outcomes(service, later)
    assert len(service.rows("attempts", decision_id=decision_id)) == 1


def test_keys_are_in_no_output(proxy, service):
    text = proxy.output.read_text()
    assert service.key not in text
    assert "the default model answers: " in text


def test_auto_router_takes_the_tier_of_a_decision(trained, provider, tmp_path):
    """LiteLLM's classifier asks the service for a tier; no code of ours is in the proxy."""
    section = "LiteLLM's auto router"
    (aliases,), (entry,) = blocks("toml", section), blocks("yaml", section)
    (tmp_path / "tiers.toml").write_text(aliases)
    settings = entry.removeprefix("model_list:\n") + "general_settings:\n"
    with system(tmp_path / "service", trained.path, providers=tmp_path / "tiers.toml", log_flush_s=0.05) as service:
        environment = {"ROUTER_URL": service.url, "ROUTER_API_KEY": service.key}
        proxied = litellm_proxy(
            tmp_path, "true", provider=provider.url, models=MODELS, settings=settings, **environment
        )
        with proxied as proxy, openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=MASTER_KEY, timeout=60) as client:
            client.chat.completions.create(model="smart", messages=[{"role": "user", "content": SUM}])
        (decision,) = eventually(lambda: service.rows("decisions"), "the decision in the log")
        assert (decision["surface"], decision["target_success"]) == ("systemone", 0.9)
        assert SUM in decision["messages"]
        assert provider.bodies[-1]["model"] == decision["model"] == "large"
        assert service.key not in proxy.output.read_text()
