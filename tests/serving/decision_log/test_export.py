"""Any log becomes the table that training reads."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from asked_log import asked, put
from log_records import BEGAN, attempt, candidate, decision, feedback
from simulated_world import simulate

from router_model import Router, TableError
from router_model.serving.decision_log.export import export_log
from router_model.serving.decision_log.store import Period
from router_model.training.importing import import_sources
from router_model.training.table.outcomes import read_outcomes
from router_model.training.train import train

in_sqlite = pytest.mark.parametrize("log_url", ["sqlite"], indirect=True)
"""For what is made of records once they are read; a few tests read them from every kind of store."""


def export(url, out, *batches, period=Period(), **options):  # noqa: B008  (frozen)
    async def run(store):
        for index, records in enumerate(batches):
            await put(store, *records, name=f"batch-{index}")
        return await export_log(store, out, period, **options)

    return asked(url, run)


def row_of_export(url, tmp_path, *records):
    """Return the one row that the records make."""
    export(url, tmp_path / "table.parquet", records)
    (row,) = pl.read_parquet(tmp_path / "table.parquet").to_dicts()
    return row


def test_decision_attempt_and_feedback_become_one_row(log_url, tmp_path):
    """Chosen with propensity 0.75; the user last said 0.4 (and 1.0 before), a survey 0.8: mean 0.6."""
    row = row_of_export(
        log_url, tmp_path, decision(1), attempt(1),
        feedback(1, 0.4, created_at=BEGAN + timedelta(hours=2)), feedback(1, 1.0, feedback_id="earlier"),
        feedback(1, 0.8, feedback_id="t", source="survey"),
        feedback(1, 0.0, feedback_id="m", metric="politeness"),
    )  # fmt: skip
    assert row.pop("quality") == pytest.approx(0.6)
    assert json.loads(row.pop("extra")) == {
        "decision_id": decision(1).decision_id, "policy_version": "v1", "artifact": "sha256:abc",
        "reason": "cheapest_above_bar", "explored": False, "quality_bar": 0.5, "p_success": 0.9,
        "expected_cost_usd": 0.001, "expected_output_tokens": 300.0, "provider": "acme",
        "response_model": "small-2026", "cached_input_tokens": 4,
        "propensities": {"small": 0.75, "large": 0.25}, "preferred": "small", "excluded": ["tiny"],
    }  # fmt: skip
    assert row == {
        "prompt_id": decision(1).decision_id, "prompt": None, "messages": '[{"role":"user","content":"Hi"}]',
        "prompt_features": None, "tools": None, "response_format": None, "max_output_tokens": None, "turn_type": None,
        "model": "small", "input_tokens": 12, "output_tokens": 40, "cost_usd": 0.002, "latency_s": 1.25,
        "propensity": 0.75, "task": None, "timestamp": BEGAN + timedelta(seconds=2), "session_id": "s1",
        "source": "decision log", "judge": "k1",
    }  # fmt: skip


@in_sqlite
def test_what_was_asked_besides_the_messages_becomes_columns(log_url, tmp_path):
    """Where only features are kept, the type and the count are there, and no text."""
    said = {"turn_type": "title", "max_output_tokens": 64}
    texts = {"tools": '[{"type":"function","function":{"name":"add"}}]', "response_format": '{"type":"json_object"}'}
    row = row_of_export(log_url, tmp_path, decision(1, **said, **texts))
    assert {name: row[name] for name in (*said, *texts)} == said | texts
    bare = decision(2, messages=None, prompt_features="sealed", **said)
    export(log_url, tmp_path / "table.parquet", [], [bare])
    _, row = pl.read_parquet(tmp_path / "table.parquet").sort("prompt_id").to_dicts()
    assert {name: row[name] for name in (*said, *texts)} == said | dict.fromkeys(texts)


@in_sqlite
def test_an_explored_decision_tells_what_the_rule_preferred(log_url, tmp_path):
    """'large' was drawn with 0.25; 'small', which the rule prefers, stands behind it; 'tiny' could not be drawn."""
    candidates = (candidate("large", 0.25), candidate("small", 0.75), candidate("tiny", 0.0))
    row = row_of_export(log_url, tmp_path, decision(1, model="large", candidates=candidates, explored=True))
    extra = json.loads(row["extra"])
    assert (row["model"], row["propensity"], extra["preferred"]) == ("large", 0.25, "small")
    assert extra["propensities"] == {"large": 0.25, "small": 0.75}


@in_sqlite
def test_features_are_exported_as_they_were_sealed(log_url, tmp_path):
    sealed = decision(1, messages=None, prompt_sha256=None, prompt_features="rf1.0a1b2c3d.gAAA" + "x" * 2000)
    report = export(log_url, tmp_path / "table.parquet", [sealed, decision(2, messages=None), decision(3)])
    features, text = pl.read_parquet(tmp_path / "table.parquet")["prompt_features"]
    assert (features, text) == (sealed.prompt_features, None)
    assert (report.n_features, report.n_without_prompt) == (1, 1)
    assert "1 as sealed features" in report.lines()[0]


@in_sqlite
def test_without_an_attempt_the_chosen_model_counts(log_url, tmp_path):
    row = row_of_export(log_url, tmp_path, decision(1, messages='"Hi there"'), feedback(1, 0.5))
    assert (row["model"], row["quality"], row["propensity"], row["cost_usd"]) == ("small", 0.5, 0.75, None)
    assert (row["prompt"], row["messages"], row["timestamp"]) == ("Hi there", None, decision(1).created_at)


@in_sqlite
def test_a_fallback_has_its_own_outcome_and_no_propensity(log_url, tmp_path):
    """'small' failed and 'large' answered; feedback by the id of an earlier answer is not about it."""
    row = row_of_export(
        log_url, tmp_path, decision(1),
        attempt(1, attempt_id="a", response_id="first", created_at=BEGAN),
        attempt(1, attempt_id="b", status=503, error_type="overloaded", response_id=None),
        attempt(1, attempt_id="c", model="large", cost_usd=0.07, response_id="last", created_at=BEGAN.replace(hour=13)),
        feedback(1, 0.0, feedback_id="x", decision_id=None, response_id="first"),
        feedback(1, 0.9, feedback_id="y", decision_id=None, response_id="last"),
        feedback(1, 0.1, feedback_id="z", decision_id=None, response_id="unknown"),
    )  # fmt: skip
    assert (row["model"], row["quality"], row["propensity"], row["cost_usd"]) == ("large", 0.9, None, 0.07)
    assert json.loads(row["extra"])["p_success"] == 0.95


@in_sqlite
def test_what_was_said_of_a_cut_answer_is_not_about_the_retry(log_url, tmp_path):
    row = row_of_export(
        log_url, tmp_path, forwarded(1),
        attempt(1, attempt_id="a", error_type="truncated", response_id="cut"),
        attempt(1, attempt_id="b", response_id="whole", created_at=BEGAN.replace(hour=13)),
        feedback(1, 0.0, feedback_id="x", decision_id=None, response_id="cut"),
        feedback(1, 0.9, feedback_id="y", decision_id=None, response_id="whole"),
    )  # fmt: skip
    assert (row["model"], row["quality"]) == ("small", 0.9)


def forwarded(n=0, **changes):
    return decision(n, surface="chat", **changes)


@in_sqlite
def test_a_retry_at_another_provider_of_the_chosen_model_keeps_its_propensity(log_url, tmp_path):
    row = row_of_export(
        log_url, tmp_path, forwarded(1), attempt(1, attempt_id="a", status=503, error_type="server"),
        attempt(1, attempt_id="b", provider="other", created_at=BEGAN.replace(hour=13)),
    )  # fmt: skip
    assert (row["model"], row["propensity"], json.loads(row["extra"])["provider"]) == ("small", 0.75, "other")


@in_sqlite
def test_what_a_stream_cut_in_the_middle_said_is_no_answer(log_url, tmp_path):
    """'small' was cut after 9 tokens, with status 200; the retry by 'large' was not drawn with any probability."""
    row = row_of_export(
        log_url, tmp_path, forwarded(1),
        attempt(1, attempt_id="a", error_type="truncated", finish_reason=None, output_tokens=9, response_id="cut"),
        attempt(1, attempt_id="b", model="large", created_at=BEGAN.replace(hour=13)),
        feedback(1, 0.2, feedback_id="x", decision_id=None, response_id="cut"),
    )  # fmt: skip
    assert (row["model"], row["output_tokens"], row["propensity"], row["quality"]) == ("large", 40, None, None)


@in_sqlite
@pytest.mark.parametrize(
    "attempts",
    [
        [attempt(1, error_type="client_gone", finish_reason=None)],
        [attempt(1, error_type="client_gone", status=None)],
        [attempt(1, error_type="server", status=500), attempt(1, attempt_id="b", error_type="client_gone")],
        [],
    ],
)
def test_a_call_that_was_abandoned_or_never_sent_is_no_row(log_url, tmp_path, attempts):
    """Also where somebody judged it all the same."""
    records = [forwarded(1), *attempts, feedback(1)]
    report = export(log_url, tmp_path / "table.parquet", records)
    assert (report.n_decisions, report.n_rows) == (1, 0)
    assert report.lines()[1] == "Left out of 1 decision: 1 that no model answered"


@in_sqlite
@pytest.mark.parametrize("surface", ["chat", "messages", "generate"])
def test_a_forwarded_call_that_was_answered_is_a_row(log_url, tmp_path, surface):
    row = row_of_export(log_url, tmp_path, decision(1, surface=surface), attempt(1), feedback(1, 0.5))
    assert (row["model"], row["quality"], row["propensity"], row["cost_usd"]) == ("small", 0.5, 0.75, 0.002)


@in_sqlite
def test_a_degraded_decision_has_no_propensity(log_url, tmp_path):
    plan = (candidate("small", 1.0, None),)
    row = row_of_export(log_url, tmp_path, decision(1, degraded=True, candidates=plan), attempt(1))
    assert (row["model"], row["propensity"], row["quality"]) == ("small", None, None)


@in_sqlite
def test_what_is_left_out_is_counted(log_url, tmp_path):
    records = [
        decision(1), decision(2, messages=None), decision(3, shadow=True), decision(4), decision(5, messages="[]"),
        attempt(4, status=500, error_type="server_error"), decision(6), feedback(6),
    ]  # fmt: skip
    report = export(log_url, tmp_path / "table.parquet", records)
    assert (report.n_decisions, report.n_rows, report.n_with_quality, report.n_with_propensity) == (6, 2, 1, 2)
    assert report.lines()[1] == (
        "Left out of 6 decisions: 1 whose prompt is not stored (see log_prompts), 1 whose prompt cannot be read, "
        "1 that no model answered, 1 that were shadows"
    )


def test_the_period_is_of_decisions_and_feedback_counts_whenever_it_came(log_url, tmp_path):
    """Decisions 3 to 5 of ten; feedback comes a minute after each."""
    records = [make(n) for n in range(10) for make in (decision, attempt, feedback)]
    period = Period(BEGAN + timedelta(seconds=3), BEGAN + timedelta(seconds=6))
    report = export(log_url, tmp_path / "table.parquet", records, period=period)
    table = pl.read_parquet(tmp_path / "table.parquet")
    assert table["prompt_id"].to_list() == [decision(n).decision_id for n in (3, 4, 5)]
    assert (report.n_decisions, report.n_with_quality) == (3, 3)


def test_a_record_that_is_there_twice_counts_once(log_url, tmp_path):
    """The same batch under two names: files hold it twice, and so may two workers given one idempotency key."""
    records = [decision(1), attempt(1), feedback(1, 0.3)]
    report = export(log_url, tmp_path / "table.parquet", records, records)
    assert (report.n_rows, report.n_with_quality) == (1, 1)


def test_an_empty_log_gives_an_empty_table(log_url, tmp_path):
    assert export(log_url, tmp_path / "table.parquet").n_rows == 0
    assert pl.read_parquet(tmp_path / "table.parquet").height == 0


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_text_tables_can_be_imported(tmp_path, ending):
    records = [make(n) for n in range(3) for make in (decision, attempt, feedback)]
    tools = '[{"type":"function","function":{"name":"add","parameters":{"type":"object"}}}]'
    records[0] = decision(0, tools=tools, max_output_tokens=9, turn_type="work")
    export(f"sqlite:///{tmp_path}/log.db", tmp_path / f"table{ending}", records)
    report = import_sources([str(tmp_path / f"table{ending}")], tmp_path / "table.parquet")
    assert (report.n_rows, report.n_with_quality, report.n_rejected) == (3, 3, 0)
    assert read_outcomes(tmp_path / "table.parquet").cost_usd.tolist() == [[0.002]] * 3
    first = pl.read_parquet(tmp_path / "table.parquet").filter(prompt_id=decision(0).decision_id).row(0, named=True)
    assert (json.loads(first["tools"]), first["max_output_tokens"]) == (json.loads(tools), 9)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(TableError, match="table.xlsx: expected a name that ends in .parquet, .csv, .jsonl"):
        export(f"sqlite:///{tmp_path}/log.db", tmp_path / "table.xlsx")


def traffic(n):
    """Decisions of a router that explores evenly among three models, in the simulated world, with their outcomes."""
    rng = np.random.default_rng(5)
    models = ("coder", "large", "small")
    records = []
    for index, prompt in enumerate(simulate(n, seed=3).partition_by("prompt_id", maintain_order=True)):
        outcome = prompt.row(int(rng.integers(3)), named=True)
        chosen = outcome["model"]
        plan = tuple(candidate(model, 1 / 3) for model in sorted(models, key=lambda model: model != chosen))
        made = decision(index, model=chosen, candidates=plan, session_id=None, messages=json.dumps(outcome["prompt"]))
        call = attempt(index, model=chosen, input_tokens=14, output_tokens=outcome["output_tokens"])
        records += [made, call, feedback(index, outcome["quality"])]
    return records


def test_training_reads_what_is_exported(log_url, tmp_path):
    export(log_url, tmp_path / "table.parquet", traffic(60))
    outcomes = read_outcomes(tmp_path / "table.parquet")
    assert outcomes.models == ("coder", "large", "small")
    assert np.isfinite(outcomes.quality).sum(axis=1).tolist() == [1] * 60
    assert np.nanmax(outcomes.propensity) == np.nanmin(outcomes.propensity) == pytest.approx(1 / 3)


@pytest.mark.slow
def test_the_loop_closes(tmp_path, catalog):
    """Traffic of 600 prompts, each answered by one model, makes a router that tells poems from sums."""
    export(f"sqlite:///{tmp_path}/log.db", tmp_path / "table.parquet", traffic(600))
    report = train(tmp_path / "table.parquet", tmp_path / "router", catalog=catalog)
    assert set(report.models) == {"coder", "large", "small"}
    router = Router.load(tmp_path / "router")
    poem, total = router.predict(["river moon verse rhyme autumn silence", "add subtract divide 12 45 sum"]).p_success
    assert poem[2] < total[2]  # 'small' does sums (0.9) and not poems (0.3)


def test_missing_fields_of_an_older_version_are_null(tmp_path):
    """A file of a version that knew no `messages`: its decisions are there, without a prompt."""
    url = f"parquet:{tmp_path}/log"
    export(url, tmp_path / "table.parquet", [decision(1)])
    (path,) = (tmp_path / "log" / "decisions").glob("*.parquet")
    pl.read_parquet(path).drop("messages").with_columns(new_in_a_later_version=1).write_parquet(path)
    assert export(url, tmp_path / "table.parquet").n_without_prompt == 1


@in_sqlite
def test_what_was_estimated_of_the_usage_is_told(log_url, tmp_path):
    row = row_of_export(log_url, tmp_path, decision(1), attempt(1, usage_estimated="input_zero, cost_too_low"))
    assert json.loads(row["extra"])["usage_estimated"] == "input_zero, cost_too_low"


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([feedback(1, 0.0, key_id="k9")], (None, None)),  # another key's word
        ([feedback(1, 1.0), *(feedback(1, 0.0, feedback_id=f"{n}", source=f"{n}", key_id="k9") for n in range(50))],
         (1.0, "k1")),
        ([feedback(1, 0.25, key_id="k9", authority="any")], (0.25, None)),  # who judges all is the operator's grader
        ([feedback(1, 0.25, key_id="k9", authority="any"), feedback(1, 0.75, feedback_id="own")], (0.5, "k1")),
        # three sources of one key are one judge: (1 + 0 + 0.5) / 3, and the grader's 1
        ([*(feedback(1, score, feedback_id=f"{score}", source=f"{score}") for score in (1.0, 0.0, 0.5)),
          feedback(1, 1.0, feedback_id="all", key_id="k9", authority="any")], (0.75, "k1")),
        ([feedback(1, 0.75, response_id="resp_2")], (0.75, "k1")),  # decision_id counts, whatever answer is named
    ],
)  # fmt: skip
def test_who_may_judge_and_how_much_one_judge_counts(tmp_path, reports, expected):
    records = [decision(1), attempt(1), decision(2), attempt(2), *reports]
    export(f"sqlite:///{tmp_path}/log.db", tmp_path / "table.parquet", records)
    row, _ = pl.read_parquet(tmp_path / "table.parquet").sort("prompt_id").to_dicts()
    assert (row["quality"], row["judge"]) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"user": 0.0, "judge": 1.0, "label": 0.75}, (0.75, "k1")),  # what was checked
        ({"user": 0.0, "judge": 1.0, "test": 0.5}, (0.5, "k1")),
        ({"user": 0.25, "judge": 1.0, "edit": 1.0}, (0.25, "k1")),  # what a person said
        ({"judge": 1.0, "regenerate": 0.0}, (1.0, "k1")),
        ({"regenerate": 0.0}, (0.0, "k1")),  # where nobody said more
        ({"regenerate": 0.0, "user by k9": 1.0}, (1.0, None)),  # another key said more
        ({"label": 0.0, "judge by k9": 1.0}, (0.5, "k1")),  # a caller's own label is one judge of two
        ({"label": 0.0, "label by k9": 1.0}, (1.0, None)),  # the operator's check
    ],
)
def test_which_source_wins(tmp_path, said, expected):
    """k9 has the role feedback-all."""
    reports = []
    for n, (who, score) in enumerate(said.items()):
        source, _, key = who.partition(" by ")
        sender = {"key_id": key, "authority": "any"} if key else {}
        later = BEGAN + timedelta(hours=10 - n)
        reports.append(feedback(1, score, feedback_id=f"{n}", source=source, created_at=later, **sender))
    row = row_of_export(f"sqlite:///{tmp_path}/log.db", tmp_path, decision(1), attempt(1), *reports)
    assert (row["quality"], row["judge"]) == expected


def test_a_prompt_that_is_asked_again_failed_only_if_asked_for_and_if_nobody_judged(tmp_path):
    """1 and 2 are asked again 60 s later by 3; 2 was judged. 4 is of another session, 5 of another key, 6 is late."""

    def asked(n, seconds, **changes):
        return decision(n, **{"session_id": "s", "created_at": BEGAN + timedelta(seconds=seconds)} | changes)

    records = [
        asked(1, 0), asked(2, 30), asked(3, 60), asked(4, 61, session_id="t"), asked(5, 62, key_id="k2"),
        asked(6, 1000), asked(7, 1030, prompt_sha256="cd" * 32), feedback(2, 0.75),
    ]  # fmt: skip
    qualities = []
    for within in (None, timedelta(minutes=10)):
        out = tmp_path / "table.parquet"
        export(f"sqlite:///{tmp_path}/log.db", out, records, regenerated_within=within)
        qualities.append(pl.read_parquet(out).sort("prompt_id")["quality"].to_list())
    assert qualities == [[None, 0.75, *[None] * 5], [0.0, 0.75, *[None] * 5]]


@pytest.mark.parametrize(
    ("surface", "reporter", "cost_usd"),
    [
        ("chat", ("k1", "own"), 0.002),  # forwarded here: what was measured here counts
        ("chat", ("k9", "any"), 0.002),
        ("route", ("k1", "own"), 9.0),  # its owner's gateway called the model
        ("route", ("k9", "any"), 9.0),
        ("route", ("k9", "own"), 0.002),
    ],
)
def test_whose_outcomes_count(tmp_path, surface, reporter, cost_usd):
    """A later report says 9 USD and that 'large' answered."""
    reported = attempt(
        1, attempt_id="reported", created_at=BEGAN + timedelta(hours=1), model="large", cost_usd=9.0,
        key_id=reporter[0], authority=reporter[1],
    )  # fmt: skip
    first = attempt(1, authority=None if surface == "chat" else "own")
    row = row_of_export(f"sqlite:///{tmp_path}/log.db", tmp_path, decision(1, surface=surface), first, reported)
    assert (row["cost_usd"], row["model"]) == (cost_usd, "large" if cost_usd == 9 else "small")


def test_rows_of_one_router_are_taken_alone(log_url, tmp_path):
    """Decisions from before there were names are those of ``default``."""
    records = [
        decision(0), attempt(0), decision(1, router="default"), decision(2, router="code"), attempt(2),
        feedback(2, 1.0),
    ]  # fmt: skip
    report = export(log_url, tmp_path / "all.parquet", records)
    assert report.lines()[-1] == "Rows of several routers: code, default; --router NAME takes those of one"
    for name, ids in (("default", [0, 1]), ("code", [2]), ("nobody", [])):
        report = export(log_url, tmp_path / "some.parquet", router=name)
        found = pl.read_parquet(tmp_path / "some.parquet")
        assert found["prompt_id"].to_list() == [decision(n).decision_id for n in ids]
        assert (report.n_decisions, report.n_rows, len(report.lines())) == (len(ids), len(ids), 1)
        assert found["extra"].str.json_path_match("$.router").to_list() == ["code" if name == "code" else None] * len(
            ids
        )
