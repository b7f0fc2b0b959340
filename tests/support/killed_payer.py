"""Ask models in a process that a test kills: `python killed_payer.py FOLDER BUDGET_USD N_CALLS`.

FOLDER has ``providers.toml`` and ``catalog.toml``; the journal is put beside them.
"""

import sys
from pathlib import Path

from router_model.catalog import Catalog
from router_model.serving.paid_calls.calls import PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.serving.paid_calls.session import Asked, ask_models
from router_model.serving.providers.fleet import Fleet

JOURNAL = "calls.db"


def calls(n: int) -> list[PaidCall]:
    """Return calls of the model ``small`` that may write 100 tokens each."""
    return [
        PaidCall(f"{k}", "small", {"messages": [{"role": "user", "content": f"Prompt {k}"}], "max_tokens": 100})
        for k in range(n)
    ]


def pay(folder: Path, budget_usd: float, n: int) -> tuple[Asked, int]:
    """Ask the calls that are not known yet; return what was done, and the nano-USD that the journal counts."""
    cards = Catalog.load(folder / "catalog.toml").cards
    fleet = Fleet(folder / "providers.toml", lambda: cards)
    with Journal(folder / JOURNAL, int(budget_usd * 1e9)) as journal:
        return ask_models([calls(n)], fleet, journal, per_provider=6), journal.spent


if __name__ == "__main__":
    pay(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
