"""The files that the console sends beside its pages."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from router_model.serving.console import rendering


def test_script_of_the_charts_is_made_once_however_many_ask_at_once(monkeypatch):
    """Nobody has to sign in for it, and each process that makes it takes a hundred megabytes."""
    made = []

    def run(*_args, **_options):
        made.append(len(made))
        time.sleep(0.05)
        return SimpleNamespace(stdout=b"draw()")

    monkeypatch.setattr(rendering.subprocess, "run", run)
    rendering._made_charts_script.cache_clear()
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: rendering.charts_script().content, range(4)))
    finally:
        rendering._made_charts_script.cache_clear()
    assert found == [b"draw()"] * 4
    assert made == [0]
