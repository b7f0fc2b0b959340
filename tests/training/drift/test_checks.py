"""What each check of a log finds, with numbers worked by hand."""

from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from router_model.catalog import Catalog, ModelCard
from router_model.training.drift.checks import (
    Thresholds,
    check_amount,
    check_answering,
    check_calibration,
    check_price_ages,
    check_prices,
    check_success,
    check_unknown,
    same_model,
)
from router_model.training.drift.finding import prometheus_text

LIMITS = Thresholds()


def calls(n=100, **columns):
    return pl.DataFrame({"model": ["m"] * n} | {name: np.broadcast_to(v, n) for name, v in columns.items()})


def graded(success, p, **columns):
    n = len(success)
    return calls(n, quality=np.asarray(success, float), quality_bar=0.5, p_success=p, **columns)


def test_cost_is_the_quotient_of_the_sums():
    real = np.tile([1.0, 3.0], 50)
    (found,) = check_amount("cost", calls(real=real, said=1.0), "real", "said", 0.15, advice="retrain")
    # 200 / 100 - 1; the standard deviation of the deviations from the ratio is 1 (100 of them).
    assert found.effect == 1.0
    assert found.high - found.effect == pytest.approx(2.576 * np.std(real, ddof=1) / 10)
    assert (found.drifted, found.advice, found.subject) == (True, "retrain", "m")


def test_a_small_difference_does_not_count_however_sure_it_is():
    (found,) = check_amount("cost", calls(10_000, real=1.1, said=1.0), "real", "said", 0.15, advice="retrain")
    assert (round(found.effect, 9), found.low > 0, found.drifted, found.advice) == (0.1, True, False, "")


def test_few_calls_cannot_tell():
    (found,) = check_amount("cost", calls(29, real=9.0, said=1.0), "real", "said", 0.15, advice="retrain")
    assert (found.drifted, found.says) == (False, "29, too few to tell")


def test_a_billed_price_above_the_catalog():
    card = ModelCard("m", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal(1))
    tokens = {"input_tokens": 1_000, "cached_input_tokens": 400, "cache_write_tokens": None, "output_tokens": 100}
    # 600 x 2 + 400 x 1 + 100 x 10 = 2,600 USD per million
    right = calls(cost_usd=0.0026, **tokens)
    wrong = calls(cost_usd=0.0052, **tokens)
    catalog = Catalog({"m": card})
    assert [round(one.effect, 9) for one in check_prices(right, catalog, LIMITS)] == [0.0]
    (found,) = check_prices(wrong, catalog, LIMITS)
    assert (round(found.effect, 9), found.drifted) == (1.0, True)


def test_old_prices_and_prices_without_a_date():
    cards = {name: ModelCard(name, Decimal(1), Decimal(1), price_date=day) for name, day in {
        "old": date(2026, 8, 1), "new": date(2026, 11, 1), "undated": None}.items()}  # fmt: skip
    new, old = check_price_ages(Catalog(cards), cards, date(2026, 11, 29), LIMITS)
    assert (new.subject, new.effect, new.drifted) == ("new", 28, False)
    assert (old.subject, old.effect, old.drifted) == ("old", 120, True)


@pytest.mark.parametrize(("rate", "is_off"), [(0.8, False), (0.6, True)])
def test_success_below_what_was_predicted(rate, is_off):
    success = np.arange(1000) % 10 < 10 * rate
    (found,) = check_calibration(graded(success, 0.8), LIMITS)
    assert found.effect == pytest.approx(rate - 0.8)
    assert found.low < found.effect < found.high
    assert found.drifted is is_off


def test_calls_without_a_grade_or_a_prediction_say_nothing():
    known = graded([1.0] * 40, 0.9)
    unknown = known.with_columns(quality=pl.lit(None, pl.Float64), p_success=pl.lit(None, pl.Float64))
    assert check_calibration(pl.concat([known, unknown]), LIMITS) == check_calibration(known, LIMITS)


def test_success_by_task():
    task = np.repeat(["a", "b"], 500)
    success = np.concatenate([np.arange(500) % 10 < 8, np.arange(500) % 10 < 5])
    a, b = check_success(graded(success, 0.8, task=task), LIMITS)
    assert (a.subject, a.drifted, b.subject, b.drifted) == ("a", False, "b", True)
    assert b.effect == pytest.approx(-0.3)


@pytest.mark.parametrize(("n", "is_off"), [(1000, False), (10_000, True)])
def test_a_task_counts_only_if_its_whole_interval_lies_beyond_the_threshold(n, is_off):
    """6 points less than predicted: 2.576 sqrt(0.74 * 0.26 / n) is 3.6 points on each side, or 1.1."""
    (found,) = check_success(graded(np.arange(n) % 100 < 74, 0.8, task="a"), LIMITS)
    assert found.high == pytest.approx(-0.06 + 2.576 * (0.74 * 0.26 / n) ** 0.5, abs=1e-4)
    assert found.high < 0
    assert found.drifted is is_off


def test_a_log_without_tasks_is_not_silent_about_it():
    (found,) = check_success(graded([1.0] * 40, 0.9, task=""), LIMITS)
    assert (found.check, found.drifted, found.n) == ("success", False, 0)
    assert found.says == "not checked, because no graded call has a task"


def test_another_model_answers():
    answered = ["m-2026-01-01"] * 98 + ["dearer"] * 2
    (found,) = check_answering(calls(response_model=answered), LIMITS)
    assert (found.effect, found.drifted, found.says) == (0.02, True, "2 % of its calls were answered by dearer")


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("openai/gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("gpt-4", "gpt-4.1", False),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", True),
        ("claude-opus-4", "claude-opus-4-1-20250805", False),
        ("gemini-1.5-flash", "models/gemini-1.5-flash-002", True),
        ("small", "large", False),
    ],
)
def test_names_of_one_model(asked, answered, same):
    assert same_model(asked, answered) is same


def test_a_model_that_the_router_does_not_know():
    mixed = pl.concat([calls(95), calls(5).with_columns(model=pl.lit("new"))])
    (found,) = check_unknown(mixed, ["m"], LIMITS)
    assert (found.subject, found.effect, found.n, found.drifted) == ("new", 0.05, 5, True)


def test_metrics_escape_what_providers_write():
    (found,) = check_unknown(calls(5).with_columns(model=pl.lit('a"b\nc\\')), [], LIMITS)
    assert 'router_drift_drifted{check="unknown model",subject="a\\"b\\nc\\\\"} 1.0' in prometheus_text([found])
