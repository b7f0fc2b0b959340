"""Run one SDK's cases in the environment that has it: ``python run_adapter.py NAME``, with ``ROUTER_URL`` set.

A case is a function of the module NAME. What it returns, or the error that it raises, goes out as JSON.
"""

import importlib
import json
import sys
import traceback

CASES = ("plain", "stream", "tools", "structured", "errors")


def main() -> None:
    """Run the cases that the module has."""
    module, found = importlib.import_module(f"{sys.argv[1]}_adapter"), {}
    for case in (one for one in CASES if hasattr(module, one)):
        try:
            found[case] = {"got": getattr(module, case)()}
        except Exception as exc:  # noqa: BLE001  (it is the result)
            traceback.print_exc()
            found[case] = {"failed": f"{type(exc).__name__}: {exc}"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
