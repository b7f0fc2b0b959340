import pickle
from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.plan import Plan, PlanStep
from router_model.prediction_table import PredictionTable

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
    """What a plan's step is, read number by number."""
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
        plan = Plan.of_row(table, row, np.array(columns, dtype=np.intp))
        assert repr(plan) == repr(expected)  # as text: NaN is no number's equal
        assert repr([plan[place] for place in range(len(plan))]) == repr([*expected])
        assert plan.models == tuple(step.model for step in expected)
        for field in fields(PlanStep):
            assert repr([*plan.column(field.name)]) == repr([getattr(step, field.name) for step in expected])
        assert table.abstains(row) == bool(table.abstained[row])


def test_a_plan_is_a_sequence_of_steps_whether_they_lie_in_a_table_or_were_given():
    """Three candidates of a table, the last one first; then the same steps as a tuple."""
    of_table = Plan.of_row(tables(1, 3, 0, with_all=False), 0, np.array([2, 0, 1]))
    given = Plan.of(tuple(of_table))
    for plan in (of_table, given, pickle.loads(pickle.dumps(of_table))):
        assert plan == of_table == tuple(given)
        assert hash(plan) == hash(tuple(given))
        assert plan.with_first(2).models == ("model-1", "model-2", "model-0")
        assert plan.with_first(2)[1:] == of_table[:2]
        assert plan.with_first(2).column("p_success") == [plan[2].p_success, plan[0].p_success, plan[1].p_success]
        assert plan[-1] is not None
        assert [*reversed(plan)] == [plan[2], plan[1], plan[0]]
        with pytest.raises(IndexError):
            plan[3]
    assert of_table != "a plan"


def test_a_decision_as_a_dict_is_all_of_its_fields_but_features(trained):
    router = trained.router
    for decision in (router.route(SUM), router.route(SUM, target_success=0.6, explain=True)):
        expected = asdict(decision) | {"plan": tuple(map(asdict, decision.plan))}
        assert expected.pop("features") is None  # nobody asked to keep them
        expected["n_input_pieces"] = expected.pop("n_input_tokens")  # its own tokenizer's; no provider counts them
        if decision.certificate is not None:
            expected["certificate"] = decision.certificate.as_dict()
        assert decision.as_dict() == expected
        assert list(decision.as_dict()) == list(expected)
