"""Run argrouter 0.1.0a2: heads and neighbours on our vectors, then ``argmax p - lambda x cost``.

What was adapted, and why:

- The package publishes its `Router` and how it decides, but not how it is trained ("Training is not part of the
  open-source package"). Its documentation names the parts: a linear classifier per model on the embedding, and the
  graded scores and billed costs of the nearest prompts. So the heads are scikit-learn's logistic regressions, fitted on
  every known outcome of a model. A graded quality enters as two weighted labels.
- Its bank cannot hold unknown outcomes (a vote with NaN is NaN). So the bank has only those training prompts for which
  every outcome and cost is known.
- The regularisation of the heads is not documented. So all of `REGULARISATIONS` are tried, and validation chooses. The
  number of neighbours and their weight are tried around the package's defaults (50 and 0.5) in the same way.
- `lam` is swept over 1 / (USD that a success is worth), at the values that every method of the benchmark uses.
- `Router.route_embeddings` predicts again for every `lam`. Here it predicts once, and a sample is checked against it.
- P(success) comes from the same `Router`, built from successes instead of graded scores. On a binary table these are
  equal.
"""

import json
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from argrouter.router import Router
from sklearn.linear_model import LogisticRegression

REGULARISATIONS = (0.1, 1.0, 10.0)
NEIGHBOURS = (50, 100)
NEIGHBOUR_WEIGHTS = (0.25, 0.5, 0.75)
N_CHECKED = 5
CHUNK = 512


def fit_head(vectors: Any, score: Any, regularisation: float) -> tuple[Any, float]:
    """Return weights, shape (d,), and intercept of a model's P(correct), from scores in [0, 1], NaN where unknown."""
    known = ~np.isnan(score)
    x, y = vectors[known], score[known]
    labels = np.repeat([1, 0], len(y))
    weight = np.concatenate([y, 1 - y])
    used = weight > 0
    if len(np.unique(labels[used])) < 2:  # noqa: PLR2004
        always = bool(len(y)) and bool(y[0] > 0)
        return np.zeros(vectors.shape[1]), 10.0 if always else -10.0
    head = LogisticRegression(C=regularisation, solver="newton-cholesky")
    head.fit(np.concatenate([x, x])[used], labels[used], sample_weight=weight[used])
    return head.coef_[0], float(head.intercept_[0])


def build(task: Any, target: str, regularisation: float) -> Router:
    """Return a router with the scores `target` and the package's defaults."""
    vectors = task["vectors_train"].astype(np.float64)
    vectors /= np.clip(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12, None)
    scores, costs = task[f"{target}_train"], task["cost_train"]
    complete = ~np.isnan(scores).any(axis=1) & ~np.isnan(costs).any(axis=1)
    if not complete.any():
        raise SystemExit("its bank needs prompts that every model answered; the training prompts have 0")
    heads = [fit_head(vectors, scores[:, model], regularisation) for model in range(scores.shape[1])]
    return Router(
        models=[str(model) for model in range(scores.shape[1])],
        coef=np.array([weights for weights, _ in heads]),
        intercept=np.array([intercept for _, intercept in heads]),
        train_emb=vectors[complete],
        train_scores=scores[complete],
        train_costs=costs[complete],
    )


def predict(router: Router, vectors: Any) -> tuple[Any, Any]:
    """Return P(correct) and expected cost in USD, each of shape (n, m), in pieces that fit into memory."""
    starts = range(0, max(len(vectors), 1), CHUNK)
    parts = [router.predict(vectors[start : start + CHUNK]) for start in starts]
    return np.concatenate([p for p, _ in parts]), np.concatenate([cost for _, cost in parts])


def of_heads(router: Router, vectors: Any) -> Any:
    """Return P(correct) by the heads only, shape (n, m); the vote has weight 0, so one neighbour is enough."""
    bank = {name: getattr(router, name)[:1] for name in ("train_emb", "train_scores", "train_costs")}
    return predict(replace(router, **bank, knn_weight=0.0), vectors)[0]


