"""What the pages show, to whom, and that what callers wrote is shown as text."""

import html
import re

import pytest
from console_forms import form_token
from processes import eventually


def test_now_counts_what_was_asked(console, visitor):
    """Three chats, two decisions of other keys, and two calls of a named model, whose first provider is down."""
    page = _now(visitor(console.system.key), "5m", n_decisions=5)
    tiles = dict(re.findall(r'<dt>([^<]+)</dt><dd>\s*<span class="value[^"]*">([^<]+)</span>', page))
    assert tiles["Decisions"] == "5"
    n_failed = sum(call["error_type"] is not None for call in console.system.rows("attempts"))
    assert int(tiles["Failed calls"]) == n_failed > 0
    assert tiles["Success, as judged"] == "100\N{NO-BREAK SPACE}%"
    assert "and 2 calls of a named model" in page
    assert "down" in page
    assert re.search(r"<td>connection, 20\d\d-", page)  # the last failure
    for period in ("1h", "24h", "7d", "30d", "nonsense"):
        _now(visitor(console.system.key), period, n_decisions=5)


def _now(client, period: str, *, n_decisions: int) -> str:
    """Return the page *Now*, which lags behind by some seconds, once it shows so many decisions."""
    pages = []

    def counts_them() -> bool:
        pages.append(client.get(f"/console?period={period}").text)
        return f">{n_decisions}</span>" in pages[-1]

    eventually(counts_them, f"{n_decisions} decisions are shown for {period}")
    return pages[-1]


def test_key_sees_its_own_alone(console, visitor):
    own = visitor(console.own)
    assert "team &lt;b&gt;" in own.get("/console").text
    _now(own, "5m", n_decisions=1)
    assert "Breakers" not in own.get("/console").text
    listed = own.get("/console/decisions").text
    assert re.findall(r"/console/decisions/(dec_\w+)", listed) == [console.ids["own"]]
    forged = own.get("/console/decisions?key=").text
    assert re.findall(r"/console/decisions/(dec_\w+)", forged) == [console.ids["own"]]
    assert own.get(f"/console/decisions/{console.ids['own']}").status_code == 200
    others = own.get(f"/console/decisions/{console.ids['plain']}")
    unknown = own.get("/console/decisions/dec_0")
    assert (others.status_code, unknown.status_code) == (404, 404)
    assert _without_tokens(others.text, console.ids["plain"]) == _without_tokens(unknown.text, "dec_0")
    spend = own.get("/console/spend").text
    assert "$5 a month" in spend
    assert "tests-" not in spend


def _without_tokens(page: str, decision_id: str) -> str:
    return re.sub(r'"\w{64}"', "", page).replace(decision_id, "")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("text=capital", {"plain"}),
        ("text=%3Cscript%3E", {"attack"}),
        ("text=CAPITAL+of", {"plain"}),
        ("text=100%25", set()),
        ("status=judged", {"plain"}),
        ("status=uncalled", {"own", "decided"}),
        ("status=failed", set()),
        ("model=nothing", set()),
        ("since=2100-01-01T00:00", set()),
        ("until=2100-01-01T00:00", {"attack", "plain", "other", "own", "decided"}),
        ("session=none", set()),
    ],
)
def test_filters(console, visitor, query, wanted):
    page = visitor(console.system.key).get(f"/console/decisions?{query}").text
    assert set(re.findall(r"/console/decisions/(dec_\w+)", page)) == {console.ids[name] for name in wanted}
    assert ("No decision fits" in page) == (not wanted)


@pytest.mark.parametrize("query", ["since=yesterday", "since=0001-01-01T00:00%2B14:00", "status=odd", "after=x~dec_0"])
def test_filter_that_cannot_be_is_refused(console, visitor, query):
    answer = visitor(console.system.key).get(f"/console/decisions?{query}")
    assert answer.status_code == 400
    assert "expected" in answer.text


def test_id_leads_to_its_decision(console, visitor):
    client = visitor(console.system.key)
    asked = client.get(f"/console/decisions?id={console.ids['plain']}")
    assert asked.headers["location"] == f"/console/decisions/{console.ids['plain']}"
    assert client.get("/console/decisions?id=..%2F..%2Fv1").headers["location"] == "/console/decisions/unknown"


def test_feedback_is_given_on_the_page_and_needs_its_token(console, visitor):
    client, path = visitor(console.own), f"/console/decisions/{console.ids['own']}"
    sent = {"thumb": "down", "comment": "<i>wrong</i>", "csrf": form_token(client.get(path))}
    assert client.post(f"{path}/feedback", data=sent | {"csrf": "x"}).status_code == 403
    assert client.post(f"{path}/feedback", data=sent | {"score": "2"}).status_code == 400
    assert client.post(f"{path}/feedback", data=sent | {"score": "nan"}).status_code == 400
    unsaid = client.post(f"{path}/feedback", data=sent | {"thumb": ""})
    assert (unsaid.status_code, "no judgement was given" in unsaid.text) == (400, True)
    assert " checked" not in client.get(path).text  # a form that is sent as it is judges nothing
    answer = client.post(f"{path}/feedback", data=sent)
    assert answer.headers["location"] == f"{path}?given=1"
    eventually(lambda: "&lt;i&gt;wrong&lt;/i&gt;" in client.get(path).text, "the page shows the judgement")
    other = f"/console/decisions/{console.ids['plain']}/feedback"
    assert client.post(other, data=sent).status_code == 404


def test_key_that_may_not_judge_over_http_may_not_judge_here_either(console, visitor):
    client, path = visitor(console.decides), f"/console/decisions/{console.ids['decided']}"
    page = client.get(path)
    answer = client.post(f"{path}/feedback", data={"thumb": "up", "csrf": form_token(page)})
    assert page.status_code == 200
    assert answer.status_code == 403
    assert "it needs the role: feedback" in answer.text


def test_decision_shows_its_plan_calls_and_prompt_as_text(console, visitor):
    page = visitor(console.system.key).get(f"/console/decisions/{console.ids['attack']}").text
    assert "<script>document" not in page
    assert "<img" not in page
    assert html.escape("<script>document.title=") in page
    for model in ("small", "coder", "large"):
        assert re.search(rf"\d\. {model}\b", page)
    assert 'class="tag">chosen' in page
    assert "echo" in page


def test_neighbours_are_logged_prompts_with_what_came_of_them(console, visitor):
    path = "/console/decisions/{}/neighbours"
    page = visitor(console.system.key).get(path.format(console.ids["plain"])).text
    assert len(re.findall(r"of 3 succeeded", page)) == 5
    assert re.search(r'<td class="n">[01]\.\d\d</td>', page)
    assert "The router that decided is not here" not in page
    assert visitor(console.own).get(path.format(console.ids["plain"])).status_code == 404  # another key's


def test_spend_says_what_is_unknown(console, visitor):
    page = visitor(console.system.key).get("/console/spend?days=1").text
    assert "By model" in page
    assert "team &lt;b&gt;" in page


def test_attack_is_shown_as_text_in_a_browser(open_page, console):
    with open_page() as page:
        page.goto(f"{console.url}/decisions?text=onerror")
        page.get_by_role("link", name=re.compile(r"^20\d\d-")).click()
        page.get_by_text("<script>document.title='taken'</script>").wait_for()
        assert page.title().startswith("Decision of")
        page.get_by_label("no", exact=True).check()
        page.get_by_label("Comment").fill("<b>bold</b>")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Your judgement was taken").wait_for()


@pytest.mark.slow
def test_keyboard_alone_reaches_the_content(open_page, console):
    with open_page() as page:
        page.goto(f"{console.url}/decisions")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "text"
