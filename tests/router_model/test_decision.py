from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router_model.decision import PlanStep, PredictionTable

SUM = "add subtract multiply divide number sum 12 45 7 total minus plus"


def tables(n: int, m: int, seed: int, *, with_all: bool) -> PredictionTable:
    rng = np.random.default_rng(seed)
    extra = {
        "trust": rng.choice([0.0, 0.5, 1.0], n),
        "p_interval": rng.random((n, m, 2)),
        "output_token_quantiles": rng.random((n, m, 3)),
        "expected_latency_s": rng.choice([np.nan, 1.5], (n, m)),
        "expected_quality": rng.random((n, m)),
    }
    models = tuple(f"model-{column}" for column in range(m))
    return PredictionTable(
        models, rng.random((n, m)), rng.random((n, m)), rng.random((n, m)), rng.random(n), 0.5,
        **(extra if with_all else {}),
    )  # fmt: skip


def one_by_one(table: PredictionTable, row: int, column: int) -> PlanStep:
    """What `steps` gives, read number by number."""
    interval, quantiles, latency = table.p_interval, table.output_token_quantiles, table.expected_latency_s
    return PlanStep(
        model=table.models[column],
        p_success=float(table.p_success[row, column]),
        expected_cost_usd=float(table.expected_cost_usd[row, column]),
        expected_output_tokens=float(table.expected_output_tokens[row, column]),
        p_interval=None if interval is None else tuple(float(end) for end in interval[row, column]),
        output_token_quantiles=None if quantiles is None else tuple(float(q) for q in quantiles[row, column]),
        expected_latency_s=None if latency is None else float(latency[row, column]),
        expected_quality=None if table.expected_quality is None else float(table.expected_quality[row, column]),
    )


@given(st.integers(1, 3), st.integers(1, 5), st.integers(0, 99), st.booleans())
def test_steps_are_the_numbers_of_the_table(n, m, seed, with_all):
    table = tables(n, m, seed, with_all=with_all)
    columns = np.random.default_rng(seed).permutation(m)[: m - m // 3].tolist()
    for row in range(n):
        expected = tuple(one_by_one(table, row, column) for column in columns)
        assert repr(table.steps(row, columns)) == repr(expected)  # as text: NaN is no number's equal
        assert table.abstains(row) == bool(table.abstained[row])


def test_a_decision_as_a_dict_is_all_of_its_fields_but_features(trained):
    router = trained.router
    for decision in (router.route(SUM), router.route(SUM, target_success=0.6, explain=True)):
        expected = asdict(decision)
        assert expected.pop("features") is None  # nobody asked to keep them
        if decision.certificate is not None:
            expected["certificate"] = decision.certificate.as_dict()
        assert decision.as_dict() == expected
        assert list(decision.as_dict()) == list(expected)
