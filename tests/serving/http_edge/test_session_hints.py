import json

import pytest
from starlette.datastructures import Headers

from router_model.serving.http_edge.bodies import validated
from router_model.serving.http_edge.queries import hinted_session, read_query_for
from router_model.serving.http_edge.requests import Envelope

UUID = "0b5e8a50-47aa-4c02-9d5e-1f0f5c2d7a11"
MESSAGES = [{"role": "user", "content": "hi"}]
ALL = {
    "x-claude-code-session-id": "claude",
    "x-claude-code-agent-id": "sub",
    "session-id": "codex",
    "x-session-affinity": "affine",
}
BODY = {"prompt_cache_key": f"key-{UUID}", "metadata": {"user_id": json.dumps({"session_id": "json"})}}


def named(headers, body):
    body = {"messages": MESSAGES, **body}
    asked = validated(Envelope, body)
    return read_query_for(asked, body, Headers(headers), known=(), key_id="k", surface="route").session_id


def test_the_order_of_hints_is_as_documented():
    """Each hint counts once those before it are gone."""
    headers, body = dict(ALL), {**BODY, "router": {"session_id": "r"}, "session_id": "b"}
    headers["x-session-id"] = "h"
    seen = [named(headers, body)]
    for name in ("router", "session_id"):
        del body[name]
        seen.append(named(headers, body))
    for name in ("x-session-id", "x-claude-code-agent-id", "x-claude-code-session-id"):
        del headers[name]
        seen.append(named(headers, body))
    del body["prompt_cache_key"]
    seen.append(named(headers, body))
    for name in ("session-id", "x-session-affinity"):
        del headers[name]
        seen.append(named(headers, body))
    del body["metadata"]
    seen.append(named(headers, body))
    assert seen == ["r", "b", "h", "claude/sub", "claude", f"key-{UUID}", "codex", "affine", "json", None]


@pytest.mark.parametrize(
    ("body", "session"),
    [
        ({"metadata": {"user_id": f"user_ab12_account__session_{UUID}"}}, UUID),
        ({"prompt_cache_key": "ses_5f3a2b1cffeXYZabc0Qk12"}, "ses_5f3a2b1cffeXYZabc0Qk12"),
        ({"prompt_cache_key": "support-bot-v2"}, None),
        ({"prompt_cache_key": 7, "metadata": ["user_id"]}, None),
        ({"metadata": {"user_id": "{no json"}}, None),
        ({"metadata": {"user_id": "[1]"}}, None),
        ({"metadata": {"user_id": json.dumps({"session_id": 1})}}, None),
        ({"metadata": {"user_id": '{"session_id"' * 2000}}, None),
    ],
)
def test_what_cannot_be_read_is_no_hint(body, session):
    assert hinted_session({}, body) == session


@pytest.mark.parametrize("hint", ["x" * 65, "two words", "\udc00 half a pair", "caf\u00e9"])
def test_long_and_unusual_hints_are_hashed(hint):
    session = hinted_session({"session-id": hint}, {})
    assert len(session) == 32
    assert session == hinted_session({"x-session-affinity": hint}, {}) != hinted_session({"session-id": hint + "1"}, {})
