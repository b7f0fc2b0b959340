"""Log decisions until killed: ``python killed_logger.py URL SPOOL FIRST``.

Says on standard output how many were put, and how many of them the log has settled (in the store or the spool).
"""

import asyncio
import sys
from pathlib import Path

from log_records import decision

from router_model.serving.decision_log.opening import open_spool, open_store
from router_model.serving.decision_log.queued_log import QueuedLog
from router_model.serving.decision_log.store import SpoolBatching


async def main(url, spool, first):
    store = open_store(url)
    if store.spool_batching:
        store.spool_batching = SpoolBatching(seconds=0.1, n_bytes=2**20)
    log = QueuedLog(store, open_spool(url, spool), queue=20_000, flush_s=0.05)
    await log.start()
    n_put = first

    async def settle():
        while True:
            n = n_put
            await log.flush(60)
            sys.stdout.write(f"settled {n}\n")
            sys.stdout.flush()
            await asyncio.sleep(0.005)

    settling = asyncio.create_task(settle())
    while not settling.done():
        for _ in range(30):
            log.put(decision(n_put))
            n_put += 1
        sys.stdout.write(f"put {n_put}\n")
        await asyncio.sleep(0.01)
    settling.result()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
