from datetime import UTC, datetime, timedelta

import pytest
from guarded_app import guarded_app, settings_of
from route_audit import open_operations
from starlette.testclient import TestClient

from router_model.serving.access.authentication import RESPONSE_HEADERS, Access, credential_of
from router_model.serving.access.issuing import revoke_key, rotate_key
from router_model.serving.access.limits import Limits
from router_model.serving.common.callers import INSECURE, Caller, Role
from router_model.serving.common.service_errors import (
    ForbiddenError,
    RateLimitedError,
    SettingsError,
    UnauthenticatedError,
)


def scope(text=None, **more):
    headers = [(b"host", b"testserver")]
    if text is not None:
        headers.append((b"authorization", b"Bearer " + text.encode()))
    return {"type": "http", "headers": headers} | more


def limited(folder, **limits):
    return Access(folder.load(), Limits(clock_ns=folder.clock.ns, **limits))


def test_a_key_with_the_role_is_let_through_as_its_caller(folder):
    key, text = folder.create(Role.DECIDE, Role.FEEDBACK)
    assert Access(folder.load()).authenticate(scope(text), Role.DECIDE) == Caller(key.id, key.roles)


def test_no_role_includes_another(folder):
    texts = {role: folder.create(role)[1] for role in Role}
    access = Access(folder.load())
    for role, text in texts.items():
        for needed in Role:
            if role is needed:
                assert access.authenticate(scope(text), needed).roles == {role}
            else:
                with pytest.raises(ForbiddenError, match=f"has the roles: {role}; this needs: {needed}"):
                    access.authenticate(scope(text), needed)


def test_one_of_several_roles_is_enough(folder):
    _, text = folder.create(Role.PROXY)
    access = Access(folder.load())
    assert access.authenticate(scope(text), Role.DECIDE, Role.PROXY).roles == {Role.PROXY}
    with pytest.raises(ForbiddenError, match="has the roles: proxy; this needs: decide or admin; use"):
        access.authenticate(scope(text), Role.DECIDE, Role.ADMIN)


def test_without_keys_everybody_is_insecure():
    assert Access(None).authenticate(scope(), Role.ADMIN) is INSECURE


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([], "the request has no key; send 'Authorization: Bearer"),
        ([(b"authorization", b"")], "not of the form Bearer"),
        ([(b"authorization", b"Bearer")], "has no key"),
        ([(b"authorization", b"Bearer   ")], "has no key"),
        ([(b"authorization", b"Basic cm06cm0=")], "not of the form Bearer"),
        ([(b"authorization", b"rm_abc")], "not of the form Bearer"),
        ([(b"x-api-key", b"")], "has no key"),
        ([(b"authorization", b"Bearer a"), (b"x-api-key", b"b")], "two different keys"),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], "two different keys"),
        ([(b"x-api-key", b"a"), (b"x-api-key", b"b")], "two different keys"),
        ([(b"x-api-key", b""), (b"authorization", b"Bearer b")], "two different keys"),
        ([(b"x-goog-api-key", b"")], "has no key"),
        ([(b"x-goog-api-key", b"a"), (b"authorization", b"Bearer b")], "two different keys"),
        ([(b"x-goog-api-key", b"a"), (b"x-api-key", b"b")], "two different keys"),
        ([(b"cookie", b"key=a"), (b"x-forwarded-authorization", b"Bearer a")], "has no key"),
    ],
)
def test_headers_without_one_credential_are_refused(headers, message):
    with pytest.raises(UnauthenticatedError, match=message) as caught:
        credential_of(headers)
    assert caught.value.headers == {"www-authenticate": "Bearer"}


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer rm_a")],
        [(b"authorization", b"bearer rm_a")],
        [(b"authorization", b"BEARER   rm_a ")],
        [(b"x-api-key", b"rm_a")],
        [(b"x-api-key", b"rm_a"), (b"authorization", b"Bearer rm_a")],
        [(b"x-goog-api-key", b"rm_a")],
        [(b"x-goog-api-key", b"rm_a"), (b"x-api-key", b"rm_a"), (b"authorization", b"Bearer rm_a")],
    ],
)
def test_headers_with_one_credential_are_read(headers):
    assert credential_of(headers) == b"rm_a"


