"""`router-model collect`: from prompts to a table of outcomes, against a provider that bills and fails."""

import json
from pathlib import Path

import polars as pl
import pytest
from asked_log import written
from billing_provider import billing_provider, catalog_toml
from command_line import run_command
from log_records import attempt, decision
from written_page import text_of

from router_model.commands.collect_plan import Plan
from router_model.serving.paid_calls.calls import PaidCall
from router_model.serving.paid_calls.journal import Journal
from router_model.training.contenders import FIRST_PROMPTS
from router_model.training.importing import import_sources
from router_model.training.prompts_to_ask import read_prompts

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "sum", "schema": {"type": "object"}}}
REFERENCE = {"name": "add", "arguments": {}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@pytest.fixture
def provider(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with billing_provider() as running:
        (tmp_path / "providers.toml").write_text(running.providers_toml(("small", "large")))
        (tmp_path / "catalog.toml").write_text(catalog_toml("small", "large"))
        yield running


def write(prompts):
    Path("prompts.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in prompts))
    return "prompts.jsonl"


def collect(prompts, *more, models="small,large", budget=1):
    prompts = prompts if isinstance(prompts, str) else write(prompts)
    return run_command(
        *("collect", prompts, "--models", models, "--providers", "providers.toml", "--catalog", "catalog.toml"),
        *("--budget-usd", budget, "--out", "outcomes.parquet", *more),
    )


def texts(n):
    return [{"prompt": f"Prompt {k}"} for k in range(n)]


def test_a_chat_body_is_sent_as_it_is_and_its_outcome_is_a_row(provider):
    """Of the answer with a tool call: 1 + 7 x 3 tokens of text "Add", so 22."""
    prompts = [
        {
            "messages": [{"role": "user", "content": "Add"}], "tools": [TOOL], "tool_choice": "auto", "temperature": 0,
            "max_tokens": 50, "reference": REFERENCE, "task": "sums", "session_id": "s",
        },
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE]}],
            "response_format": SCHEMA,
        },
        {"prompt": "Say it", "reference": "it"},
    ]  # fmt: skip
    done = collect(prompts, "--html", "page.html", models="small", budget=0.5)
    assert done.returncode == 0, done.stderr
    assert "All pairs were asked" in text_of(Path("page.html"))
    sent = {body["messages"][-1]["content"][0]["text"] if "response_format" in body else
            body["messages"][-1]["content"]: body for body in provider.bill.bodies}  # fmt: skip
    assert (sent["Add"]["tools"], sent["Add"]["tool_choice"], sent["Add"]["temperature"]) == ([TOOL], "auto", 0)
    assert sent["Add"]["max_tokens"] == 50
    assert sent["See"]["response_format"] == SCHEMA
    assert sent["See"]["messages"][0]["content"][1] == IMAGE
    assert (sent["Say it"]["max_tokens"], sent["Say it"]["model"]) == (8192, "small")

    answers = pl.read_parquet("answers.parquet").to_dicts()
    added, said = (next(row for row in answers if row["reference"] == one) for one in (json.dumps(REFERENCE), "it"))
    assert (added["answer"], added["finish_reason"], added["output_tokens"]) == (None, "tool_calls", 22)
    assert json.loads(added["tool_calls"])[0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert (added["task"], added["session_id"]) == ("sums", "s")
    assert json.loads(added["tools"]) == [TOOL]
    assert json.loads(added["extra"]) == {
        "finish_reason": "tool_calls", "provider": "billing", "temperature": 0, "tool_choice": "auto", "max_tokens": 50
    }  # fmt: skip
    assert (said["answer"], said["quality"], said["source"]) == ("echo: Say it", None, "collect")
    outcomes = pl.read_parquet("outcomes.parquet")
    assert outcomes["cost_usd"].sum() == pytest.approx(provider.bill.usd)
    assert import_sources(["outcomes.parquet"], "again.parquet").n_rows == 3


def test_faults_are_retried_refusals_are_told_and_neither_is_paid_for_again(provider):
    prompts = [{"prompt": f"[{fault}]"} for fault in ("429", "500", "malformed", "refused", "long", "fine")]
    done = collect(prompts, models="small")
    assert done.returncode == 0, done.stdout
    assert sorted(pl.read_parquet("answers.parquet")["prompt"]) == ["[429]", "[500]", "[fine]", "[malformed]"]
    assert "Refused prompts, and so no answer and no row: 2 pairs." in done.stdout
    assert "1 x small, content_filter: the prompt was filtered" in done.stdout
    assert "1 x small, context_length_exceeded: maximum context length" in done.stdout
    held = {Path(name).stat().st_mode & 0o077 for name in ("answers.parquet", "outcomes.calls.db")}
    assert held == {0}  # nobody else reads what was answered
    n_sent = len(provider.bill.bodies)
    again = json.loads(collect(prompts, "--json", models="small").stdout)
    assert (again["n_known"], again["n_asked"], again["n_answered"], again["n_left"]) == (6, 0, 4, 0)
    assert len(provider.bill.bodies) == n_sent


def test_a_budget_that_ends_leaves_whole_prompts_and_a_larger_one_goes_on(provider):
    """A call may cost $0.001 and a little, so the budget reaches for some of 24 prompts with both models."""
    more = ("--max-output-tokens", "100", "--concurrency", "2")
    done = collect(texts(24), *more, budget=0.012)
    assert done.returncode == 3, done.stdout
    assert provider.bill.usd <= 0.012
    answered = pl.read_parquet("outcomes.parquet").group_by("prompt_id").len()["len"].to_list()
    assert sum(n < 2 for n in answered) <= 1
    n_left = 48 - sum(answered)
    assert f"The budget has ended: still {n_left} pairs to ask, for $" in done.stdout
    assert "Go on with a larger --budget-usd: router-model collect prompts.jsonl" in done.stdout
    graded = pl.read_parquet("outcomes.parquet").with_columns(quality=pl.lit(0.5), judge=pl.lit("me"))
    graded.write_parquet("outcomes.parquet")  # grades in between are kept
    assert collect(texts(24), *more).returncode == 0
    table = pl.read_parquet("outcomes.parquet")
    assert (table.height, table["quality"].to_list().count(0.5)) == (48, graded.height)
    assert pl.read_parquet("answers.parquet")["quality"].is_null().all()
    fewer = collect(texts(2), *more, models="small").stdout
    assert "earlier    46 calls of earlier runs for other prompts or models; 46 rows of such kept" in fewer
    kept = pl.read_parquet("outcomes.parquet")
    assert kept.sort("prompt_id", "model").equals(table.sort("prompt_id", "model"))
    assert pl.read_parquet("answers.parquet")["answer"].count() == 48
    assert set(provider.bill.answered.values()) == {1}


@pytest.mark.usefixtures("provider")
def test_a_grade_is_kept_for_its_answer_and_never_for_another():
    """Of three answers, one is asked anew with another text, one with another temperature, and one is the same."""
    prompts = [{"prompt": f"Prompt {id_}", "prompt_id": id_, "temperature": 0} for id_ in ("same", "text", "heat")]
    assert "The table has no qualities yet" in collect(prompts).stdout
    graded = pl.read_parquet("outcomes.parquet").with_columns(
        quality=pl.lit(0.5), judge=pl.lit("me"), extra=pl.lit('{"graded_by": "label", "grader_quality": 0.25}')
    )
    graded.write_parquet("outcomes.parquet")
    assert "All answers have a quality." in collect(prompts).stdout
    prompts[1] |= {"prompt": "Another text"}
    prompts[2] |= {"temperature": 1}
    said = collect(prompts, models="small").stdout
    assert "Without a quality: 2 of 3 answers." in said
    assert "outdated   1 row left out: the prompt_id has another text now" in said
    rows = {(row["prompt_id"], row["model"]): row for row in pl.read_parquet("outcomes.parquet").to_dicts()}
    assert {pair: row["quality"] for pair, row in rows.items()} == {
        ("same", "small"): 0.5, ("text", "small"): None, ("heat", "small"): None,
        ("same", "large"): 0.5, ("heat", "large"): 0.5,
    }  # fmt: skip
    kept = json.loads(rows["same", "small"]["extra"])
    assert (kept["graded_by"], kept["grader_quality"], kept["temperature"]) == ("label", 0.25, 0)
    assert rows["text", "small"]["judge"] is None
    assert "graded_by" not in json.loads(rows["text", "small"]["extra"])
    answers = pl.read_parquet("answers.parquet")
    assert sorted(answers["answer"]) == ["echo: Another text", *["echo: Prompt heat"] * 2, *["echo: Prompt same"] * 2]
    assert Path("answers.parquet").stat().st_mode & 0o777 == 0o600
    pl.DataFrame({"text": ["a"]}).write_parquet("outcomes.parquet")
    assert (
        "outcomes.parquet: exists, and is no table that 'collect' wrote (got the columns text)"
        in collect(prompts, "--adaptive").stderr
    )


def test_a_rationale_is_not_sent_although_its_column_has_the_name_of_a_parameter(provider):
    prompts = [
        {"prompt": "2 + 2?", "reasoning": "Two and two make 4", "thinking": '{"type": "enabled", "budget_tokens": 9}'},
        {"prompt": "3 + 3?", "reasoning": {"effort": "low"}, "logit_bias": [1]},
    ]
    done = collect(prompts, models="small")
    sent = {body["messages"][0]["content"]: body for body in provider.bill.bodies}
    assert "reasoning" not in sent["2 + 2?"]
    assert sent["2 + 2?"]["thinking"] == {"type": "enabled", "budget_tokens": 9}
    assert sent["3 + 3?"]["reasoning"] == {"effort": "low"}
    assert "logit_bias" not in sent["3 + 3?"]
    assert "reasoning: of 1 prompt it is no JSON object, so it is not sent as a parameter" in done.stderr
    extra = dict(pl.read_parquet("outcomes.parquet").select("prompt", "extra").iter_rows())
    assert json.loads(extra["2 + 2?"])["reasoning"] == "Two and two make 4"


def test_a_dry_run_leaves_what_a_kill_has_lost_to_the_next_run(provider):
    """Of $1, the call that was killed had reserved $0.25."""
    with Journal(Path("outcomes.calls.db"), 10**9) as journal:
        assert journal.begin(PaidCall("lost", "small", {}), 250_000_000)
    for _ in range(2):
        assert json.loads(collect(texts(1), "--dry-run", "--json").stdout)["spent_usd"] == 0.25
    assert "lost       1 answer of a run that was killed, counted as $0.25" in collect(texts(1)).stdout
    assert len(provider.bill.bodies) == 2


def test_a_failing_model_leaves_its_pairs_to_a_later_run(provider):
    done = collect([{"prompt": f"[down] {n}"} for n in range(12)], "--concurrency", "12", models="small")
    assert done.returncode == 3
    assert "small was left alone after failing again and again: billing:small did not answer" in done.stdout
    assert pl.read_parquet("outcomes.parquet").is_empty()
    assert provider.bill.usd == 0


def test_a_dry_run_prices_the_plan_and_sends_nothing(provider, trained):
    """10 characters, or 2 tokens of "Prompt 0", in at $1 a million; 30 tokens out, as the table has it, at $10."""
    rows = [{"prompt": f"Prompt {n}", "output_tokens": 30, "model": "old"} for n in range(3)]
    done = collect(rows, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    one = said["models"]["small"]
    assert (one["n_pairs"], one["output_tokens"], one["n_assumed"]) == (3, 90, 0)
    assert one["usd"] == pytest.approx((one["input_tokens"] + 900) / 1e6)
    assert said["total"]["worst_usd"] > 6 * 8192 * 10 / 1e6
    of_router = json.loads(collect(texts(3), "--dry-run", "--json", "--router", trained.path).stdout)["models"]
    assert of_router["small"]["n_assumed"] == 0
    shown = collect(texts(3), "--dry-run").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "Of 6 answers the length is not known; 500 tokens are assumed." in shown
    assert provider.bill.bodies == []
    assert not Path("outcomes.calls.db").exists()


def test_a_decision_log_is_a_source(provider, tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path}/log.db"
    asked = [decision(n, messages=json.dumps([{"role": "user", "content": f"Turn {n % 3}"}])) for n in range(4)]
    written(url, *asked, *map(attempt, range(4)))
    done = collect(url, models="large")
    assert done.returncode == 0, done.stderr
    assert "left out   1 record of prompts that were there already" in done.stdout
    table = pl.read_parquet("outcomes.parquet")
    assert sorted(text for _, text in provider.bill.answered) == ["Turn 0", "Turn 1", "Turn 2"]
    assert set(table["model"]) == {"large"}
    assert set(table["source"]) == {"collect"}  # not that of a log, whose rows know one outcome a prompt
    assert table["propensity"].is_null().all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--models", "small,other"), "no price for other"),
        (("--models", " , "), "expected names of models"),
        (("--out", "table.csv"), "got a table ending in '.csv', expected '.parquet'"),
        (("--out", "theirs.parquet"), "another command wrote it"),
        (("--budget-usd", "0.0000001"), "the first call, of small, may cost up to $"),
        (("--providers", "no.toml"), "no.toml"),
        (("--catalog", "more.toml", "--models", "small,other"), "no provider serves other"),
        (("--providers", "keyed.toml"), "NO_SUCH_KEY"),
        (("--out", "a/table.parquet"), "got a folder that does not exist"),
    ],
)
def test_mistakes_are_told_before_a_cent_is_spent(arguments, said, provider, tmp_path):
    (tmp_path / "theirs.parquet").touch()
    (tmp_path / "more.toml").write_text(catalog_toml("small", "other"))
    (tmp_path / "keyed.toml").write_text(provider.providers_toml(("small", "large"), keys=["NO_SUCH_KEY"]))
    done = collect(texts(2), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert provider.bill.bodies == []


def test_prompts_are_shuffled_by_the_seed_and_asked_of_all_models_together(tmp_path):
    pl.DataFrame({"prompt": [f"{n % 20}" for n in range(25)]}).write_csv(tmp_path / "p.csv")
    read = read_prompts([tmp_path / "p.csv"], reference=None)
    assert len(read.prompts) == 20
    plans = [Plan.of(read.prompts, ("a", "b"), seed=seed, max_output_tokens=9) for seed in (0, 0, 1)]
    orders = [[(pair.call.id, pair.call.model) for pair in plan.pairs] for plan in plans]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])
    assert [model for _, model in orders[0]] == ["a", "b"] * 20
    assert all(first[0] == second[0] for first, second in zip(orders[0][::2], orders[0][1::2], strict=True))


