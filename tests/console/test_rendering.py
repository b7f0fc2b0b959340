"""The files that the console sends beside its pages."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from router_model.serving.console.rendering import ChartsScript


def test_script_of_the_charts_is_made_once_however_many_ask_at_once():
    """Nobody has to sign in for it, and each process that makes it takes a hundred megabytes."""
    made = []

    def make():
        made.append(len(made))
        time.sleep(0.05)
        return b"draw()"

    script = ChartsScript(make)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: script.get().content, range(4)))
    assert found == [b"draw()"] * 4
    assert made == [0]


def test_script_of_the_charts_is_not_tried_at_each_request_after_a_failure(caplog):
    now, tries = [0.0], []

    def make():
        tries.append(now[0])
        if len(tries) == 1:
            raise subprocess.CalledProcessError(1, "python", stderr=b"Traceback\nImportError: no altair\n")
        return b"draw()"

    script = ChartsScript(make, clock=lambda: now[0])
    assert [script.get(), script.get()] == [None, None]
    assert [record.message for record in caplog.records if "no altair" in record.message]
    now[0] = 59.0
    assert script.get() is None
    now[0] = 60.0
    assert script.get().content == b"draw()"
    assert tries == [0.0, 60.0]
