"""The OpenAPI document: complete, true, and its examples work."""

import pytest
from fake_service import client_of, fake_parts
from log_records import response

from router_model.serving.api import answer_models as answers
from router_model.serving.app import ENDPOINTS
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.session_keys import response_key

DOCUMENTED = {f"{one.method} {one.path.replace(':path', '')}": one for one in ENDPOINTS}


def url_of(endpoint, **values):
    model = "text-embedding-3-small" if "mbed" in endpoint.path else "auto"
    return endpoint.path.replace(":path", "").format(**{"model": model, "model_id": "small"} | values)


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def test_every_endpoint_is_in_the_document(document):
    served = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert served == set(DOCUMENTED)
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert "422" not in operation["responses"]


def test_every_reference_resolves(document):
    text = str(document)
    names = set(document["components"]["schemas"])
    referred = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= names


@pytest.mark.parametrize("name", [name for name, one in DOCUMENTED.items() if one.request is not None])
def test_every_example_works(router, document, name):
    endpoint = DOCUMENTED[name]
    example = document["components"]["schemas"][endpoint.request.__name__]["example"]
    with client_of(fake_parts(router)) as client:
        answer = client.request(endpoint.method, url_of(endpoint), json=example)
    assert answer.status_code == endpoint.status
    assert set(endpoint.headers) <= set(answer.headers)
    if endpoint.answer is None:
        assert answer.headers["content-type"].partition(";")[0] == endpoint.media
    else:
        endpoint.answer.model_validate(answer.json())


@pytest.mark.parametrize("name", [name for name, one in DOCUMENTED.items() if one.request is None])
def test_every_answer_without_a_body_is_as_documented(router, name):
    endpoint = DOCUMENTED[name]
    parts = fake_parts(router)
    parts.proxy.stored.settings = Settings(artifact="x", store_responses=True)
    parts.log.put(response(response_key("insecure", "resp_1")))
    with client_of(parts) as client:
        made = client.post("/v1/route", json={"messages": [{"role": "user", "content": "Hi"}]}).json()["id"]
        answered = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]}).json()
        url = url_of(endpoint, decision_id=made, response_id="resp_1")
        answer = client.request(endpoint.method, url, params={"id": answered["id"]})
    assert answer.status_code == endpoint.status
    if endpoint.answer is not None:
        endpoint.answer.model_validate(answer.json())


@pytest.mark.parametrize("name", [name for name in dir(answers) if name.endswith("Answer")])
def test_every_answer_has_an_example_that_is_valid(name):
    model = getattr(answers, name)
    if model.model_config.get("json_schema_extra"):
        model.model_validate(model.model_config["json_schema_extra"]["example"])


def test_the_documentation_is_served(client):
    assert "swagger" in client.get("/docs").text