@pytest.mark.usefixtures("provider")
def test_adaptive_asks_the_first_prompts_and_when_they_are_graded_only_contenders():
    """The model that is called large costs more and is always wrong, so that no router would choose it."""
    first = collect(texts(60), "--adaptive")
    assert first.returncode == 0, first.stderr
    assert "These are the first prompts. Grade the answers into outcomes.parquet" in first.stdout
    asked = pl.read_parquet("outcomes.parquet")
    assert asked["model"].value_counts().sort("model").rows() == [("large", FIRST_PROMPTS), ("small", FIRST_PROMPTS)]

    asked.with_columns(quality=(pl.col("model") == "small").cast(pl.Float64)).write_parquet("outcomes.parquet")
    then = collect(texts(60), "--adaptive")
    assert "left alone large: by the grades, no router would choose them" in then.stdout
    assert "All pairs were asked." in then.stdout
    whole = pl.read_parquet("outcomes.parquet")
    assert whole["model"].value_counts().sort("model").rows() == [("large", FIRST_PROMPTS), ("small", 60)]
    assert whole["quality"].count() == 2 * FIRST_PROMPTS


@pytest.mark.usefixtures("provider")
def test_advice_about_a_source_names_options_that_the_command_has():
    """What only an import can do is said with how to go on from there."""
    advice = "The options named here are those of 'router-model import'"
    asked = collect([{"question": "2 + 2?", "answer": "4"}]).stderr
    assert "'question' looks like prompt\nAdd to the command:\n  --column prompt=question\n" in asked
    assert "quality" not in asked
    assert advice not in asked
    assert advice not in collect("none.jsonl").stderr
    blank = collect([{"prompt": ""}]).stderr
    assert "--on-error skip" in blank
    assert advice in blank


