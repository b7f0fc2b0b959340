"""*Router* and *Catalog*: who may see what, and the way forward and back in a real browser."""

import re
import shutil

import pytest
from console_forms import form_token
from processes import eventually
from simulated_world import SUM
from system import system

from router_model.saved.place import Mode, Place


def test_routers_page_keeps_the_place_for_operators(visitor, console):
    mine, all_of_it = visitor(console.own), visitor(console.system.key)
    page = mine.get("/console/router")
    assert page.status_code == 200
    assert "How good it is" in page.text
    assert "Of answers with a predicted probability of success" in page.text  # the reliability curve
    assert "Published routers" not in page.text
    assert "does not serve a folder of published routers" in all_of_it.get("/console/router").text
    form = {"csrf": form_token(page), "action": "promote", "reason": "I want it", "seen": "", "period": "1d"}
    assert mine.get("/console/router/confirm?action=promote").status_code == 403
    for path in ("change", "drift"):
        assert mine.post(f"/console/router/{path}", data=form).status_code == 403
    assert all_of_it.get("/console/router/confirm?action=promote").status_code == 404
    assert all_of_it.get("/console/router/confirm?action=<b>").status_code == 400


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 401])
def test_change_needs_a_reason_for_the_history(visitor, console, reason):
    client = visitor(console.system.key)
    form = {"csrf": form_token(client.get("/console/router")), "action": "stop", "reason": reason, "seen": ""}
    answer = client.post("/console/router/change", data=form)
    assert (answer.status_code, "expected one line" in answer.text) == (400, True)


def test_catalog_marks_what_is_unknown_and_escapes_what_is_searched(visitor, console):
    client = visitor(console.own)
    page = client.get("/console/catalog").text
    assert "3 of 3 models" in page
    assert re.search(r"last failed at down: connection, 20\d\d-", page)
    assert "unknown: vision, audio, structured output" in page
    found = client.get("/console/catalog", params={"q": "<b>x", "page": "9" * 30, "standing": "none of these"})
    assert "No model matches" in found.text
    assert "<b>x" not in found.text


@pytest.mark.slow
def test_challenger_is_promoted_and_rolled_back(browser, valued, tmp_path, picture):
    from axe_playwright_python.sync_playwright import Axe

    place = Place(tmp_path / "routers")
    place.publish(valued["dear"], {}, instead_of=None)
    place.challenge(shutil.copytree(valued["cheap"], tmp_path / "cheap"), Mode.SHADOW, 0.1)
    old, new = place.current.name, place.challenger.router
    with system(tmp_path / "service", place.folder) as service:
        eventually(lambda: service.status()["engine"]["challenger"]["loaded"], "the challenger is loaded", limit_s=120)
        page = browser.new_context().new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{service.url}/console/router")
        page.get_by_label("Key").fill(service.key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Promote the challenger").click()
        page.get_by_text("No held-out table is named").wait_for()
        assert Axe().run(page).response["violations"] == []
        page.get_by_label("Calls in the log").select_option("none")
        page.get_by_label("Why, for the history").fill("<b>because</b>")
        page.get_by_role("button", name="Check, and promote").click()
        page.get_by_role("heading", name="Not promoted").wait_for()
        assert Axe().run(page).response["violations"] == []
        picture(page, "router-gate")
        page.get_by_role("row", name="gain failed").wait_for()
        assert place.current.name == old
        page.get_by_role("button", name="Force the promotion").click()
        page.get_by_text(f"Promoted: the champion is {new}").wait_for()
        assert service.status()["artifact"].removeprefix("sha256:").startswith(new)
        page.goto(f"{service.url}/console/playground")
        page.get_by_label("Beside it").select_option(label="the former champion")
        page.get_by_label("Prompt, or a chat body").fill(SUM)
        page.locator("#plan-former", has_text=old).wait_for()
        page.goto(f"{service.url}/console/router")
        page.get_by_role("link", name="Roll back").click()
        page.get_by_text("Nothing compares the two").wait_for()
        page.get_by_label("Why, for the history").fill("<b>because</b>")
        page.get_by_role("button", name="Roll back").click()
        page.get_by_text(f"Rolled back: the champion is {old}").wait_for()
        assert service.status()["artifact"].removeprefix("sha256:").startswith(old)
        picture(page, "router-history")
        assert page.get_by_text("<b>because</b> (console").count() == 2
        page.get_by_role("button", name="Check the log").click()
        page.locator(".card.error", has_text="the log has no call of this time").wait_for()
    promoted = place.history()[2]
    assert (promoted["forced"], "gain" in promoted["overridden"]) == (True, True)
    assert [entry["action"] for entry in place.history()] == ["promote", "challenge", "promote", "rollback"]
