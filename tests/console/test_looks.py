"""Every page as a reader sees it: three widths, light and dark, charts drawn, and axe-core finds nothing to mend."""

import pytest

PATHS = ("", "?period=30d", "/decisions", "/decisions?status=failed", "DECISION", "/spend?days=30")
PATHS += ("/playground", "/router", "/catalog")
DRAWN = """[...document.querySelectorAll(".chart")]
  .filter((chart) => chart.getClientRects().length).every((chart) => chart.hasAttribute("data-drawn"))"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_pages_fit_and_can_be_read(open_page, console, picture, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    found = {}
    with open_page(width=width, draws=True, color_scheme=scheme) as page:
        for number, path in enumerate(PATHS):
            at = f"/decisions/{console.ids['attack']}" if path == "DECISION" else path
            page.goto(console.url + at)
            page.wait_for_function(DRAWN)
            picture(page, f"{width}-{scheme}-{number}")
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
