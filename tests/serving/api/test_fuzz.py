"""Whatever is sent, the answer is a documented one: never a 5xx, never another shape."""

import json
import random

import pytest
import schemathesis
from fake_service import client_of, fake_parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from router_model.serving.app import ENDPOINTS, create_app
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.http_edge.error_answers import ErrorAnswer

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
)
OPTIONS = {
    "messages": [{"role": "user", "content": "hi"}],
    "router": {"quality_bar": 0.5, "deny": ["x"], "explore": False},
}
VALID = {
    "/v1/route": OPTIONS,
    "/routing/v1/chat/completions": OPTIONS,
    "/v1/route/batch": {"requests": [OPTIONS]},
    "/v1/feedback": {"decision_id": "d", "score": 0.5, "comment": "c"},
    "/v1/outcomes": {"decision_id": "d", "input_tokens": 3, "cost_usd": 0.1, "status": 200},
    "/v1/systemone": {"state": "hi", "questions": {"q": {"type": "choice", "criteria": {"small": None, "large": 1}}}},
    "/v1/decisions": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "questions": [{"type": "choice", "choices": [{"value": "small"}, {"value": "large"}]}],
    },
    "/v2/modelRouter/modelSelect": {"messages": "hi", "llm_providers": [{"provider": "p", "model": "small"}]},
}
BY_PATH = {one.path: one for one in ENDPOINTS}
CODES = {one.code: one.status for one in ServiceError.__subclasses__()}
N_EXAMPLES = settings.default.max_examples // 2
MODEST = settings(max_examples=N_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.hypothesis  # `make test-all` runs them again, with more examples


@pytest.fixture(scope="module")
def served(router):
    with client_of(fake_parts(router)) as client:
        yield client


@pytest.fixture(scope="module")
def schema(router):
    parts = fake_parts(router)
    parts.settings = parts.settings.model_copy(update={"trusted_hosts": ("*",)})  # it makes names up
    app = create_app(parts=parts)
    for item in app.openapi()["paths"].values():
        for operation in item.values():
            operation.pop("security", None)  # here everybody may call; roles have their own tests
    return schemathesis.openapi.from_asgi("/openapi.json", app), parts


ENDPOINT_AND_MODE = [
    (f"{one.method} {one.path.replace(':path', '')}", mode)
    for one in ENDPOINTS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or one.request  # what takes nothing has nothing wrong
]


@pytest.mark.parametrize(("name", "mode"), ENDPOINT_AND_MODE)
def test_the_service_keeps_to_its_document(schema, name, mode):
    """`mode`: requests that follow the document, and requests that break it."""
    method, _, path = name.partition(" ")
    document, parts = schema
    cases = document[path][method].as_strategy(generation_mode=mode)

    @settings(MODEST)
    @given(case=cases)
    def keeps(case):
        parts.draining, parts.engines.default.ready = (
            False,
            True,
        )  # every call of schemathesis starts and ends the service
        case.call_and_validate(checks=CHECKS)

    keeps()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def mutated(value, rng, put):
    """Return a body with one place in it replaced by `put`, removed or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(sorted(value))
        changed = dict(value)
        action = rng.randrange(4)
        if action == 0:
            del changed[key]
        elif action == 1:
            changed[key + "x"] = changed.pop(key)
        else:
            changed[key] = mutated(value[key], rng, put)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        return [mutated(one, rng, put) if i == place else one for i, one in enumerate(value)]
    return put


def check(client, path, content):
    """Send bytes; the answer is the endpoint's, or an error whose code and status are documented."""
    response = client.post(path, content=content, headers={"content-type": "application/json"})
    if response.status_code == BY_PATH[path].status:
        BY_PATH[path].answer.model_validate(response.json())
    else:
        error = ErrorAnswer.model_validate(response.json()).error
        assert CODES[error.code] == response.status_code < 500


@pytest.mark.parametrize("path", VALID)
@MODEST
@given(seed=st.integers(0, 2**32), put=json_values)
def test_mutated_bodies_are_answered(served, path, seed, put):
    check(served, path, json.dumps(mutated(VALID[path], random.Random(seed), put)).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("path", VALID)
@MODEST
@given(body=json_values)
def test_any_json_is_answered(served, path, body):
    check(served, path, json.dumps(body).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("path", VALID)
@MODEST
@given(cut=st.integers(0, 200), tail=st.binary(max_size=8))
def test_truncated_bodies_are_answered(served, path, cut, tail):
    check(served, path, json.dumps(VALID[path]).encode()[:cut] + tail)
