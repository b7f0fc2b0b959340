"""Figures of the report's first screen, worked by hand and against what other commands say."""

import json
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair", reason="extra 'report' is not installed")

from command_line import run_command
from explored_log import explored_log
from simulated_world import outcomes_in, simulate

from router_model.errors import RequestError, TableError
from router_model.pages.blocks import Figure, Numbers, Table
from router_model.pages.render import render
from router_model.training.measuring.by_task import difference_by_task
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.failures import failing_kinds
from router_model.training.measuring.verdict import Difference, Estimate, Finding, Verdict
from router_model.training.reporting.first_screen import first_screen, headline, next_steps, warnings
from router_model.training.reporting.report import Today, report_on_log, report_on_table
from router_model.training.reporting.report_page import report_page
from router_model.training.reporting.volume import UNKNOWN, of_log, stated

SAVES = Difference(
    Estimate(-0.002, -0.008, 0.004), Estimate(0.4, 0.3, 0.5), 2000, 2000, saved_usd=Estimate(0.004, 0.003, 0.005)
)


@pytest.fixture(scope="module")
def fresh():
    return outcomes_in(simulate(500, seed=8))


@pytest.fixture(scope="module")
def on_table(trained, fresh):
    mix = {trained.router.models[0]: 3.0, trained.router.models[1]: 1.0}
    return report_on_table(trained.router, fresh, source="fresh", requests_a_month=30_000, today=mix)


def stated_report(**changes):
    """A report with made figures: the best model costs $0.01 a request, and $0.004 of that are saved."""
    fields = {
        "router": SimpleNamespace(certificates=()), "source": "2,000 prompts of a table", "volume": stated(500_000),
        "margin": 0.01, "best": "large", "best_cost_usd": 0.01, "router_cost_usd": 0.006, "against_best": SAVES,
        "today": Today("70% large, 30% small", replace(SAVES, saved_usd=Estimate(0.001, -0.001, 0.003)), 0.007),
        "verdict": Verdict(Finding.BETTER, "routing pays: saves 40 % ± 10 at -0.2 ± 0.6 points", "large"),
        "drift": None, "prices": (), "n_seen": 0,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def numbers_of(report):
    (numbers,) = [block for block in first_screen(report).blocks if isinstance(block, Numbers)]
    return [(one.value, one.detail, one.tone) for one in numbers.numbers]


def test_the_first_screen_counts_by_hand():
    """500,000 requests x $0.004 = $2,000 a month, from $1,500 to $2,500, of 500,000 x $0.01 = $5,000."""
    saved, quality, today, _ = numbers_of(stated_report())
    assert saved == ("$2,000", "95 %: $1,500 to $2,500. 40 % of $5,000 (large)", "good")
    assert quality == ("-0.2 points", "95 %: -0.8 to +0.4; a point is a hundredth of the scale from 0 to 1", "neutral")
    assert today == ("$500", "95 %: -$500 to $1,500. 40 % of $3,500 (70% large, 30% small)", "neutral")
    assert headline(stated_report()) == "Routing saves $2,000 a month, and answers stay as good"


def test_without_a_volume_money_is_counted_per_1000_requests():
    report = stated_report(volume=UNKNOWN, today=None)
    assert numbers_of(report)[0][0] == "$4.00"
    assert headline(report) == "Routing saves $4.00 per 1,000 requests, and answers stay as good"
    said = " ".join(next_steps(report))
    assert "--requests-a-month" in said
    assert "--today" in said
    assert "serve ROUTER --insecure" in said  # without it or a key file, `serve` refuses to start


def test_what_costs_more_is_said_as_a_cost():
    dearer = replace(
        SAVES, quality=Estimate(0.03, 0.02, 0.04), saving=Estimate(-0.2, -0.3, -0.1),
        saved_usd=Estimate(-0.002, -0.003, -0.001),
    )  # fmt: skip
    report = stated_report(against_best=dearer, verdict=Verdict(Finding.BETTER_DEARER, "pays in quality", "large"))
    assert numbers_of(report)[0] == ("$1,000", "95 %: $500 to $1,500. 20 % more than $5,000 (large)", "bad")
    assert headline(report) == "Routing pays in quality: answers get better, and it costs $1,000 more a month"


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (Finding.TIE, "send everything to small"),
        (Finding.WORSE, "does not pay here: send everything to small"),
        (Finding.UNCLEAR, "about 1,200 more graded prompts"),
        (Finding.CHEAPER_WORSE, "answers get worse by 3.0 points"),
    ],
)
def test_a_verdict_that_is_no_success_is_said_plainly(finding, said):
    worse = replace(SAVES, quality=Estimate(-0.03, -0.04, -0.02))
    report = stated_report(against_best=worse, verdict=Verdict(finding, "said", "small", n_more=1200))
    assert said in headline(report)
    assert next_steps(report)[0]


