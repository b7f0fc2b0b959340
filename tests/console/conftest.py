"""One service with a log that real requests filled, and one Chromium, for all tests of the console."""

import base64
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from console_forms import form_token
from processes import deaf_port, eventually
from simulated_world import POEM, SUM
from system import System, system

from router_model.serving.access.issuing import create_key
from router_model.serving.access.key_budget import KeyBudget
from router_model.serving.common.callers import Role

ATTACK = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & what is 2 + 2?"
FOLDER = os.environ.get("SCREENSHOTS")
PROVIDERS = """
[down]
kind = "openai"
base_url = "http://127.0.0.1:{dead}"
models = {{ "large" = "large" }}

[echo]
kind = "echo"
models = ["*"]
"""


@dataclass
class Console:
    """The service.

    Attributes
    ----------
    system : System
        Its key has every role.
    own : str
        A key that decides and gives feedback, and sees its own requests alone.
    decides : str
        A key that decides, and may not give feedback.
    few : str
        A key that decides, with three requests a minute.
    ids : dict of str to str
        Decisions by what they are: ``attack``, ``plain``, ``other``, ``own``, ``decided``.
    """

    system: System
    own: str
    decides: str
    few: str
    ids: dict[str, str]

    @property
    def url(self) -> str:
        return f"{self.system.url}/console"


@pytest.fixture(scope="session")
def console(trained, tmp_path_factory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console") / "service"
    folder.mkdir()
    _, own = create_key(
        folder / "keys.toml", name="team <b>", roles=[Role.DECIDE, Role.FEEDBACK], budget=KeyBudget(Decimal(5))
    )
    _, decides = create_key(folder / "keys.toml", name="decides", roles=[Role.DECIDE])
    _, few = create_key(folder / "keys.toml", name="few", roles=[Role.DECIDE], requests_per_minute=3)
    providers = folder / "providers.toml"
    with deaf_port() as dead:
        providers.write_text(PROVIDERS.format(dead=dead))
        with system(folder, trained.path, providers=providers, log_flush_s=0.05) as running:
            yield Console(running, own, decides, few, _traffic(running, own, decides))


def _traffic(running: System, own: str, decides: str) -> dict[str, str]:
    """Send what the pages show; return the ids of some decisions."""
    ids = {}
    for name, text in (("attack", ATTACK), ("plain", "What is the capital of France?"), ("other", "Sort 3, 1, 2.")):
        said = running.call("POST", "/v1/chat/completions", {"model": "auto", "messages": _said(text)})
        assert said.status_code == 200, said.text
        ids[name] = said.headers["x-router-decision-id"]
    # The first provider of this model is down, so the second one answers.
    for _ in range(2):
        assert running.call("POST", "/v1/chat/completions", {"model": "large", "messages": _said("Hi")}).is_success
    for name, key in (("own", own), ("decided", decides)):
        asked = {"messages": _said(f"my own prompt: {name}")}
        ids[name] = running.call("POST", "/v1/route", asked, authorization=f"Bearer {key}").json()["id"]
    for number in range(60 if FOLDER else 0):  # more to look at
        asked = {"model": "auto", "messages": _said(SUM if number % 3 else POEM)}
        running.call("POST", "/v1/chat/completions", asked)
    judged = {"decision_id": ids["plain"], "score": 1.0, "comment": "<b>right</b>"}
    assert running.call("POST", "/v1/feedback", judged).status_code == 202
    eventually(lambda: running.status()["log"]["depth"] == 0, "the log is written")
    return ids


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def visitor(console) -> Iterator[Callable]:
    """Make HTTP clients that keep cookies, signed in by a key if one is given."""
    clients = []

    def made(key: str | None = None) -> httpx2.Client:
        client = httpx2.Client(base_url=console.system.url, trust_env=False, timeout=60)
        clients.append(client)
        if key is not None:
            sent = {"key": key, "csrf": form_token(client.get("/console/sign-in"))}
            assert client.post("/console/sign-in", data=sent).status_code == 303
        return client

    yield made
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window; skips where there is none.

    Not for the session: as long as Playwright runs, its loop counts as running, and no other test may run one.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its path)")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def open_page(browser, console) -> Callable:
    """Open a page as the owner of a key, and fail at the end of the block if the browser complained of anything."""

    @contextmanager
    def opened(
        key: str | None = console.system.key,
        *,
        width: int = 1280,
        draws: bool = False,
        complaints: Sequence[str] = (),
        **options: object,
    ):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        page, said = context.new_page(), []
        page.set_default_timeout(120_000)
        if not draws:  # the script takes seconds to make, and as many to run
            page.route("**/charts.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        try:
            if key is not None:
                sign_in(page, console.url, key)
            yield page
        finally:
            context.close()
        assert [one for one in said if not any(expected in one for expected in complaints)] == []

    return opened


def sign_in(page, url: str, key: str) -> None:
    page.goto(f"{url}/sign-in")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda at: "/sign-in" not in at)


@pytest.fixture(scope="session")
def picture() -> Callable:
    """Keep the upper part of a page as a picture, if ``SCREENSHOTS`` names a folder (docs/console.md shows some)."""

    def taken(page, name: str) -> None:
        if not FOLDER:
            return
        size = page.evaluate("({width: innerWidth, height: document.documentElement.scrollHeight})")
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 1100), "scale": 1}
        asked = {"format": "webp", "quality": 55, "clip": clip, "captureBeyondViewport": True}
        found = page.context.new_cdp_session(page).send("Page.captureScreenshot", asked)
        path = Path(FOLDER) / f"{name}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))

    return taken
