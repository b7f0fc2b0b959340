"""The report in a real browser: three widths, dark and light, without a network, and on paper."""

from pathlib import Path

import pytest

pytest.importorskip("altair", reason="extra 'report' is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright import sync_api
from simulated_world import outcomes_in, simulate

from router_model.pages.render import write_page
from router_model.training.reporting.report import report_on_table
from router_model.training.reporting.report_page import report_page

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}")]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    outcomes = outcomes_in(simulate(300, seed=8))
    found = report_on_table(trained.router, outcomes, source="fresh", requests_a_month=10_000, today={"large": 1.0})
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(report_page(found, name="router"), path)
    return path


@pytest.mark.parametrize(("scheme", "widths"), [("light", (360, 800, 1280)), ("dark", (360,))])
def test_the_page_fits_is_read_and_asks_for_nothing(browser, report, scheme, widths):
    """No sideways scrolling, the headline on the first screen, one drawing of each chart, no request, no error."""
    for width in widths:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.goto(report.as_uri())
        assert asked == [report.as_uri()]
        assert said == []
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
        box = page.locator(".verdict .sentence").bounding_box()
        assert box["y"] + box["height"] < 800
        assert page.locator(".numbers .value").first.bounding_box()["y"] < 800
        for figure in page.locator("figure").all():
            shown = [part for part in figure.locator("svg").all() if part.is_visible()]
            assert len(shown) == 1
            smallest = shown[0].evaluate(
                "svg => Math.min(...Array.from(svg.querySelectorAll('text'), t => t.getBoundingClientRect().height))"
            )
            assert smallest >= 9
        surface = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert surface == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 30)")
        context.close()


def test_a_printed_page_is_light_whatever_the_screen_is(browser, report):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    context.close()


def test_charts_are_drawn_by_a_script_under_a_strict_policy(browser):
    """The bundle needs neither eval nor inline scripts or styles, as the console's policy forbids them."""
    from html import escape

    from router_model.charts import CostPoint, data_chart, frontier, javascript

    chart = data_chart(frontier([CostPoint("small", 0.001, 0.7), CostPoint("large", 0.01, 0.9)], width=600))
    policy = "default-src 'none'; script-src 'self'; style-src 'self'"
    scripts = '<script src="/c.js"></script><script src="/go.js"></script>'
    answers = {
        "/": ("text/html", f'<!doctype html><div data-chart="{escape(chart)}"></div>{scripts}'),
        "/c.js": ("text/javascript", javascript()),
        "/go.js": ("text/javascript", "drawCharts().then(() => document.body.setAttribute('data-done', ''));"),
    }  # fmt: skip
    context = browser.new_context()
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    def answer(route):
        kind, body = answers.get(route.request.url.removeprefix("http://console.test"), ("text/plain", ""))
        headers = {"content-security-policy": policy, "content-type": f"{kind}; charset=utf-8"}
        route.fulfill(status=200, headers=headers, body=body)

    page.route("**/*", answer)
    page.goto("http://console.test/")
    page.wait_for_selector("[data-done]", state="attached", timeout=30_000)
    assert page.locator("[data-chart] svg").count() == 1
    assert said == []
    context.close()