def test_a_report_warns_where_the_router_knew_the_prompts_or_they_are_few():
    """A verdict that may mislead is not shown as a good one, and the first step is to measure again."""
    doubted = stated_report(n_seen=1600, against_best=replace(SAVES, n_independent=40))
    assert [said[:35] for said in warnings(doubted)] == [
        "The router learned from 1,600 of th", "Only 40 independent prompts were mea"[:35]
    ]  # fmt: skip
    verdict, first, second, *_ = first_screen(doubted).blocks
    assert (verdict.tone, first.warns, second.warns) == ("neutral", True, True)
    assert "--include-seen" in next_steps(doubted)[0]
    assert not warnings(stated_report())


def test_a_loss_within_what_was_accepted_is_told_as_a_loss():
    loses = replace(SAVES, quality=Estimate(-0.005, -0.009, -0.001))
    said = "answers lose 0.5 points, which is within the accepted 1 point"
    assert said in headline(stated_report(against_best=loses))


def test_a_report_says_what_evaluate_says(trained, fresh, on_table):
    """Saved a month = requests x (cost of the best model - cost of the router); a mix costs its weighted mean."""
    evaluation = evaluate(trained.router, fresh)
    singles = {single.label: single for single in evaluation.singles}
    best = singles[evaluation.best_single]
    saved = on_table.against_best.saved_usd
    assert saved.value == pytest.approx(best.cost_usd - evaluation.router.cost_usd)
    assert saved.low <= saved.value <= saved.high
    first, second = (singles[model] for model in trained.router.models[:2])
    mixed = 0.75 * first.cost_usd + 0.25 * second.cost_usd
    assert on_table.today.cost_usd == pytest.approx(mixed)
    assert on_table.today.difference.saved_usd.value == pytest.approx(mixed - evaluation.router.cost_usd)
    quality = evaluation.router.quality - 0.75 * first.quality - 0.25 * second.quality
    assert on_table.today.difference.quality.value == pytest.approx(quality)


def test_every_figure_of_the_page_is_drawn_in_both_widths(on_table):
    page = report_page(on_table, name="r")
    figures = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    assert len(figures) >= 3
    for figure in figures:
        for width in (344, 760):
            assert figure.draw(width).to_dict()["width"] == min(width, 520) or width


def test_of_partial_outcomes_the_known_ones_count_as_they_are(trained, fresh):
    """Estimates correct known answers for those that are missing, so a known failure need not be 0 in them."""
    quality = np.where(np.arange(fresh.quality.size).reshape(fresh.quality.shape) % 3, np.nan, fresh.quality)
    found = report_on_table(trained.router, replace(fresh, quality=quality), source="partial")
    assert ((found.reliability.observed >= 0) & (found.reliability.observed <= 1)).all()
    assert found.n_failed > 0
    assert render(report_page(found, name="r", command=""))


def test_tasks_are_all_of_the_table_and_small_ones_are_pooled(trained):
    """Of 300 prompts, 10 are of each of five small tasks, which are shown together."""
    frame = simulate(300, seed=9)
    ids = frame["prompt_id"].unique(maintain_order=True).to_list()
    task_of = {name: f"small {place % 5}" if place < 50 else "large" for place, name in enumerate(ids)}
    frame = frame.with_columns(task=pl.col("prompt_id").replace_strict(task_of))
    decided = evaluate(trained.router, outcomes_in(frame), include_seen=True, keep_decisions=True).decided
    found = difference_by_task(decided)
    assert [(one.task, one.difference.n_prompts) for one in found.shown] == [
        ("large", 250), ("5 small tasks", 50)
    ]  # fmt: skip
    assert found.n_left_out == 0


