"""One model at two efforts, from a log of calls to the router that was trained on what the service logged."""

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from simulated_world import BOLD, POEM, SUM, WORDS
from starlette.testclient import TestClient

from router_model import Catalog, Router
from router_model.serving.app import create_app
from router_model.serving.commands.log import command as log_command
from router_model.serving.common.settings import Settings
from router_model.training.importing import import_sources
from router_model.training.train import train

MODEL = "openai/m"
CATALOG = f"""
[models."{MODEL}"]
usd_per_mtok_input = 1
usd_per_mtok_output = 10
""" + "".join(
    f'[models."{MODEL}:{effort}"]\nmodel = "{MODEL}"\nreasoning_effort = "{effort}"\n' for effort in ("low", "high")
)
P_SUCCESS = {"arithmetic": {"low": 0.95, "high": 0.95}, "poetry": {"low": 0.1, "high": 0.9}}
"""Only poetry is worth an effort."""
N_TOKENS = {"low": 60, "high": 900}


def calls(n, rng):
    """Return a log of calls as a tool keeps it: the model, and the effort in a column of its own."""
    for i in range(n):
        task = ("arithmetic", "poetry")[i % 2]
        text = f"{' '.join(rng.choice(WORDS[task], size=12))} #{i}"
        for effort, p in P_SUCCESS[task].items():
            quality, tokens = float(rng.random() < p), N_TOKENS[effort] + int(rng.integers(20))
            yield {
                "prompt": text,
                "model": MODEL,
                "reasoning_effort": effort,
                "quality": quality,
                "input_tokens": 14,
            } | {"output_tokens": tokens}


@pytest.mark.slow
def test_a_router_learns_which_prompts_are_worth_an_effort(tmp_path):
    """Import, train, serve, report, export, train again; every table and the log have the candidates' ids."""
    rng = np.random.default_rng(0)
    (tmp_path / "catalog.toml").write_text(CATALOG)
    catalog = Catalog.load(tmp_path / "catalog.toml")
    pl.DataFrame(list(calls(240, rng))).write_parquet(tmp_path / "calls.parquet")
    import_sources([tmp_path / "calls.parquet"], tmp_path / "first.parquet", catalog=tmp_path / "catalog.toml")
    train(tmp_path / "first.parquet", tmp_path / "router", catalog=catalog, config=BOLD)
    candidates = {f"{MODEL}:{effort}" for effort in N_TOKENS}
    assert_routes(tmp_path / "router")

    (tmp_path / "providers.toml").write_text(f'[echo]\nkind = "echo"\nmodels = ["{MODEL}"]\n')
    log = f"sqlite:///{tmp_path / 'log.db'}"
    settings = Settings(
        artifact=tmp_path / "router", log=log, log_spool=tmp_path / "spool", log_prompts="full", log_flush_s=0.05,
        providers=tmp_path / "providers.toml", decision_deadline_s=30.0, insecure=True, explore_share=0.3,
        explore_max_cost_ratio=100,
    )  # fmt: skip
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8484") as client:
        for i in range(40):
            task = ("arithmetic", "poetry")[i % 2]
            text = f"{' '.join(rng.choice(WORDS[task], size=12))} #served {i}"
            answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
            effort = answer.json()["model"].removeprefix(f"{MODEL}:")
            score = float(rng.random() < P_SUCCESS[task][effort])
            said = {"decision_id": answer.headers["x-router-decision-id"], "score": score, "source": "test"}
            assert client.post("/v1/feedback", json=said).status_code == 202
    out = tmp_path / "log.parquet"
    done = CliRunner().invoke(
        log_command, ["export", "--log", log, "--spool", str(tmp_path / "spool"), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    logged = pl.read_parquet(out)
    assert (set(logged["model"]), logged.height) == (candidates, 40)
    assert logged["cost_usd"].min() > 0, "the bill is by the price that the candidate has from its model"
    import_sources([tmp_path / "first.parquet", out], tmp_path / "second.parquet")
    train(tmp_path / "second.parquet", tmp_path / "again", catalog=catalog, config=BOLD)
    assert_routes(tmp_path / "again")


def assert_routes(folder):
    """High effort is dearer, and chosen for poetry alone."""
    router = Router.load(folder)
    for text, effort in ((SUM, "low"), (POEM, "high")):
        plan = {step.model: step for step in router.route(text, success_value_usd=0.1).plan}
        assert next(iter(plan)) == f"{MODEL}:{effort}"
        dear, cheap = (plan[f"{MODEL}:{name}"].expected_cost_usd for name in ("high", "low"))
        assert dear > 5 * cheap
