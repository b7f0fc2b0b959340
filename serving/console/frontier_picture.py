"""Have a router's frontier drawn by a process of its own, because the drawing libraries take 125 MB that would stay.

The pictures of the last few routers are kept.
"""

import asyncio
import json
import sys
from collections import OrderedDict
from dataclasses import asdict
from typing import Final

from router_model.serving.common.service_errors import NotReadyError
from router_model.serving.console.router_facts import Measured

_DEADLINE_S: Final = 60.0
_MOST_KEPT: Final = 4
_SAID_AT_MOST: Final = 300
_CHILD: Final = "from router_model.serving.console.draw_frontier import main; main()"
_kept: OrderedDict[str, str] = OrderedDict()
_one_at_a_time: Final = asyncio.Semaphore(1)


async def frontier_svg(content_hash: str, measured: Measured) -> str:
    """Return the picture as SVG in the colours of the page, for wide screens and for narrow ones.

    Raises
    ------
    NotReadyError
        If it cannot be drawn, for example because the extra ``report`` is not installed.
    """
    async with _one_at_a_time:
        if content_hash not in _kept:
            _kept[content_hash] = await _drawn(measured)
        _kept.move_to_end(content_hash)
        while len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
        return _kept[content_hash]


async def _drawn(measured: Measured) -> str:
    # -P: modules in the folder where the service was started must not be imported instead of installed ones.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", _CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(json.dumps(asdict(measured)).encode()), _DEADLINE_S)
    except TimeoutError:
        raise NotReadyError(f"the picture was not drawn within {_DEADLINE_S:.0f} s; load the page again") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        last = err.decode(errors="replace").strip().rpartition("\n")[2][-_SAID_AT_MOST:]
        raise NotReadyError(f"the picture could not be drawn: {last}")
    return out.decode()
