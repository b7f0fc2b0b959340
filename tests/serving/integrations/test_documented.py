"""Every block of code in docs/integrations.md, run as readers would, against the real service."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from documents import blocks, languages
from processes import eventually

pytestmark = pytest.mark.slow

EXAMPLE = (
    Path(find_spec("router_model.serving.integrations").submodule_search_locations[0])
    / "examples"
    / "ask_and_report.sh"
)
RUN = {
    "Python client": ["python", "python"],
    "LiteLLM proxy": ["sh", "yaml"],  # by test_litellm
    "LiteLLM's auto router": ["toml", "yaml"],  # by test_litellm
    "Decision clients": ["python"],
    "Any gateway: curl": ["bash"],
    "The openai client": ["python"],
    "The notdiamond client": ["python"],
}


def run(command, service, **environment):
    """Run a program as a reader would, who has set the two variables; return what it printed, line by line."""
    env = os.environ | {"ROUTER_URL": service.url, "ROUTER_API_KEY": service.key, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def run_python(section, service, *, block=0):
    return run([sys.executable, "-W", "error", "-c", blocks("python", section)[block]], service)


def test_no_block_is_left_out():
    assert languages() == RUN


def test_python_client(service):
    (decided,) = run_python("Python client", service)
    assert decided.endswith(" False")
    (outcome,) = eventually(
        lambda: service.rows("attempts", response_id="chatcmpl-of-the-provider"), "the outcome in the log"
    )
    assert outcome["model"] == decided.split(" ", 1)[0]
    assert service.rows("decisions", decision_id=outcome["decision_id"])
    (feedback,) = eventually(
        lambda: service.rows("feedback", response_id="chatcmpl-of-the-provider"), "the feedback in the log"
    )
    assert (feedback["score"], feedback["source"]) == (1.0, "user")


def test_python_client_awaited(service):
    (answers,) = run_python("Python client", service, block=1)
    assert all(model in {"small", "coder", "large"} for model in eval(answers))


SUM = "add subtract multiply sum 12 45 7"


def shell(service, provider, **environment):
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": SUM}]})
    settings = {"PROVIDER_URL": provider.url, "PROVIDER_API_KEY": "sk-p", "DEFAULT_MODEL": "spare"}
    return run(["bash", str(EXAMPLE), body], service, **settings, ROUTER_TIMEOUT_S="5", **environment)


def test_shell_example_asks_calls_and_reports(service, provider):
    (answer,) = shell(service, provider)
    assert '"content": "four"' in answer
    # Decisions of the tests before may reach the log only now.
    (decision,) = eventually(
        lambda: [row for row in service.rows("decisions") if SUM in (row["messages"] or "")], "the decision in the log"
    )
    assert provider.bodies[-1]["model"] == decision["model"]
    (outcome,) = eventually(
        lambda: service.rows("attempts", decision_id=decision["decision_id"]), "the outcome in the log"
    )
    assert (outcome["model"], outcome["status"]) == (decision["model"], 200)
    assert (outcome["input_tokens"], outcome["output_tokens"]) == (1000, 100)
    assert outcome["latency_s"] > 0


def test_shell_example_without_the_service_calls_the_default_model(service, provider):
    n_outcomes = len(service.rows("attempts"))
    (answer,) = shell(service, provider, ROUTER_URL="http://127.0.0.1:9")
    assert '"content": "four"' in answer
    assert provider.bodies[-1]["model"] == "spare"
    assert len(service.rows("attempts")) == n_outcomes


def test_shell_feedback_is_counted_once(service):
    (code,) = blocks("bash", "Any gateway: curl")
    first, second = (run(["bash", "-c", code], service) for _ in range(2))
    assert first == second
    rows = eventually(lambda: service.rows("feedback", response_id="chatcmpl-1"), "the feedback in the log")
    assert [row["score"] for row in rows] == [1.0]


def test_openai_client(service):
    models, decided = run_python("The openai client", service)
    assert eval(models) == ["coder", "large", "small"]
    model, decision_id = decided.split()
    (decision,) = eventually(lambda: service.rows("decisions", decision_id=decision_id), "the decision in the log")
    assert decision["model"] == model
    eventually(lambda: service.rows("feedback", decision_id=decision_id), "the feedback in the log")


def test_decision_client(service):
    (decided,) = run_python("Decision clients", service)
    choice, decision_id = decided.split()
    (decision,) = eventually(lambda: service.rows("decisions", decision_id=decision_id), "the decision in the log")
    assert (decision["model"], decision["surface"]) == (choice, "decisions")


def test_openai_client_knows_our_errors(service):
    """What the document says of errors, and of completions."""
    import openai

    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError, match="this needs: proxy"):
            client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(openai.BadRequestError, match="quality_bar"):
            client.post("/route", body={"messages": [], "router": {"quality_bar": 7}}, cast_to=dict[str, object])
    with (
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="rk-none", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="401"),
    ):
        client.models.list()


def test_notdiamond_client(service):
    (answer,) = run_python("The notdiamond client", service)
    provider, model, session_id = answer.split()
    assert (provider, model in {"small", "large"}) == ("openai", True)
    (decision,) = eventually(lambda: service.rows("decisions", session_id=session_id), "the decision in the log")
    assert (decision["model"], decision["surface"]) == (model, "notdiamond")


def test_notdiamond_client_knows_our_errors(service):
    from notdiamond import BadRequestError, NotDiamond, NotFoundError

    with NotDiamond(base_url=service.url, api_key=service.key, max_retries=0) as client:
        with pytest.raises(BadRequestError, match="its models are .*coder"):
            client.model_router.select_model(messages="hi", llm_providers=[{"provider": "x", "model": "unheard-of"}])
        with pytest.raises(NotFoundError, match="404"):
            client.models.list()
