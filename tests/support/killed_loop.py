"""Run ``router-model loop`` until it is about to rename something for the nth time, then die by SIGKILL.

``python killed_loop.py N --log … --to PLACE --state STATE …``; only what is renamed right in a run's folder or in the
place counts: steps, ``state.json``, published routers, pointers. Says on standard output what was not renamed any more.
"""

import os
import signal
import sys
from pathlib import Path

from router_model.cli import main


def dying_at(n, folders):
    left = n

    def audit(event, arguments):
        nonlocal left
        if event != "os.rename" or Path(arguments[1]).parent not in folders:
            return
        left -= 1
        if left == 0:
            sys.stdout.write(f"{Path(arguments[1]).name}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    return audit


if __name__ == "__main__":
    n, options = int(sys.argv[1]), sys.argv[2:]
    state, place = (Path(options[options.index(name) + 1]) for name in ("--state", "--to"))
    sys.addaudithook(dying_at(n, {state / "run-0001", place}))
    sys.argv = ["router-model", "loop", *options]
    main()
