"""What other gateways got wrong, and where a test keeps it from happening here.

==============================================  =======================================================================
Lesson                                          Test
==============================================  =======================================================================
Cached tokens counted twice                     `test_cached_tokens_are_paid_for_once`; `test_upstream_faults` (the log)
A client that leaves does not cancel the call   `test_leaving`; `test_sdk_conformance` (closing a stream)
Unclosed streams exhaust the pool, memory grows `test_leaving` (abandoned streams leave nothing)
A stream that was cut is reported as success    `test_upstream_faults` (a stream that breaks says so); `test_llmock`
Fallback on every error, 400 included           `test_upstream_faults` (the caller's errors: one attempt)
Silent fallback to a dearer model               `test_who_answered_is_said`, `test_no_fallback_to_what_is_too_dear`
Database writes on the hot path                 `test_a_locked_log_delays_nobody`
Shutdown cuts streams                           `test_leaving` (SIGTERM drains streams)
Budgets raced by concurrent requests            `tests/serving/access`
``BaseHTTPMiddleware`` hides disconnects        `test_no_part_of_the_service_uses_what_is_dangerous`; `test_leaving`
Authorising on ``request.url``                  `tests/serving/access/test_authentication`, `test_hosts`
SQL injection in the key check                  `test_what_is_no_key_opens_nothing`
An endpoint that starts processes, pickles      `test_no_part_of_the_service_uses_what_is_dangerous`
Upstream URL or key taken from the request      `test_requests_choose_neither_address_nor_key`
Keys in logs and error messages                 `test_no_key_comes_out_of_the_proxy`; `test_secrets`
Log poisoning through feedback                  `tests/serving/api/test_reports`, `tests/serving/access`
==============================================  =======================================================================

A compromised release of a dependency is not for a test: dependencies are few, and bounded in ``pyproject.toml``.
"""

import ast
import contextlib
import sqlite3
from pathlib import Path

import httpx2
import pytest
from proxied import KEYS, KINDS, TRAINED
from proxy_calls import PROMPT, body_of

from router_model import serving

ASK = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 100}
CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key")


def chat(proxy, model, **more):
    return proxy.call("POST", "/v1/chat/completions", ASK | {"model": model} | more)


@pytest.mark.parametrize(("kind", "usd"), [("openai", 6.4e-6), ("anthropic", 32e-6), ("gemini", 320e-6)])
def test_cached_tokens_are_paid_for_once(proxy, kind, usd):
    """31 tokens were read, 4 of them from a cache, and 11 written; at 0.1 and 0.3 USD a million: 3.1 + 3.3 millionths.

    The other models cost 5 and 50 times as much. Anthropic says that 27 were read, the others 31.
    """
    answer = chat(proxy, TRAINED[kind]).json()
    assert answer["usage"]["prompt_tokens"] == 31
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert answer["usage"]["cost"] == pytest.approx(usd)


def test_who_answered_is_said(proxy):
    """The first model's provider fails: the answer has the second's name, and its price, 320 millionths."""
    answer = chat(proxy, "openai.alone.status_500.lesson", models=["large"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == answer.headers["x-router-model"] == "large"
    assert answer.headers["x-router-provider"] == "gemini-healthy"
    assert int(answer.headers["x-router-attempts"]) == 3
    assert answer.json()["usage"]["cost"] == pytest.approx(320e-6)


@pytest.mark.parametrize(
    ("provider", "status"), [({"max_price": {"prompt": 1}}, 404), ({"ignore": ["gemini-healthy"]}, 502)]
)
def test_no_fallback_to_what_is_too_dear(proxy, upstream, provider, status):
    """`large` costs 5 USD a million, the other an unknown price: who allows 1 gets an error, not the bill."""
    before = len(upstream.of("their-large"))
    answer = chat(proxy, "openai.alone.status_500.dear", models=["large"], provider=provider)
    assert answer.status_code == status, answer.text
    assert len(upstream.of("their-large")) == before


def test_a_locked_log_delays_nobody(proxy):
    """While somebody else holds the log's database, calls are answered; their records are written afterwards."""
    path = proxy.log.partition("///")[2]
    with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        answers = [chat(proxy, "openai/locked") for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert not proxy.rows("attempts", model="openai/locked")
        database.execute("ROLLBACK")


@pytest.mark.parametrize(
    "key", ["' OR 1=1 --", "rm_x'; DROP TABLE keys; --", 'rm_" OR ""="', "null", "sk-scripted-0123456789"]
)
@pytest.mark.parametrize("header", CREDENTIALS)
def test_what_is_no_key_opens_nothing(proxy, key, header):
    value = f"Bearer {key}" if header == "authorization" else key
    url, body = f"{proxy.url}/v1/chat/completions", ASK | {"model": "openai/m"}
    answer = httpx2.post(url, json=body, headers={header: value}, trust_env=False)
    assert answer.status_code == 401


@pytest.mark.parametrize("surface", ["chat", "messages", "generate"])
@pytest.mark.parametrize("kind", KINDS)
def test_requests_choose_neither_address_nor_key(proxy, upstream, surface, kind):
    """Whatever the body and the headers name: the configured address and key are used, and ours never leaves."""
    path, body = body_of(surface, f"{kind}/chosen-{surface}", stream=False)
    elsewhere = "http://127.0.0.1:9/v1"
    if surface == "chat" and kind == "openai":  # where nothing is translated, unknown fields pass
        body |= {
            "base_url": elsewhere,
            "api_base": elsewhere,
            "api_key": "sk-of-the-caller",
            "extra_headers": {"x": "y"},
        }
    headers = {
        "x_upstream_url": elsewhere,
        "x_forwarded_host": "127.0.0.1:9",
        "openai_base_url": elsewhere,
        "x_portkey_custom_host": elsewhere,
        "forwarded": "host=127.0.0.1:9",
    }
    answer = proxy.call("POST", path, body, **headers)
    assert answer.status_code == 200, answer.text
    (received,) = upstream.of(f"chosen-{surface}")[-1:]
    sent = [received.headers[name] for name in CREDENTIALS if name in received.headers]
    assert [text.removeprefix("Bearer ") for text in sent] == [KEYS["SCRIPTED_KEY"]]
    assert proxy.key not in str(received.headers) + str(received.body)
    assert elsewhere not in str(received.headers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_no_key_comes_out_of_the_proxy(proxy, kind, stream):
    """A provider that repeats the key it refuses: neither the caller nor any log sees it."""
    answer = chat(proxy, f"keyed-{kind}/canary-{stream}", stream=stream)
    assert answer.status_code in (502, 503)
    for secret in (KEYS["SCRIPTED_KEY"], proxy.key):
        assert secret not in answer.text + str(answer.headers) + proxy.output
        files = [path for path in proxy.folder.rglob("*") if path.is_file()]
        assert not [path.name for path in files if secret.encode() in path.read_bytes()]


def test_no_part_of_the_service_uses_what_is_dangerous():
    """Imports of what hides disconnects, starts processes or loads code, anywhere in ``serving``."""
    found = set()
    for path in Path(serving.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in (*names, *module):
                if {"pickle", "subprocess", "shelve", "marshal", "BaseHTTPMiddleware"} & set(name.split(".")):
                    found.add((path.name, name.split(".")[-1]))
    # Our own Python, with fixed words or on what the settings name: nothing of a request reaches it.
    assert found == {("trial.py", "subprocess"), ("rendering.py", "subprocess")}