def test_a_foreign_key_is_refused_without_being_shown(folder):
    folder.create()
    with pytest.raises(UnauthenticatedError, match="not one of this service's") as caught:
        Access(folder.load()).authenticate(scope("sk-proj-canary"), Role.DECIDE)
    assert "canary" not in str(caught.value)


def test_a_revoked_key_is_told_so(folder):
    key, text = folder.create()
    revoke_key(folder.path, key.id)
    with pytest.raises(UnauthenticatedError, match=f"key {key.id} was revoked at 20"):
        Access(folder.load()).authenticate(scope(text), Role.DECIDE)


def test_a_key_ends_at_its_time(folder):
    now = datetime.now(UTC)
    key, text = folder.create(expires=now - timedelta(seconds=1))
    lasting, other = folder.create(expires=now + timedelta(hours=1))
    access = Access(folder.load())
    with pytest.raises(UnauthenticatedError, match=f"key {key.id} expired at 20.* UTC; ask for a new one"):
        access.authenticate(scope(text), Role.DECIDE)
    assert access.authenticate(scope(other), Role.DECIDE).key_id == lasting.id
    assert (access.caller(key.id), access.caller(lasting.id).key_id) == (None, lasting.id)  # sessions of the console


def test_both_texts_of_a_rotated_key_are_valid_for_a_while(folder):
    """The same caller by each; after the second rotation the first text is unknown, and the second one expires."""
    key, first = folder.create(requests_per_minute=60)
    rotated, second = rotate_key(folder.path, key.id, overlap=timedelta(days=1))
    access = Access(folder.load())
    assert first != second
    assert [access.authenticate(scope(text), Role.DECIDE).key_id for text in (first, second)] == [key.id] * 2
    assert (rotated.id, rotated.roles, rotated.requests_per_minute) == (key.id, key.roles, 60)
    _, third = rotate_key(folder.path, second, overlap=timedelta(0))
    access = Access(folder.load())
    with pytest.raises(UnauthenticatedError, match="is not one of this service's"):
        access.authenticate(scope(first), Role.DECIDE)
    with pytest.raises(UnauthenticatedError, match=f"key {key.id} was rotated, .* ask for the new text"):
        access.authenticate(scope(second), Role.DECIDE)
    assert access.authenticate(scope(third), Role.DECIDE).key_id == key.id
    revoke_key(folder.path, key.id)
    with pytest.raises(SettingsError, match=f"key {key.id} was revoked at .*'router-model keys create'"):
        rotate_key(folder.path, key.id, overlap=timedelta(days=1))


def test_a_revocation_reaches_running_requests(folder):
    key, text = folder.create()
    access = limited(folder)
    access.authenticate(scope(text), Role.DECIDE)
    revoke_key(folder.path, key.id)
    folder.clock.s += 1
    with pytest.raises(UnauthenticatedError, match="was revoked"):
        access.authenticate(scope(text), Role.DECIDE)


def test_requests_a_minute_are_limited_with_openais_headers(folder):
    """2 a minute: the third is 30 s too early, and all are back after 60 s."""
    key, text = folder.create(requests_per_minute=2)
    access = limited(folder)
    for remaining in (1, 0):
        answered = []
        access.authenticate(scope(text, **{RESPONSE_HEADERS: answered}), Role.DECIDE)
        assert (b"x-ratelimit-remaining-requests", str(remaining).encode()) in answered
    with pytest.raises(
        RateLimitedError, match=f"key {key.id} has used up its 2 requests a minute; try .* in 30 s"
    ) as e:
        access.authenticate(scope(text), Role.DECIDE)
    assert e.value.headers == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
        "retry-after": "30",
    }
    folder.clock.s += 30
    access.authenticate(scope(text), Role.DECIDE)


def test_a_request_that_lacks_the_role_is_not_counted(folder):
    _, text = folder.create(requests_per_minute=1)
    access = limited(folder)
    for _ in range(3):
        with pytest.raises(ForbiddenError, match="this needs: admin"):
            access.authenticate(scope(text), Role.ADMIN)
    access.authenticate(scope(text), Role.DECIDE)


def test_feedback_is_capped_and_decisions_are_not(folder):
    _, text = folder.create(Role.DECIDE, Role.FEEDBACK, feedback_per_day=2)
    access = limited(folder)
    for _ in range(2):
        access.authenticate(scope(text), Role.FEEDBACK)
        access.authenticate(scope(text), Role.DECIDE)
    with pytest.raises(RateLimitedError, match="has used up its 2 feedback a day"):
        access.authenticate(scope(text), Role.FEEDBACK)
    access.authenticate(scope(text), Role.DECIDE)


