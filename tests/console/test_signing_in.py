"""Who may see the console, and what a form needs to be taken."""

import httpx2
import pytest
from console_forms import form_token

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.console.cookies import LIFETIME_S, EndedSessions, Sessions
from router_model.serving.console.rendering import POLICY


def test_session_is_sealed_and_ends():
    now = [1000.0]
    sessions = Sessions(b"secret", clock=lambda: now[0])
    session = sessions.begin("k7f3q9xw2m4t")
    header = sessions.cookie(session, is_secure=True)
    assert header.startswith("__Host-router-console=k7f3q9xw2m4t.29800.")
    assert header.endswith("; Max-Age=28800; Path=/; HttpOnly; SameSite=Strict; Secure")
    name, value = header.split(";")[0].split("=")
    assert sessions.read({name: value}) == session
    assert sessions.read({name: value.replace("k7f3q9xw2m4t", "aaaaaaaaaaaa")}) is None  # another key
    assert sessions.read({name: value.replace(".29800.", ".99999.")}) is None  # a longer life
    assert Sessions(b"other", clock=lambda: now[0]).read({name: value}) is None
    assert sessions.read({}) is None
    assert sessions.has_token(session, sessions.token(session))
    assert not sessions.has_token(sessions.begin("k7f3q9xw2m4t"), sessions.token(session))
    now[0] += LIFETIME_S
    assert sessions.read({name: value}) is None


def test_ended_session_is_refused_by_every_worker_though_its_cookie_was_kept(tmp_path):
    now = [1000.0]
    one, other = (
        Sessions(b"secret", EndedSessions(tmp_path / "ended"), clock=lambda: now[0]) for _ in ("a worker", "another")
    )
    session, kept = one.begin("k7f3q9xw2m4t"), one.begin("k7f3q9xw2m4t")
    name, value = one.cookie(session, is_secure=False).split(";")[0].split("=")
    assert other.read({name: value}) == session
    one.end(session)
    assert (one.read({name: value}), other.read({name: value})) == (None, None)
    assert (tmp_path / "ended").stat().st_mode & 0o077 == 0
    now[0] += LIFETIME_S
    one.end(kept)  # those that are over anyway are forgotten
    assert len(list((tmp_path / "ended").iterdir())) == 1


def test_session_that_cannot_be_ended_everywhere_is_said(tmp_path):
    (tmp_path / "file").touch()
    sessions = Sessions(b"secret", EndedSessions(tmp_path / "file"))
    with pytest.raises(NotReadyError, match="revoke the key"):
        sessions.end(sessions.begin("k7f3q9xw2m4t"))


def test_a_folder_of_somebody_else_ends_and_deletes_nothing(tmp_path):
    """A link to a folder of the service, planted under its name, and a folder that all may write to."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "keys.toml").touch()
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("link", "open"):
        sessions = Sessions(b"secret", EndedSessions(tmp_path / name))
        session = sessions.begin("k7f3q9xw2m4t")
        with pytest.raises(NotReadyError, match="could not be ended"):
            sessions.end(session)
        cookie, value = sessions.cookie(session, is_secure=False).split(";")[0].split("=")
        with pytest.raises(NotReadyError, match="which sessions were ended cannot be read"):
            sessions.read({cookie: value})
    assert (tmp_path / "precious" / "keys.toml").exists()


def test_pages_ask_for_a_key_and_go_on_to_what_was_asked(console, visitor):
    client = visitor()
    answer = client.get("/console/spend?days=7")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fspend%3Fdays%3D7"
    form = client.get(answer.headers["location"])
    sent = {"key": console.system.key, "csrf": form_token(form), "next": "/console/spend?days=7"}
    answer = client.post("/console/sign-in", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/spend?days=7")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert console.system.key not in cookie
    over_tls = client.get("/console", headers={"x-forwarded-proto": "https", "cookie": "router-console=x"})
    assert over_tls.headers["set-cookie"].startswith("__Host-router-console=anonymous.")
    assert over_tls.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("sent", "headers", "status", "says"),
    [
        ({"key": "rm_nothing"}, {}, 401, "not one of this service"),
        ({"key": ""}, {}, 401, "not one of this service"),
        ({"key": "x", "csrf": "forged"}, {}, 403, "does not carry this session"),
        ({"key": "x"}, {"origin": "https://evil.example"}, 403, "another site"),
        ({"key": "x"}, {"sec-fetch-site": "cross-site"}, 403, "another site"),
    ],
)
def test_forms_that_are_refused(visitor, sent, headers, status, says):
    client = visitor()
    sent = {"csrf": form_token(client.get("/console/sign-in"))} | sent
    answer = client.post("/console/sign-in", data=sent, headers=headers)
    assert answer.status_code == status
    assert says in answer.text


def test_long_forms_of_strangers_are_not_read(visitor):
    client = visitor()
    token = form_token(client.get("/console/sign-in"))
    long = {"csrf": token, "prompt": "x" * 100_000, "key": "x"}
    assert client.post("/console/sign-in", data=long).status_code == 413
    answer = client.post("/console/playground", data=long)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?next=%2Fconsole")


def test_form_that_is_none_and_one_without_a_token_are_refused(console, visitor):
    client = visitor(console.system.key)
    assert client.post("/console/sign-out", json={}).status_code == 400
    assert client.post("/console/sign-out").status_code == 400
    assert client.post("/console/sign-out", data={"a": "b"}).status_code == 403
    assert client.get("/console").status_code == 200


def test_signing_out_ends_the_session_even_with_its_old_cookie(console, visitor):
    client = visitor(console.system.key)
    old = dict(client.cookies)
    assert client.post("/console/sign-out", data={"csrf": form_token(client.get("/console"))}).status_code == 303
    answer = httpx2.get(f"{console.url}", cookies=old, trust_env=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in")


def test_next_page_is_one_of_ours(console, visitor):
    client = visitor()
    for target in ("https://evil.example", "//evil.example", "/console/../v1/models", "/v1/models"):
        sent = {"key": console.system.key, "csrf": form_token(client.get("/console/sign-in")), "next": target}
        answer = client.post("/console/sign-in", data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        client.cookies.clear()


def test_every_answer_has_the_policy_and_is_not_kept(console, visitor):
    client = visitor(console.system.key)
    for path, status in (("/console", 200), ("/console/nothing", 404), ("/console/static/none.js", 404)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/console").headers["cache-control"] == "no-store"


def test_pages_count_as_requests_of_the_key(console, visitor):
    client = visitor(console.few)
    found = [client.get("/console/catalog").status_code for _ in range(4)]
    assert found == [200, 200, 200, 429]
    assert "has used up its 3 requests a minute" in client.get("/console").text
    assert client.get("/console/sign-in").status_code == 303  # signing in and out does not count


@pytest.mark.slow
def test_signing_in_and_out_in_a_browser(open_page, console):
    with open_page() as page:
        assert page.title() == "Now · Router console"
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(console.url)
        assert "/sign-in" in page.url
        page.keyboard.press("Tab")
