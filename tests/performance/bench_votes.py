"""What pairwise votes keep of known qualities: votes are drawn from a table, imported, and compared with it.

Two ways to choose the opponents: any model, or one of the next two in rank, as arenas do. A tenth of the votes
is cast at random. Printed: Kendall's tau between the models' mean qualities in the table and in the import, and
the range of the means, without and with the correction for the opponents' strength.

    python tests/performance/bench_votes.py [FOLDER WITH <name>/outcomes.parquet ...]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from router_model.training.importing import import_sources
from router_model.training.importing.adapters import NOWHERE
from router_model.training.importing.adapters.arena import arena

DATA = Path(__file__).parents[3] / "shared" / "data"
SHARE_RANDOM = 0.1
MAX_RANK_AWAY = 2


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]] or [DATA / name for name in ("mmlu_pro", "bfcl", "zeroeval")]
    print(
        "| table | models | votes | opponents | tau, as cast | tau, corrected | range in table | as cast | corrected |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for folder in folders:
        table, models = complete_table(folder / "outcomes.parquet")
        for opponents in ("any", "near in rank"):
            print(line(folder.name, table, models, opponents))


def complete_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """Return the qualities of the prompts that all models answered, shape (n_prompts, n_models)."""
    rows = pl.read_parquet(path, columns=["prompt_id", "model", "quality"]).drop_nulls()
    wide = rows.pivot(on="model", index="prompt_id", values="quality").drop("prompt_id").drop_nulls()
    return wide.to_numpy(), wide.columns


def line(name: str, table: np.ndarray, models: list[str], opponents: str) -> str:
    battles = cast_votes(table, models, opponents)
    true = table.mean(axis=0)
    as_cast = means([row for battle in battles for row in arena(battle, NOWHERE).rows], models)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "battles.parquet", Path(folder) / "out.parquet"
        pl.DataFrame(battles).write_parquet(source)
        import_sources([source], out)
        imported = means(pl.read_parquet(out).rows(named=True), models)
    taus = [f"{kendalltau(true, found)[0]:.2f}" for found in (as_cast, imported)]
    ranges = [f"{np.ptp(found):.2f}" for found in (true, as_cast, imported)]
    return f"| {' | '.join([name, str(len(models)), f'{len(battles):,}', opponents, *taus, *ranges])} |"


def cast_votes(table: np.ndarray, models: list[str], opponents: str) -> list[dict]:
    """Return one battle a prompt."""
    rng = np.random.default_rng(0)
    by_rank = np.argsort(table.mean(axis=0))
    battles = []
    for number, qualities in enumerate(table):
        first = rng.integers(len(models))
        away = rng.integers(1, MAX_RANK_AWAY + 1) * rng.choice([-1, 1])
        if opponents == "any":
            away = rng.integers(1, len(models))
        second = first + away if opponents == "any" or 0 <= first + away < len(models) else first - away
        a, b = by_rank[first], by_rank[second % len(models)]
        prompt = [{"role": "user", "content": f"prompt {number}"}]
        winner = vote(qualities[a], qualities[b], rng)
        battles.append(
            {"model_a": models[a], "model_b": models[b], "winner": winner, "conversation_a": prompt, "turn": 1}
        )
    return battles


def vote(a: float, b: float, rng: np.random.Generator) -> str:
    if rng.random() < SHARE_RANDOM:
        return str(rng.choice(["model_a", "model_b", "tie", "both_bad"]))
    if a == b:
        return "tie" if a > 0 else "both_bad"
    return "model_a" if a > b else "model_b"


def means(rows: list[dict], models: list[str]) -> np.ndarray:
    found = pl.DataFrame([{"model": row["model"], "quality": row["quality"]} for row in rows])
    of_model = dict(found.group_by("model").agg(pl.col("quality").mean()).iter_rows())
    return np.array([of_model[model] for model in models])


if __name__ == "__main__":
    main()