def test_feedback_of_a_form_counts_as_any_other(folder):
    _, text = folder.create(Role.DECIDE, Role.FEEDBACK, feedback_per_day=2)
    access = limited(folder)
    caller = access.authenticate(scope(text), Role.FEEDBACK)
    access.count_feedback(caller)
    with pytest.raises(RateLimitedError, match="has used up its 2 feedback a day"):
        access.count_feedback(caller)


def test_settings_give_the_limits(folder):
    _, text = folder.create(Role.FEEDBACK)
    settings = settings_of(requests_per_minute=10, feedback_per_day=1, workers=2)
    access, answered = Access.of(settings, folder.load()), []
    access.authenticate(scope(text, **{RESPONSE_HEADERS: answered}), Role.FEEDBACK)
    assert (b"x-ratelimit-limit-requests", b"5") in answered
    with pytest.raises(RateLimitedError, match="1 feedback a day"):
        access.authenticate(scope(text), Role.FEEDBACK)


def test_counts_of_keys_that_are_gone_are_forgotten(folder):
    _, text = folder.create(requests_per_minute=1)
    access = limited(folder)
    access.authenticate(scope(text), Role.DECIDE)
    folder.path.unlink()
    _, other = folder.create(requests_per_minute=1)
    folder.clock.s += 1
    access.authenticate(scope(other), Role.DECIDE)
    assert len(access._limits._requests) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/admin/reload",
        "//admin/reload",
        "/admin//reload",
        "/admin/reload/",
        "/ADMIN/reload",
        "/%61dmin/reload",
        "/%2561dmin/reload",
        "/v1/route/../../admin/reload",
        "/v1/route/..;/admin/reload",
        "/v1/route/%2e%2e/%2e%2e/admin/reload",
        "/v1/route%2f..%2f..%2fadmin%2freload",
        "/admin%2freload",
        "/admin;/reload",
        "/.;/admin/reload",
        "/admin/reload%20",
        "/admin/reload%23",
        "/admin/reload?/healthz",
        "/healthz/..%5c..%5cadmin/reload",
        "/healthz/admin/reload",
    ],
)
def test_no_spelling_of_a_path_leads_around_the_routes_role(folder, path):
    """Either it is the admin route and refuses a key without that role, or it is no route; nothing redirects."""
    _, text = folder.create(Role.DECIDE)
    client = TestClient(guarded_app(Access(folder.load())), follow_redirects=False)
    answers = [client.post(path), client.post(path, headers={"x-api-key": text}), client.get(path)]
    assert {answer.status_code for answer in answers} <= {401, 403, 404, 405}
    assert not any("location" in answer.headers for answer in answers)
    assert not any("x-caller" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-original-url": "/healthz", "x-rewrite-url": "/healthz"},
        {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "forwarded": "for=127.0.0.1;host=localhost"},
        {"x-forwarded-host": "localhost", "x-forwarded-proto": "https", "x-forwarded-prefix": "/healthz"},
        {"x-forwarded-user": "admin", "remote-user": "admin", "x-api_key": "admin"},
        {"x-http-method-override": "GET"},
    ],
)
def test_what_proxies_say_opens_nothing(folder, headers):
    folder.create()
    client = TestClient(guarded_app(Access(folder.load())))
    assert client.post("/admin/reload", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1/healthz?", "testserver/healthz#", "healthz", "testserver@evil.org"])
def test_what_the_host_says_opens_nothing(folder, host):
    """The host is in no decision: with an app that answers every host, the role decides (CVE-2026-48710)."""
    folder.create()
    client = TestClient(guarded_app(Access(folder.load()), settings_of(trusted_hosts=("*",))))
    assert client.post("/admin/reload", headers={"host": host}).status_code in {400, 401}


def test_every_route_asks_for_a_key_but_those_for_everybody(folder):
    folder.create()
    app = guarded_app(Access(folder.load()))
    assert open_operations(app, TestClient(app)) == {
        "GET /healthz",
        "GET /docs",
        "GET /docs/oauth2-redirect",
        "GET /openapi.json",
        "GET /redoc",
    }
