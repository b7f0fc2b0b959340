"""The loop: decisions that explore, feedback to them, the export, a router trained on it."""

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict

import numpy as np
import polars as pl
import pytest
from command_line import run_command
from http_load import closed_loop, post
from processes import eventually
from scipy.stats import chisquare
from simulated_world import CATALOG, P_SUCCESS, WORDS, simulate
from system import logged_ids, system

from router_model import Router

pytestmark = pytest.mark.slow  # processes that are started, loaded and ended

N_REQUESTS = 2000
N_PROMPTS = 300
SHARE = 0.5


@pytest.fixture(scope="module")
def exploring(trained, tmp_path_factory):
    """A service that explores a lot, and has decided `N_REQUESTS` times."""
    settings = {"explore_share": SHARE, "explore_max_p_drop": 0.6, "explore_max_cost_ratio": 100}
    with system(tmp_path_factory.mktemp("exploring"), trained.path, **settings) as service:
        texts = list(dict.fromkeys(simulate(N_PROMPTS, seed=9)["prompt"]))
        done = send(service, "/v1/route", [{"messages": [{"role": "user", "content": text}]} for text in texts])
        assert done.statuses == {200: N_REQUESTS}
        assert done.degraded == 0
        eventually(lambda: len(logged_ids(service.log)) == N_REQUESTS, "all are in the log")
        yield service


def send(service, path, bodies, n=N_REQUESTS, headers=()):
    """Send `n` requests, with the bodies and headers in turn, a few at a time."""
    payloads = [post(path, json.dumps(body).encode(), host="127.0.0.1", key=service.key) for body in bodies]
    for i, header in enumerate(headers):
        payloads[i] = payloads[i].replace(b"\r\n\r\n", f"\r\n{header}\r\n\r\n".encode(), 1)
    address = ("127.0.0.1", service.port)
    return asyncio.run(closed_loop(address, lambda i: payloads[i % len(payloads)], concurrency=6, n_requests=n))


def decisions(service):
    """Return what the log has of each decision."""
    connection = sqlite3.connect(service.folder / "log.db")
    try:
        query = "SELECT decision_id, model, candidates, messages, explored FROM router_decisions ORDER BY decision_id"
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_explored_shares_agree_with_logged_propensities(exploring):
    """Of decisions with the same propensities, how often each model was chosen: one chi-square test a kind.

    The chance that any of k tests fails by itself is at most k millionths.
    """
    chosen = defaultdict(Counter)
    for _, model, candidates, _, explored in decisions(exploring):
        listed = json.loads(candidates)
        by_model = dict(zip(listed["model"], listed["propensity"], strict=True))
        assert sum(by_model.values()) == pytest.approx(1)
        rule = max(by_model, key=by_model.get)
        assert bool(explored) == (model != rule)
        chosen[tuple(sorted(by_model.items()))][model] += 1
    assert len(chosen) > 1
    for propensities, counts in chosen.items():
        n = sum(counts.values())
        expected = {model: n * p for model, p in propensities if p > 0}
        assert set(counts) <= set(expected)
        if len(expected) > 1 and min(expected.values()) >= 5:
            observed = [counts[model] for model in expected]
            assert chisquare(observed, list(expected.values())).pvalue > 1e-6, (propensities, counts)
    assert sum(map(bool, (row[4] for row in decisions(exploring)))) > 0.1 * N_REQUESTS


def test_feedback_twice_at_once_is_one_record(exploring):
    """Twenty at once with one key, over six connections; another key's is another record."""
    decided = exploring.route()["id"]
    body = {"decision_id": decided, "score": 0.5, "metric": "twice"}
    done = send(exploring, "/v1/feedback", [body], n=20, headers=["idempotency-key: once"])
    exploring.call("POST", "/v1/feedback", body, idempotency_key="another")
    assert done.statuses == {202: 20}
    eventually(lambda: exploring.status()["log"]["depth"] == 0, "all is written")
    eventually(lambda: len(feedback_to(exploring, decided)) == 2, "both records")
    assert exploring.metrics()["router_feedback_total"] >= 21


def feedback_to(service, decision_id):
    return [found for found in logged_ids(service.log, "feedback", "decision_id") if found == decision_id]


def test_what_was_logged_is_exported_and_trained_on(exploring, trained, tmp_path):
    """Each answer is judged as the simulated world would have it, the judgement coming before the answer is known."""
    rng = np.random.default_rng(0)
    found = decisions(exploring)[:500]
    scores = [float(rng.random() < P_SUCCESS[task_of(messages)][model]) for _, model, _, messages, _ in found]
    n = len(found)
    judged = [{"response_id": f"resp-{i}", "score": score} for i, score in enumerate(scores)]
    called = [{"decision_id": row[0], "response_id": f"resp-{i}", "status": 200, "input_tokens": 14,
               "output_tokens": 80, "cost_usd": 1e-5} for i, row in enumerate(found)]  # fmt: skip
    assert send(exploring, "/v1/feedback", judged, n=n).statuses == {202: n}
    assert exploring.call("POST", "/v1/feedback", {"decision_id": "dec_of_nobody", "thumb": "up"}).status_code == 202
    assert send(exploring, "/v1/outcomes", called, n=n).statuses == {202: n}
    eventually(lambda: len(logged_ids(exploring.log, "attempts", "attempt_id")) >= n, "all is written")

    table, catalog = tmp_path / "table.parquet", tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    log = ("--log", exploring.log, "--spool", str(exploring.folder / "spool"))
    said = command("log", "export", *log, "--out", str(table))
    rows = pl.read_parquet(table).filter(pl.col("quality").is_not_null() & (pl.col("output_tokens") == 80))
    assert "Wrote" in said
    assert dict(zip(rows["prompt_id"], rows["quality"], strict=True)) == dict(
        zip((row[0] for row in found), scores, strict=True)
    )
    assert rows["propensity"].is_between(0, 1, closed="right").all()
    command("train", str(table), "--out", str(tmp_path / "router"), "--catalog", str(catalog), "--no-track")
    assert Router.load(tmp_path / "router").models == trained.router.models


def task_of(messages):
    first = json.loads(messages)[0]["content"].split()[0]
    return next(task for task, words in WORDS.items() if first in words)


def command(*arguments):
    done = run_command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
