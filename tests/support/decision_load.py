"""What benchmarks of the service ask with: prompts of a table, a router trained on it, a key."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from router_model import Catalog
from router_model.features import tokenise
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import train

N_TOKENS, N_PROMPTS = 100, 2000
REPOSITORY = Path(__file__).parents[2]


def near_prompts(table: Path) -> list[str]:
    """Return the table's prompts of about 100 word pieces."""
    prompts = [str(prompt) for prompt in read_outcomes(table).prompts]
    distance = np.abs(tokenise(prompts).lengths() - N_TOKENS)
    return [prompts[row] for row in np.argsort(distance, kind="stable")[:N_PROMPTS]]


def trained(table: Path, router: Path) -> Path:
    print(f"training a router on {table} ...", flush=True)
    train(table / "outcomes.parquet", router, catalog=Catalog.load(table / "catalog.toml"))
    return router


def created_key(path: Path, roles: Sequence[str] = ("decide",)) -> str:
    """Return a key of the file, which is made."""
    asked = [part for role in roles for part in ("--role", role)]
    made = subprocess.run(
        [
            *(sys.executable, "-m", "router_model", "keys", "create", "--json", "--name", "bench"),
            *(*asked, "--file", str(path)),
        ],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return str(json.loads(made.stdout)["key"])
