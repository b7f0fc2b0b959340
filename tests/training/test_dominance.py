import numpy as np

from router_model.training.table.dominance import model_records

NAN = np.nan


def test_a_model_is_dominated_by_a_better_one_that_costs_no_more():
    """a: 0.5 at 1; b: 0.5 at 2 (dominated by a); c: 1.0 at 3; d: 0.0 at 4 (by a, the cheapest such)."""
    quality = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    cost = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    records = model_records(("a", "b", "c", "d"), quality, cost)
    assert [(r.model, r.dominated_by) for r in records] == [("c", None), ("a", None), ("b", "a"), ("d", "a")]


def test_means_are_over_known_outcomes_and_unknown_costs_dominate_nothing():
    records = model_records(("a", "b"), np.array([[1.0, 0.0], [NAN, 0.5]]), np.array([[NAN, 0.1], [NAN, 0.3]]))
    assert [(r.model, r.n_outcomes, r.quality, r.dominated_by) for r in records] == [
        ("a", 1, 1.0, None),
        ("b", 2, 0.25, None),
    ]


def test_equals_do_not_dominate_each_other():
    same = np.array([[0.5, 0.5]])
    assert [r.dominated_by for r in model_records(("a", "b"), same, same)] == [None, None]
