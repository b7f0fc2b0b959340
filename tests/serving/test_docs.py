"""What docs/api.md and docs/serving.md say is true."""

import asyncio
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from fake_service import client_of, fake_parts, record_of

from router_model import Reason
from router_model.serving.commands.serve import default_text
from router_model.serving.common.settings import Settings, option_name, variable
from router_model.serving.engine.decision_answers import EXPLORED, FALLBACK_DEFAULT, SESSION
from router_model.serving.engine.query import Query

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
SERVING = (DOCS / "serving.md").read_text(encoding="utf-8")


def curls():
    blocks = re.findall(r"^```sh\n(.*?)^```", API, flags=re.MULTILINE | re.DOTALL)
    return [words for block in blocks for line in block.split("\ncurl ") if (words := shlex.split(line))]


def settings_table():
    """Return the table of settings as it belongs into docs/serving.md."""
    rows = ["| option | variable | default | what |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        option = "`ARTIFACT`" if name == "artifact" else f"`{option_name(name)}`"
        default = f"`{default_text(field)}`" if default_text(field) and not field.is_required() else ""
        rows.append(f"| {option} | `{variable(name)}` | {default} | {field.description} |")
    return "\n".join(rows)


@pytest.mark.parametrize("words", curls(), ids=lambda words: next(one for one in words if "http" in one)[21:])
def test_every_curl_line_of_the_documentation_works(trained, words):
    url = next(word for word in words if word.startswith("http"))
    headers = dict(word.split(": ", 1) for before, word in pairwise(words) if before == "-H")
    body = next((word for before, word in pairwise(words) if before == "--json"), None)
    parts = fake_parts(trained.router)
    with client_of(parts) as client:
        if "/v1/decisions/" in url:
            url = f"/v1/decisions/{logged_decision(parts)}"
        kind = {} if body is None else {"content-type": "application/json"}
        method = "POST" if body is not None or "POST" in words else "GET"
        response = client.request(method, url, content=body, headers=headers | kind)
    assert response.status_code in (200, 202), response.text


def logged_decision(parts):
    query = Query(body={"messages": [{"role": "user", "content": "Hi"}]}, key_id="insecure")
    routed = asyncio.run(parts.engines.default.decide(query))
    return record_of(routed, query).decision_id


def test_the_reasons_of_the_documentation_are_those_there_are():
    table = API.partition("`reason` is one of")[2].partition("## ")[0]
    said = set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE))
    assert said == {*Reason, SESSION, EXPLORED, FALLBACK_DEFAULT}


def test_the_settings_of_the_documentation_are_those_there_are():
    """Where this fails, replace the table in docs/serving.md by what `settings_table` returns."""
    assert settings_table() in SERVING


def test_the_metrics_of_the_documentation_are_those_there_are(trained):
    with client_of(fake_parts(trained.router)) as client:
        text = client.get("/metrics").text
    served = set(re.findall(r"^# TYPE (\w+)", text, flags=re.MULTILINE))
    served = {name for name in served if not name.endswith("_created")}
    assert (
        set(re.findall(r"`(router_\w+)`", SERVING.partition("| metric |")[2].partition("`deploy/prometheus")[0]))
        == served
    )
