"""``router-model serve`` with a predictor that a test can break, and a count of the tasks of its event loop.

``python watched_serve.py serve ARTIFACT …``. In its working folder: while a file ``hang`` is there decisions take
`HANG_S` seconds, while ``raise`` is there they fail; ``tasks`` has the number of tasks when metrics were last updated.
"""

import asyncio
import time
from pathlib import Path

from router_model.cli import main
from router_model.router import Router
from router_model.serving.api.parts import Parts

HANG_S = 2.0

_decide, _update_gauges = Router.decide, Parts.update_gauges


def decide(self, *arguments, **knobs):
    if Path("raise").exists():
        raise ZeroDivisionError("of a test")
    if Path("hang").exists():
        time.sleep(HANG_S)
    return _decide(self, *arguments, **knobs)


def update_gauges(self):
    _update_gauges(self)
    Path("tasks").write_text(str(len(asyncio.all_tasks())))


if __name__ == "__main__":
    Router.decide, Parts.update_gauges = decide, update_gauges
    main()
