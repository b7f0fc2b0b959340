"""*Playground* in a real browser, before a real service: the plan follows the form, and models answer side by side."""

import json

import pytest
from console_forms import form_token
from simulated_world import POEM, SUM

PROMPT = "Prompt, or a chat body as JSON"
LANGUAGES = "日本語で答えて。 أجب بالعربية. Ответь по-русски. 🙂 e\u0301"
MEGABYTE = f"{POEM} <b>&</b> " * (1_000_000 // len(POEM))


def chosen(page) -> str:
    return page.locator("#plan .plan p strong").first.text_content()


@pytest.mark.slow
def test_plan_follows_what_is_typed_and_dragged_and_nothing_is_logged(open_page, console):
    before = len(console.system.rows("decisions"))
    with open_page() as page:
        page.goto(f"{console.url}/playground")
        page.get_by_label(PROMPT).fill(POEM)
        page.wait_for_selector("#plan .plan")
        assert chosen(page) == "large"
        page.get_by_label("a dial from quality to cost").check()
        with page.expect_response("**/playground"):
            page.get_by_role("slider", name="Dial").press("End")  # 10: the cheapest
        page.wait_for_function("() => document.querySelector('#plan .plan strong').textContent === 'small'")
        assert page.locator("#dial-value").text_content() == "10"
        assert page.locator("#plan-said").text_content().strip() == "the champion: small."  # read aloud
        page.get_by_role("slider", name="drag the most").press("Home")
        assert page.get_by_role("textbox", name="Most that the call may cost").input_value() == "0.000001"
        page.wait_for_selector("#plan .card.error")
        page.get_by_role("textbox", name="Most that the call may cost").fill("")
        page.get_by_role("slider", name="drag the quality").press("End")
        assert page.get_by_role("textbox", name="Quality that counts as success").input_value() == "1"
        page.get_by_text("Success is a quality of at least 1.").wait_for()
        page.get_by_role("textbox", name="Most that the call may cost").fill("dear")
        page.get_by_text("most: got 'dear'; expected a number").wait_for()
    assert len(console.system.rows("decisions")) == before


@pytest.mark.slow
def test_answers_and_bills_stand_beside_each_other(open_page, console, picture):
    attack = f"<script>document.title='taken'</script> {LANGUAGES} {SUM}"
    with open_page() as page:
        page.goto(f"{console.url}/playground")
        page.get_by_label(PROMPT).fill(attack)
        page.get_by_label("send to small").check()
        page.get_by_label("Another model").fill("large")  # its first provider is down
        page.get_by_role("button", name="Send").click()
        page.wait_for_function("() => document.querySelectorAll('.answer:not([aria-busy])').length === 3")
        assert page.title() == "Playground · Router console"
        found = {one.locator("h3").text_content(): one.text_content() for one in page.locator(".answer").all()}
        picture(page, "playground-answers")
    assert set(found) == {"auto", "small", "large"}
    assert all(attack in text and "$0.0" in text for text in found.values())
    assert "large at echo" in found["large"]
    assert "The decision" in found["auto"]
    assert "The decision" not in found["small"]
    assert {"small", "large"} <= {row["model"] for row in console.system.rows("attempts")}  # the proxy's own calls


def test_key_without_the_role_sees_plans_and_sends_nothing(visitor, console):
    client = visitor(console.own)
    form = {"csrf": form_token(client.get("/console/playground")), "prompt": SUM, "to:small": "1", "model": "small"}
    page = client.post("/console/playground", data=form)
    assert (page.status_code, "lacks the role" in page.text) == (200, True)
    assert 'id="plan-champion"' in page.text
    for path in ("send", "call"):
        assert client.post(f"/console/playground/{path}", data=form).status_code == 403
    assert client.post("/console/playground", data=form | {"csrf": "0" * 64}).status_code == 403


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (MEGABYTE, "large"),  # too long for the others
        (LANGUAGES, "Calls"),
        (json.dumps({"messages": [{"role": "user", "content": SUM}], "tools": [{"type": "function"}]}), "Calls"),
        ('{"messages": [', "taken as a text"),
        ("add\0 12", "Calls"),
        ("  ", "Type a prompt"),
    ],
    ids=["a megabyte", "languages", "chat body", "damaged body", "control character", "blank"],
)
def test_any_prompt_gets_a_plan_or_a_reason(visitor, console, prompt, expected):
    client = visitor(console.system.key)
    form = {"csrf": form_token(client.get("/console/playground")), "prompt": prompt}
    page = client.post("/console/playground", data=form, headers={"hx-request": "true"})
    assert page.status_code == 200
    assert expected in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": ""}, "there is no prompt"),
        ({"to:auto": ""} | {f"to:m{n}": "1" for n in range(4)}, "expected at most 4"),
        ({}, "no model is chosen"),
    ],
)
def test_wrong_sendings_are_refused(visitor, console, fields, expected):
    client = visitor(console.system.key)
    form = {"csrf": form_token(client.get("/console/playground")), "prompt": SUM, "model": "small"} | fields
    path = "call" if "prompt" in fields else "send"
    answer = client.post(f"/console/playground/{path}", data=form)
    assert (answer.status_code, expected in answer.text) == (400, True)


def test_router_that_the_service_lacks_is_named_with_those_that_it_has(visitor, console):
    client = visitor(console.own)
    form = {"csrf": form_token(client.get("/console/playground")), "prompt": SUM, "router": "champion", "beside": "<b>"}
    page = client.post("/console/playground", data=form).text
    assert 'id="plan-champion"' in page
    assert "got &#39;&lt;b&gt;&#39;; this service has: champion" in page


def test_without_scripts_the_page_sends_too(visitor, console):
    client = visitor(console.system.key)
    form = {"csrf": form_token(client.get("/console/playground")), "prompt": SUM, "to:small": "1", "to:auto": "1"}
    page = client.post("/console/playground/send", data=form)
    assert page.text.count('<article class="card answer">') == 2
