"""Every page as a reader sees it: three widths, light and dark, charts drawn, and axe-core finds nothing to mend."""

import pytest
from simulated_world import POEM

PATHS = {
    "now": "",
    "now-30-days": "?period=30d",
    "decisions": "/decisions",
    "decisions-none": "/decisions?status=failed",
    "decision": "/decisions/PLAIN",
    "decision-neighbours": "/decisions/ATTACK/neighbours",
    "playground": "/playground",
    "router": "/router",
    "catalog": "/catalog",
    "spend": "/spend?days=30",
    "not-found": "/nothing",
}
DRAWN = """[...document.querySelectorAll(".chart")]
  .filter((chart) => chart.getClientRects().length).every((chart) => chart.hasAttribute("data-drawn"))"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_pages_fit_and_can_be_read(open_page, console, picture, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = {}
    said = ["status of 404"]  # the browser complains of the page that is not there
    with open_page(width=width, draws=True, complaints=said, color_scheme=scheme) as page:
        for name, path in PATHS.items():
            at = path.replace("ATTACK", console.ids["attack"]).replace("PLAIN", console.ids["plain"])
            page.goto(console.url + at)
            if name == "playground":
                page.get_by_label("Prompt, or a chat body").fill(POEM)
                page.wait_for_selector("#plan .plan")
            if name == "decision":
                page.get_by_text("of 3 succeeded").first.wait_for()
            page.wait_for_function(DRAWN)
            is_shown = (width, scheme) == (1280, "light") and "-" not in name  # in docs/console.md
            picture(page, name if is_shown else f"more/{name}-{width}-{scheme}")
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            problems = [
                f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
                for one in Axe().run(page).response["violations"]
                for node in one["nodes"]
            ]
            if wider > 0 or problems:
                found[at] = (wider, problems)
    assert found == {}


@pytest.mark.slow
def test_sign_in_can_be_read(open_page, console, picture):
    from axe_playwright_python.sync_playwright import Axe

    with open_page(None, width=360) as page:
        page.goto(f"{console.url}/sign-in")
        picture(page, "sign-in")
        assert Axe().run(page).response["violations"] == []


@pytest.mark.slow
def test_figures_keep_themselves_fresh(open_page, console):
    with open_page() as page:
        page.goto(f"{console.url}?period=5m")
        before = page.locator("#figures .note").first.text_content()
        page.wait_for_function(
            "(before) => document.querySelector('#figures .note').textContent !== before", arg=before
        )
        page.get_by_role("link", name="Pause").click()
        assert page.locator("[data-live]").count() == 0
