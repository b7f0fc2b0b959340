"""``router-model serve`` whose event loop writes down when it stood still.

``python beating_serve.py serve ARTIFACT …``. A heartbeat every millisecond; where one is late by more than `LATE_S`, a
line goes into the file ``beats`` of the working folder: the monotonic time, and how late it was, in seconds.
"""

import asyncio
import time
from pathlib import Path

from router_model.cli import main
from router_model.serving.api.parts import Parts

EVERY_S = 0.001
LATE_S = 0.004

_update_gauges = Parts.update_gauges
_tasks = []


async def beat():
    with Path("beats").open("w", buffering=1) as file:  # noqa: ASYNC230  (before the first beat)
        while True:
            due = time.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            now = time.monotonic()
            if now - due > LATE_S:
                file.write(f"{now:.6f} {now - due:.6f}\n")


def update_gauges(self):
    if not _tasks:
        _tasks.append(asyncio.get_running_loop().create_task(beat()))
    _update_gauges(self)


if __name__ == "__main__":
    Parts.update_gauges = update_gauges
    main()