@pytest.mark.parametrize("more", [[], ["--column", "prompt_id="]])
def test_an_id_of_two_texts_is_refused_unless_ids_are_made_from_the_texts(more, provider):
    rows = [{"prompt_id": f"{n % 2}", "prompt": f"Prompt {n}"} for n in range(4)]
    done = collect(rows, *more, models="small")
    if more:
        assert sorted(pl.read_parquet("outcomes.parquet")["prompt"]) == [row["prompt"] for row in rows]
        return
    assert done.returncode == 2
    assert "prompts.jsonl: got different prompts with prompt_id '0' (and with 1 other ids)" in done.stderr
    assert provider.bill.bodies == []


def test_what_records_of_one_prompt_say_differently_is_told_before_anything_is_sent(provider):
    """Of seven records, four are of a prompt that was there; a reference that comes later is kept."""
    rows = [
        {"prompt": "a", "temperature": 0}, {"prompt": "a", "temperature": 1},
        {"prompt": "b", "reference": "4"}, {"prompt": "b", "reference": "four"},
        {"prompt": "c"}, {"prompt": "c", "reference": "5"},
        {"prompt": "b", "prompt_id": "another"},
    ]  # fmt: skip
    told = collect(rows, "--dry-run")
    assert "parameters: 1 prompt of several records with other parameters" in told.stderr
    assert "references: 1 prompt with several; the first is kept" in told.stderr
    assert "'4', and not 'four')" in told.stderr
    assert provider.bill.bodies == []
    said = json.loads(collect(rows, "--json", models="small").stdout)
    assert [said[name] for name in ("n_prompts", "n_repeated", "n_other_bodies", "n_other_references")] == [3, 4, 1, 1]
    kept = dict(pl.read_parquet("answers.parquet").select("prompt", "reference").iter_rows())
    assert kept == {"a": None, "b": "4", "c": "5"}
    assert [body["temperature"] for body in provider.bill.bodies if "temperature" in body] == [0]


