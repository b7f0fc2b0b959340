"""The drill: run the stack, load it, break one part after the other, and print what callers saw: ``make drill``.

After each fault the drill waits until all is well: requests are answered, the log's spool is drained, no breaker is
open. The exit status is 1 where a promise of `faults` was broken.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import table
from drill import Drill
from faults import FAULTS, Fault
from load import steady_load
from row import Row
from stack import running_stack

TOTAL_LIMIT_S: Final = 600.0
"""After that no further fault is tried; a quiet machine needs a third of it."""
INTERRUPTED: Final = 130


def main() -> int:
    """Run the drill; return its exit status."""
    given = _arguments()
    chosen = [one for one in FAULTS if not given.only or any(text in one.name for text in given.only)]
    for number in (signal.SIGTERM, signal.SIGHUP):  # as by Ctrl-C, all that was started is ended
        signal.signal(number, signal.default_int_handler)
    began, rows = time.monotonic(), []
    try:
        with _folder(given.keep) as folder:
            broken = _drill(folder, chosen, rows, is_whole=not given.only)
    except KeyboardInterrupt:
        print("interrupted; what was started has been ended", file=sys.stderr)
        return INTERRUPTED
    left_out = [one for one in chosen if one.why_not()]
    if given.all:
        broken += [f"'{one.name}' was left out: {one.why_not()}" for one in left_out]
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")
    print(f"\n{table.LEGEND}\n")
    for one in broken:
        print(f"BROKEN: {one}")
    n_broken = sum(bool(row.broken()) for row in rows)
    took = f"{time.monotonic() - began:.0f} s, {sum(os.times()[:4]):.0f} s of processor time"
    print(f"{len(rows)} faults, {n_broken} with broken promises; {took}")
    return int(bool(n_broken or broken))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="TEXT", action="append", help="faults whose name has this in it; repeatable")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the rows as JSON, too")
    parser.add_argument("--all", action="store_true", help="fail where a fault cannot be tried here")
    parser.add_argument("--keep", metavar="FILE", type=Path, help="write there what the service said")
    return parser.parse_args()


def _drill(folder: Path, chosen: Sequence[Fault], rows: list[Row], *, is_whole: bool) -> list[str]:
    """Break one thing after the other, and add a row for each; return what is wrong in the end."""
    began = time.monotonic()
    with running_stack(folder) as stack:
        with steady_load(stack.service.url, stack.callers) as load:
            print(f"started in {time.monotonic() - began:.0f} s; {platform.machine()}, {os.cpu_count()} cores\n")
            print(table.heading(), flush=True)
            drill = Drill(stack, load)
            drill.wait_until_seen()
            for number, fault in enumerate(chosen):
                if time.monotonic() - began > TOTAL_LIMIT_S:
                    wrong = [f"{len(chosen) - number} faults were not tried within {TOTAL_LIMIT_S:.0f} s"]
                    break
                if why := fault.why_not():
                    print(table.left_out(fault.name, why), flush=True)
                    continue
                rows.append(drill.row(fault))
                print("\n".join(table.lines(rows[-1])), flush=True)
            else:
                # Each panel has something to show once all has been broken.
                wrong = [*(drill.unseen() if is_whole else []), *drill.wait_until_silent()]
        return [*wrong, *drill.rest()]


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Yield a new folder; what the service said in it is kept in a file where one is named."""
    with tempfile.TemporaryDirectory(prefix="router-drill-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as a user of its own below it
        try:
            yield folder
        finally:
            if keep and (folder / "said").exists():
                keep.write_bytes((folder / "said").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
