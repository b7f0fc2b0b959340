import logging
import re
from pathlib import Path

import pytest
from fake_service import client_of, fake_parts
from fastapi.routing import APIRouter

from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import ServiceError
from router_model.serving.http_edge.error_answers import ErrorAnswer

BODY = {"messages": [{"role": "user", "content": "hi"}]}


def classes(base=ServiceError):
    found = base.__subclasses__()
    return found + [deeper for one in found for deeper in classes(one)]


def test_every_error_class_is_documented():
    """The table in docs/api.md is the classes: status, type and code of each, and no others."""
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\d{3}) \| `(\w+)` \| `(\w+)` \|", text, flags=re.MULTILINE)
    assert sorted(table) == sorted((str(one.status), one.type, one.code) for one in classes())


def test_unknown_paths_and_methods_are_errors_in_the_same_shape(client):
    missing, wrong = client.get("/v1/nothing"), client.get("/v1/route")
    assert ErrorAnswer.model_validate(missing.json()).error.code == "not_found"
    assert ErrorAnswer.model_validate(wrong.json()).error.code == "method_not_allowed"
    assert (missing.status_code, wrong.status_code, wrong.headers["allow"]) == (404, 405, "POST")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/v1/messages", "take it off the base URL"),
        ("/v1/responses/resp_1/cancel", "answers that come later are not served"),
        ("/v1/nothing", "/openapi.json lists all"),
    ],
)
def test_a_path_that_an_sdk_misses_by_says_what_to_do(client, path, said):
    answer = client.post(path, json=BODY)
    assert answer.status_code == 404
    assert said in answer.text


def test_plain_paths_reach_their_handlers_past_the_framework(client, monkeypatch):
    """Others go through it, as they need its parameters."""
    asked = []
    app = APIRouter.app

    async def seen(self, scope, receive, send):
        asked.append(scope["path"])
        await app(self, scope, receive, send)

    monkeypatch.setattr(APIRouter, "app", seen)
    assert client.post("/v1/route", json=BODY).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.post("/v1/route", content=b"{").json()["error"]["code"] == "invalid_request"
    assert client.get("/v1/decisions/dec_1").status_code == 404
    assert client.head("/v1/route").status_code == 405
    assert set(asked) <= {"/v1/decisions/dec_1", "/v1/route"}
    assert "/healthz" not in asked


def test_no_slash_is_redirected(client):
    assert client.post("/v1/route/", json=BODY, follow_redirects=False).status_code == 404


def test_an_unexpected_error_leaks_nothing_and_is_in_the_log(router, caplog):
    parts = fake_parts(router, fails=ZeroDivisionError("the secret"))
    with client_of(parts) as client, caplog.at_level(logging.ERROR):
        response = client.post("/v1/route", json=BODY)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert "ZeroDivision" not in response.text
    assert error["metadata"]["error_id"] in error["message"]
    assert error["metadata"]["error_id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "fake_service.py" in caplog.text
    assert "the secret" not in caplog.text


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"{", "application/json", "not valid JSON"),
        (b"", "application/json", "not valid JSON"),
        (b"\xff\xfe", "application/json", "not valid JSON"),
        (b'{"a": NaN}', "application/json", "not valid JSON"),
        (b'{"a": 1e999}', "application/json", "not valid JSON"),
        (b'"text"', "application/json", "a JSON string; expected an object"),
        (b"{}", "text/plain", "content-type is 'text/plain'; expected application/json"),
        (b"{}", "application/x-www-form-urlencoded", "expected application/json"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "application/json", "nested 65 levels deep; expected at most 64"),
    ],
)
def test_bodies_that_are_no_json_object_are_refused(client, content, kind, message):
    response = client.post("/v1/route", content=content, headers={"content-type": kind})
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"router": []}, "router", "router: got a JSON array; expected an object"),
        ({"max_tokens": 0}, "max_tokens", "max_tokens=0; expected a whole number, 1 or more"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens", "expected a whole number"),
        ({"messages": 1}, "messages", "needs a list 'messages'"),
    ],
)
def test_the_wrong_field_is_named(client, change, param, message):
    error = client.post("/v1/route", json=BODY | change).json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_request")
    assert message in error["message"]