def test_a_kind_that_fails_is_found_and_named():
    """Two kinds of prompts, 200 each; a quarter of the second fails, and nothing of the first."""
    rng = np.random.default_rng(0)
    texts = [f"translate the sonnet number {i} into latin" for i in range(200)]
    texts += [f"integrate the polynomial number {i} over the interval" for i in range(200)]
    centre = np.repeat(np.eye(2), 200, axis=0)
    failed = np.arange(400) % 4 == 0
    failed[:200] = False
    found = failing_kinds(
        texts, centre + 0.05 * rng.normal(size=(400, 2)), failed, failed, models=["m"] * 400, tasks=["t"] * 400
    )
    assert sum(kind.n_failed for kind in found) > 0
    assert all({"integrate", "polynomial", "interval"} & set(kind.words) for kind in found)
    assert all("sonnet" not in kind.words for kind in found)
    assert all(example.startswith("integrate") for kind in found for example in kind.examples)


def test_failures_by_chance_are_no_kind():
    """Of 20 tables without any kind, at most 3 show one: the error rate is 5 % a table."""
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        failed = rng.random(400) < 0.2
        names = ["m"] * 400
        found += bool(
            failing_kinds(
                [f"prompt {i}" for i in range(400)],
                rng.normal(size=(400, 8)),
                failed,
                failed,
                models=names,
                tasks=names,
            )
        )
    assert found <= 3


def test_failures_of_repeated_prompts_by_chance_are_no_kind():
    """Each of 240 prompts came five times, and fails or succeeds every time: it tells as much as one."""
    groups, names = np.repeat(np.arange(240), 5), ["m"] * 1200
    texts, nothing = [f"prompt {i}" for i in groups], np.zeros(1200, dtype=np.bool_)
    found, as_if_independent = 0, 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        failed, embedding = (rng.random(240) < 0.3)[groups], rng.normal(size=(240, 8))[groups]
        kinds = [
            failing_kinds(texts, embedding, failed, nothing, models=names, tasks=names, groups=each)
            for each in (groups, None)
        ]
        found, as_if_independent = found + bool(kinds[0]), as_if_independent + bool(kinds[1])
    assert found <= 2
    assert as_if_independent >= 8


def test_a_log_gives_its_volume_and_todays_mix(trained, tmp_path):
    """The router that wrote the log, without its exploration, against what it did, and each model alone."""
    path = tmp_path / "log.parquet"
    explored_log(trained.router, 600)[0].write_parquet(path)
    report = report_on_log(trained.router, path, source="the log", on=date(2026, 3, 3))
    assert report.volume == of_log(path)
    assert report.today.name == "what the service did"
    known = set(report.ledger.singles)
    assert report.best in known
    assert report.today.difference.saved_usd.value == pytest.approx(report.today.cost_usd - report.router_cost_usd)
    page = report_page(report, name="r")
    assert [section.title for section in page.sections][:2] == ["", "Cost and quality"]
    (settings,) = [block for block in page.sections[1].blocks if isinstance(block, Table)]
    assert [row.cells[0].text for row in settings.rows] == [
        "as trained", "position 8 of 10", "position 9 of 10", "position 10 of 10"
    ]  # fmt: skip
    routed, was = zip(*report.ledger.shares.values(), strict=True)
    assert (sum(routed), sum(was)) == (pytest.approx(1), pytest.approx(1))
    value, minus_best = report.ledger.cheaper[10]
    assert value.cost_usd.value < report.router_cost_usd
    assert minus_best.saving.value > report.against_best.saving.value


def test_bad_input_is_told_in_one_sentence(trained, fresh, tmp_path):
    with pytest.raises(TableError, match="names \\['gpt-99'\\]; expected models with outcomes"):
        report_on_table(trained.router, fresh, source="fresh", today={"gpt-99": 1.0})
    with pytest.raises(RequestError, match="expected a number above 0"):
        report_on_table(trained.router, fresh, source="fresh", requests_a_month=-3)
    for arguments, said in (
        ((), "expected TABLE or --log, got neither"),
        (("t.parquet", "--today", "a=b"), "expected MODEL, or MODEL=SHARE"),
        (("t.parquet", "--out", tmp_path / "no" / "r.html"), "in a folder that exists"),
        (("t.parquet", "--supported-only"), "about --log"),
    ):
        done = run_command("report", trained.path, *arguments)
        assert done.returncode == 2
        assert said in done.stderr


def test_the_command_writes_the_page_and_its_figures(trained, tmp_path):
    simulate(400, seed=8).write_parquet(tmp_path / "fresh.parquet")
    out = tmp_path / "report.html"
    done = run_command(
        "report", trained.path, tmp_path / "fresh.parquet", "--out", out, "--requests-a-month", "1000", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["out"] == str(out)
    assert found["is_month"]
    assert out.stat().st_size < 3_000_000
    assert "What to do next" in out.read_text()
