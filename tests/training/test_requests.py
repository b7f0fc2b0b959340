"""A router learns from what requests say beside their words, and decides by the same features as it learned from."""

import json

import numpy as np
import polars as pl
import pytest
from fake_service import client_of, fake_parts
from plain_router import by_numpy
from simulated_world import CATALOG, FEW_TREES, POEM, SUM

from router_model import Catalog, Router
from router_model.features import SURFACE_NAMES
from router_model.features.featuriser import featurise
from router_model.features.request import BACKGROUND_TURNS, FORM_NAMES
from router_model.serving.engine import turn_types
from router_model.serving.engine.read_query import ReadQuery
from router_model.training.metrics import mean_auc
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import TrainConfig, train

WORDS = ("river", "moon", "list", "index", "sum", "total", "verse", "bug", "plus", "wind", "class", "45", "heart")


def tool(n_parameters):
    """A tool whose name and description say nothing."""
    properties = {f"p{i}": {"type": "string"} for i in range(n_parameters)}
    return {
        "type": "function",
        "function": {"name": "call", "parameters": {"type": "object", "properties": properties}},
    }


def conversation(text, n_steps, *, fails):
    """A user's words, and an agent's steps since then."""
    said = [{"role": "user", "content": text}]
    for _ in range(n_steps):
        said.append({"role": "assistant", "content": "", "tool_calls": []})
        said.append({"role": "tool", "content": "Error: it broke" if fails else "Fine: it is so"})
    return said


def simulate_requests(n, seed):
    """Words say nothing. Large schemas are too much for small, long loops for coder, and failed tools for large."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        n_parameters, n_steps, fails = int(rng.integers(1, 7)), int(rng.integers(1, 7)), bool(rng.random() < 0.5)
        good = {"small": n_parameters <= 3, "coder": n_steps <= 3, "large": not fails}
        messages = conversation(" ".join(rng.choice(WORDS, size=8)), n_steps, fails=fails)
        rows += [
            {
                "prompt_id": f"{seed}-{i}", "messages": json.dumps(messages), "tools": json.dumps([tool(n_parameters)]),
                "model": model, "quality": float(rng.random() < (0.95 if can else 0.1)),
            }
            for model, can in good.items()
        ]  # fmt: skip
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def with_tools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("requests")
    simulate_requests(300, seed=0).write_parquet(folder / "outcomes.parquet")
    catalog = Catalog.parse(CATALOG.replace("tools = false", ""), origin="catalog.toml")
    train(
        folder / "outcomes.parquet",
        folder / "router",
        catalog=catalog,
        config=TrainConfig(holdout=False, fit=FEW_TREES),
    )
    return Router.load(folder / "router")


def test_schemas_steps_and_errors_are_learned_where_they_matter(with_tools, tmp_path):
    """The best possible AUC of the three models is about 0.92, and 0.5 says nothing."""
    simulate_requests(200, seed=1).write_parquet(tmp_path / "new.parquet")
    new = read_outcomes(tmp_path / "new.parquet")
    assert mean_auc(with_tools.predict(new.prompts).p_success, new.quality) > 0.85
    words = [json.dumps(WORDS[:3]) for _ in new.prompts]
    assert mean_auc(with_tools.predict(words).p_success, new.quality) == 0.5


def test_one_request_is_decided_by_compiled_code_as_by_plain_code(with_tools):
    body = {"messages": conversation(POEM, 2, fails=True), "tools": [tool(5)]}
    plain, compiled = by_numpy(with_tools).route(body), with_tools.route(body, explain=True)
    assert [step.model for step in compiled.plan] == [step.model for step in plain.plan]
    assert [step.p_success for step in compiled.plan] == pytest.approx(
        [step.p_success for step in plain.plan], abs=1e-6
    )
    named = {feature.name for feature in compiled.explanation.chosen.surface}
    assert named & set(FORM_NAMES[len(SURFACE_NAMES) :])


def test_a_router_that_learned_without_tools_reads_no_more_than_that_there_are_some(trained):
    """It decides as it did before there were features of requests, and so do routers that were saved then."""
    asked = {"messages": [{"role": "user", "content": SUM}], "tools": [{"type": "function"}]}
    one, many = trained.router.predict([asked]), trained.router.predict([asked | {"tools": [tool(9)] * 3}])
    assert np.array_equal(one.p_success, many.p_success)
    assert trained.router.artifact.predictor.evidence_model.kernel.scale.centre.shape == (len(SURFACE_NAMES),)


def test_a_request_has_the_features_of_its_row_in_a_table(tmp_path, trained):
    """What the service was asked, and the same as a table has it: nothing that is learned from is lost on the way."""
    title = {"role": "user", "content": "Generate a concise, 3-5 word title for this chat."}
    bodies = [
        {"messages": conversation(SUM, 3, fails=True), "tools": [tool(2), tool(4)], "max_tokens": 40},
        {"messages": [{"role": "system", "content": "Be brief."}, title], "max_completion_tokens": 20},
        {"messages": [title | {"content": SUM}], "response_format": {"type": "json_object"}},
    ]
    parts = fake_parts(trained.router)
    with client_of(parts) as client:
        assert [client.post("/v1/route", json=body).status_code for body in bodies] == [200] * 3
    asked = [ReadQuery.read(query) for query in parts.engines.default.asked]
    assert [read.turn for read in asked] == ["work", "title", "work"]
    rows = [
        {
            "messages": json.dumps(body["messages"]),
            "tools": json.dumps(body.get("tools", [])),
            "response_format": json.dumps(body.get("response_format", {})),
            "max_output_tokens": body.get("max_tokens", body.get("max_completion_tokens")),
            "turn_type": read.turn, "model": "small", "quality": 1.0,
        }
        for body, read in zip(bodies, asked, strict=True)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    encoder = trained.router.encoder
    learned, decided = (
        featurise(read_outcomes(tmp_path / "t.parquet").prompts, encoder),
        featurise([r.prompt for r in asked], encoder),
    )
    for name in ("embedding", "surface", "n_input_tokens", "max_output_tokens"):
        assert np.array_equal(getattr(learned, name), getattr(decided, name)), name
    assert all(map(np.array_equal, learned.pieces, decided.pieces))


def test_the_kinds_of_background_calls_are_those_of_the_service():
    kinds = (turn_types.CHECK, turn_types.TITLE, turn_types.SUMMARY, turn_types.COMPACTION)
    assert kinds == BACKGROUND_TURNS