def decide(p: Any, cost: Any, lambdas: Any) -> Any:
    """Return the choices at every lambda, shape (n_lambdas, n); as `Router.route_embeddings` chooses."""
    return np.array([(p - lam * cost).argmax(axis=1) for lam in lambdas])


def check(router: Router, vectors: Any, choices: Any, lambdas: Any) -> None:
    """Compare a sample of choices with `Router.route_embeddings`."""
    for at in np.linspace(0, len(lambdas) - 1, N_CHECKED).astype(int):
        its_own = np.array(replace(router, lam=float(lambdas[at])).route_embeddings(vectors[:N_CHECKED]))
        if not np.array_equal(its_own, choices[at, :N_CHECKED]):
            raise SystemExit(f"route_embeddings chose {its_own}, this adapter {choices[at, :N_CHECKED]}")


def answer(task: Any, side: str, routers: list[tuple[Router, Router]], lambdas: Any) -> tuple[Any, Any, list[float]]:
    """Return choices (v, l, n), P(success) (v, n, m) and seconds to decide (v) of every variant.

    `Router.predict` blends heads and vote. Here both are computed once, and then blended with every weight.
    """
    vectors = task[f"vectors_{side}"].astype(np.float64)
    choices, p_success, seconds = [], [], []
    votes: dict[int, tuple[Any, Any, Any, float]] = {}
    for graded, passed in routers:
        before = time.perf_counter()
        heads = of_heads(graded, vectors)
        heads_s = time.perf_counter() - before
        passed_heads = heads if passed is graded else of_heads(passed, vectors)
        for k in NEIGHBOURS:
            if k not in votes:
                before = time.perf_counter()
                vote, cost = predict(replace(graded, k=k, knn_weight=1.0), vectors)
                vote_s = time.perf_counter() - before
                passed_vote = vote if passed is graded else predict(replace(passed, k=k, knn_weight=1.0), vectors)[0]
                votes[k] = vote, passed_vote, cost, vote_s
            vote, passed_vote, cost, vote_s = votes[k]
            for weight in NEIGHBOUR_WEIGHTS:
                before = time.perf_counter()
                choices.append(decide((1 - weight) * heads + weight * vote, cost, lambdas))
                seconds.append(heads_s + vote_s + time.perf_counter() - before)
                p_success.append((1 - weight) * passed_heads + weight * passed_vote)
                check(replace(graded, k=k, knn_weight=weight), vectors, choices[-1], lambdas)
    return np.array(choices), np.array(p_success).clip(0, 1), seconds


def main(folder: Path) -> None:
    """Answer the task in a folder."""
    started = time.perf_counter()
    task = dict(np.load(folder / "task.npz", allow_pickle=False))
    values = task["values"]
    lambdas = 1.0 / np.where(values > 0, values, values[values > 0].min() / 1e3)
    binary = np.array_equal(task["quality_train"], task["success_train"], equal_nan=True)
    routers = []
    for regularisation in REGULARISATIONS:
        graded = build(task, "quality", regularisation)
        routers.append((graded, graded if binary else build(task, "success", regularisation)))
    choices, p_success, _ = answer(task, "validation", routers, lambdas)
    fit_s = time.perf_counter() - started
    test_choices, test_p_success, decide_s = answer(task, "test", routers, lambdas)
    np.savez(
        folder / "answer.npz",
        choices_validation=choices,
        choices_test=test_choices,
        p_success_validation=p_success,
        p_success_test=test_p_success,
    )
    settings = [
        {"C": regularisation, "k": k, "knn_weight": weight}
        for regularisation, k, weight in product(REGULARISATIONS, NEIGHBOURS, NEIGHBOUR_WEIGHTS)
    ]
    report = {"settings": settings, "fit_s": fit_s, "decide_s": decide_s}
    (folder / "answer.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