def test_texts_of_the_body_are_not_quoted_back(client):
    response = client.post("/v1/route", json={**BODY, "router": {"quality_bar": "a private text"}})
    assert response.status_code == 400
    assert "private" not in response.text


ROLES = {
    "decide": Caller("k1", frozenset({Role.DECIDE})),
    "feedback": Caller("k2", frozenset({Role.FEEDBACK})),
    "admin": Caller("k3", frozenset({Role.ADMIN})),
    "proxy": Caller("k4", frozenset({Role.PROXY})),
    "metrics": Caller("k5", frozenset({Role.METRICS})),
}
NEEDED = [
    ("POST", "/v1/route", "decide"),
    ("POST", "/v1/route/batch", "decide"),
    ("POST", "/v1/systemone", "decide"),
    ("POST", "/v1/decisions", "decide"),
    ("POST", "/v1/feedback", "feedback"),
    ("POST", "/v1/outcomes", "feedback"),
    ("GET", "/v1/models", "decide proxy"),
    ("GET", "/v1/models/small", "decide proxy"),
    ("GET", "/v1/decisions/x", "decide proxy admin"),
    ("POST", "/v1/chat/completions", "proxy"),
    ("POST", "/v1/responses", "proxy"),
    ("POST", "/v1/responses/input_tokens", "proxy"),
    ("GET", "/v1/responses/resp_1", "proxy"),
    ("DELETE", "/v1/responses/resp_1", "proxy"),
    ("GET", "/v1/responses/resp_1/input_items", "proxy"),
    ("POST", "/v1/messages", "proxy"),
    ("POST", "/v1/embeddings", "proxy"),
    ("POST", "/v1/completions", "proxy"),
    ("POST", "/v1/messages/count_tokens", "proxy"),
    *(
        ("POST", f"/v1beta/models/auto:{call}", "proxy")
        for call in ("countTokens", "embedContent", "batchEmbedContents")
    ),
    *(("GET", f"/v1/{name}", "proxy") for name in ("key", "credits", "generation", "providers")),
    ("GET", "/v1/models/count", "decide proxy"),
    ("GET", "/v1beta/models", "decide proxy"),
    ("GET", "/v1beta/models/small", "decide proxy"),
    ("POST", "/v1beta/models/auto:generateContent", "proxy"),
    ("POST", "/v1beta/models/auto:streamGenerateContent", "proxy"),
    ("POST", "/v2/modelRouter/modelSelect", "decide"),
    ("POST", "/routing/v1/chat/completions", "decide"),
    ("GET", "/metrics", "metrics admin"),
    ("POST", "/admin/reload", "admin"),
    ("GET", "/admin/status", "admin"),
    ("GET", "/healthz", ""),
    ("GET", "/readyz", ""),
]


@pytest.mark.parametrize(("method", "path", "needed"), NEEDED)
def test_every_endpoint_asks_for_its_role(router, method, path, needed):
    """Without a key 401, with a key of another role 403; the body is not read before."""
    with client_of(fake_parts(router, keys=ROLES)) as client:
        assert client.request(method, path).status_code == (401 if needed else 200)
        for role in ROLES:
            status = client.request(method, path, headers={"authorization": f"Bearer {role}"}).status_code
            assert (status == 403) == (bool(needed) and role not in needed.split())
            assert status not in (401, 500)


def test_the_table_above_has_every_endpoint(client):
    served = {
        (method.upper(), path) for path, item in client.get("/openapi.json").json()["paths"].items() for method in item
    }
    names = {"/x": "/{decision_id}", "/small": "/{model_id}", "/auto:": "/{model}:", "/resp_1": "/{response_id}"}
    asked = {(method, re.sub("|".join(names), lambda found: names[found[0]], path)) for method, path, _ in NEEDED}
    assert asked == served