def test_a_dry_run_needs_neither_keys_nor_a_budget_and_names_the_keys(provider, tmp_path):
    (tmp_path / "providers.toml").write_text(provider.providers_toml(("small", "large"), keys=["NO_SUCH_KEY"]))
    done = run_command(
        *("collect", write(texts(1)), "--models", "small", "--providers", "providers.toml"),
        *("--catalog", "catalog.toml", "--out", "outcomes.parquet", "--dry-run"),
    )
    assert done.returncode == 0, done.stderr
    assert "Set NO_SUCH_KEY before you ask" in done.stdout
    assert "Budget" not in done.stdout
    (tmp_path / "providers.toml").write_text(provider.providers_toml(("small",), keys=["sk-proj-1234"]))
    assert "contains what looks like the secret itself" in collect(texts(1), "--dry-run", models="small").stderr
    assert (
        "--budget-usd is missing"
        in run_command(
            *("collect", "prompts.jsonl", "--models", "small", "--providers", "providers.toml", "--out", "new.parquet")
        ).stderr
    )


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        ("router_model.training.prompts_to_ask.read_prompts", "nothing was sent"),
        ("router_model.commands.collect_tables.write_tables", "all answers so far are kept in outcomes.calls.db"),
    ],
)
@pytest.mark.usefixtures("provider")
def test_ctrl_c_at_any_moment_says_what_is_kept_and_how_to_go_on(moment, kept, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, interrupt)
    done = collect(texts(1))
    assert done.returncode == 130
    assert f"interrupted; {kept}; go on with: router-model collect prompts.jsonl --models small,large" in done.stderr


@pytest.mark.usefixtures("provider")
def test_a_mistyped_reference_is_told_before_anything_is_paid():
    mistyped = collect([{"prompt": "One", "reference": "1"}], "--reference", "answer")
    assert "no record has a field 'answer' (--reference)" in mistyped.stderr
    assert mistyped.returncode == 2
