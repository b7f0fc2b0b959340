"""`router-model grade`, as a user types it; the judge is a model on a real socket that follows a rule."""

import json
import re
import signal

import polars as pl
import pytest
from billing_provider import catalog_toml
from command_line import run_command
from http_thread import LocalServer, QuietHandler, answering

from router_model.training.table.outcomes import read_outcomes

N = 40
MODELS = ("good", "bad")


class JudgeServer(LocalServer):
    """Gives 5 to answers that are right and 1 to others; longs for a repair where the answer asks for it."""

    def __init__(self):
        super().__init__(_Handler)
        self.bodies = []


class _Handler(QuietHandler):
    def do_POST(self):
        body = self.body()
        self.server.bodies.append(body)
        asked, last = body["messages"][0]["content"], body["messages"][-1]["content"]
        if "press Ctrl-C" in asked:
            signal.raise_signal(signal.SIGINT)  # Python handles it in the main thread, as one of a keyboard
        message = {"role": "assistant", "content": verdict(asked, is_repair=last != asked)}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
        self.send(200, json.dumps({**answer, "choices": [choice], "usage": usage}))


def verdict(asked, *, is_repair):
    """Score: 5 for "right", else 1. Pairwise: "right" is as good as the reference, and what comes first is better."""
    if "you compare" in asked.lower():
        first = re.search(r"<answer A \w+>\n(.*?)\n</answer", asked, re.DOTALL)[1]
        return 'Thus\n{"better": "A"}' if "vague" in asked else json.dumps({"better": "A" if "ref" in first else "B"})
    answer = re.search(r"<answer \w+>\n(.*?)\n</answer", asked, re.DOTALL)[1]
    if "mumble" in answer or ("stammer" in answer and not is_repair):
        return "I would say four."
    return f"Reasons.\n{json.dumps({'score': 5 if 'right' in answer else 1})}"


@pytest.fixture
def judge_server():
    server = JudgeServer()
    with answering(server):
        yield server


@pytest.fixture
def world(judge_server, tmp_path):
    url = f"http://127.0.0.1:{judge_server.server_address[1]}/v1"
    (tmp_path / "providers.toml").write_text(f'[p]\nkind = "openai"\nbase_url = "{url}"\nmodels = ["referee"]\n')
    (tmp_path / "catalog.toml").write_text(catalog_toml("referee"))
    return tmp_path


def write_answers(folder, text_of, reference="ref", n_prompts=N):
    rows = [
        {"prompt_id": f"p{n}", "prompt": f"question {n}", "task": "t", "model": model, "answer": text_of(model, n),
         "reference": reference} for n in range(n_prompts) for model in MODELS
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(folder / "answers.parquet")


def grade(folder, *more, budget=1.0):
    return run_command(
        *("grade", folder / "answers.parquet", "--out", folder / "outcomes.parquet"),
        *("--by", "judge", "--judge", "referee"),
        *("--providers", folder / "providers.toml", "--catalog", folder / "catalog.toml", "--budget-usd", budget),
        *("--judge-max-tokens", 100, "--json", *more),
    )  # fmt: skip


def right_or_wrong(model, n):
    return f"{'right' if n % 10 < (9 if model == 'good' else 5) else 'wrong'} answer {n} of {model}"


def test_a_judge_grades_is_measured_and_is_paid_once(world, judge_server):
    """90 % and 50 % of the answers are right. People confirm all grades of 30 prompts, so the correction is 0.

    Each verdict costs 100 tokens in and 10 out: (100 + 100) / 1,000,000 USD.
    """
    write_answers(world, right_or_wrong)
    labels = ["prompt_id,model,label"]
    labels += [f"p{n},{model},{int('right' in right_or_wrong(model, n))}" for n in range(30) for model in MODELS]
    (world / "labels.csv").write_text("\n".join(labels))
    done = grade(world, "--labels", world / "labels.csv")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["judge"] == "judge:referee@score-v1"
    assert (report["n_graded"], report["spent_usd"]) == (2 * N, pytest.approx(2 * N * 0.0002))
    measured = report["measured"]["judge:referee@score-v1"]
    assert {one["model"]: round(one["corrected"]["value"], 6) for one in measured["means"]} == {"bad": 0.5, "good": 0.9}
    assert measured["pairs"][0]["shown"] == "confirmed"
    assert measured["agreement"]["kappa"]["value"] == 1.0
    written = pl.read_parquet(world / "outcomes.parquet")
    assert written.group_by("judge").len().sort("judge", nulls_last=True).rows() == [
        ("judge:referee@score-v1", 20),
        (None, 60),
    ]
    outcomes = read_outcomes(world / "outcomes.parquet")
    assert outcomes.judge_names == ("judge:referee@score-v1",)
    assert outcomes.quality.mean(axis=0).tolist() == pytest.approx([0.5, 0.9])

    sent = judge_server.bodies[0]
    assert sent["temperature"] == 0
    assert not any(re.search("referee|model", json.dumps(body["messages"])) for body in judge_server.bodies)
    assert len(judge_server.bodies) == 2 * N
    again = grade(world, "--labels", world / "labels.csv")
    assert json.loads(again.stdout) == report
    assert len(judge_server.bodies) == 2 * N


def test_equal_answers_are_judged_once_and_unreadable_verdicts_are_asked_once_more(world, judge_server):
    texts = {0: "stammer, but right", 1: "mumble"}
    write_answers(world, lambda _, n: texts.get(n, "right"))
    report = json.loads(grade(world).stdout)
    assert report["not_graded"] == {"the judge's verdict could not be read": 2}
    assert len(judge_server.bodies) == N + 2
    quality = pl.read_parquet(world / "outcomes.parquet").filter(pl.col("prompt_id") == "p0")["quality"]
    assert quality.to_list() == [1.0, 1.0]
    repair = next(body for body in judge_server.bodies if len(body["messages"]) == 3)
    assert repair["messages"][1] == {"role": "assistant", "content": "I would say four."}


def test_verdicts_that_cannot_be_read_are_the_judges_and_not_the_references(world):
    write_answers(world, lambda *_: "mumble", reference=None)
    done = grade(world)
    assert done.returncode == 2
    assert "To do: give the judge a larger --judge-max-tokens" in done.stderr
    assert "could not be read, such as 'I would say four.')" in done.stderr
    assert "--reference" not in done.stderr
    assert grade(world, "--max-ungraded", 1).returncode == 0
    extra = json.loads(pl.read_parquet(world / "outcomes.parquet")["extra"][0])
    assert extra["not_graded"] == "the judge's verdict could not be read: I would say four."


def test_a_budget_that_ends_leaves_a_table_only_if_asked_and_the_next_run_goes_on(world, judge_server):
    """A verdict may cost (250 + 1000) / 1,000,000 USD at most, and costs 0.0002: the budget is enough for some."""
    write_answers(world, right_or_wrong)
    short = grade(world, budget=0.005)
    assert short.returncode == 2
    assert "the budget ended before the judge was asked" in short.stderr
    assert "To do: go on with a larger --budget-usd" in short.stderr
    assert not (world / "outcomes.parquet").exists()
    n_paid = len(judge_server.bodies)
    assert 0 < n_paid < N
    some = grade(world, "--max-ungraded", 1, budget=0.005)
    assert (some.returncode, json.loads(some.stdout)["n_graded"]) == (3, n_paid)
    rest = grade(world)
    assert (rest.returncode, json.loads(rest.stdout)["n_graded"]) == (0, 2 * N)
    assert len(judge_server.bodies) == 2 * N


def test_ctrl_c_writes_what_is_judged_and_exits_with_130(world, judge_server):
    write_answers(world, lambda model, n: f"right {n} {model}{' press Ctrl-C' if (model, n) == ('good', 0) else ''}")
    done = grade(world, "--max-ungraded", 1)
    assert done.returncode == 130, done.stderr
    n_graded = json.loads(done.stdout)["n_graded"]
    assert n_graded == len(judge_server.bodies) == pl.read_parquet(world / "outcomes.parquet")["quality"].count()
    assert 0 < n_graded < 2 * N


def test_pairs_are_asked_in_random_order_and_in_both_for_some(world, judge_server):
    """Whoever stands first wins: a quality of 0.5 on average, and a position bias of 1."""
    write_answers(world, lambda model, n: f"vague {n} {model}")
    report = json.loads(grade(world, "--judge-kind", "pairwise", "--both-orders", 0.5).stdout)
    assert report["judge"] == "judge:referee@pairwise-v1"
    assert report["position_bias"]["value"] == 1.0
    n_both = len(judge_server.bodies) - 2 * N
    assert 0.3 < n_both / (2 * N) < 0.7
    quality = pl.read_parquet(world / "outcomes.parquet")["quality"]
    assert (quality == 0.5).sum() == n_both
    assert 0.35 < quality.mean() < 0.65


def test_a_fair_judge_has_no_position_bias_whatever_the_order(world):
    write_answers(world, lambda model, n: f"answer {n} {model}", n_prompts=10)
    report = json.loads(grade(world, "--judge-kind", "pairwise", "--both-orders", 1).stdout)
    assert report["position_bias"]["value"] == 0.0
    assert pl.read_parquet(world / "outcomes.parquet")["quality"].unique().to_list() == [0.0]


def test_rules_need_no_provider_and_the_report_says_what_was_graded(tmp_path):
    write_answers(tmp_path, lambda model, n: "ref" if model == "good" or n < 20 else "else")
    paths = (tmp_path / "answers.parquet", "--out", tmp_path / "outcomes.parquet")
    done = run_command("grade", *paths, "--by", "exact")
    assert done.returncode == 0, done.stderr
    assert "80 of 80 answers graded." in done.stdout
    assert "80  by exact" in done.stdout
    assert "good" in done.stdout
    assert "Verdict: no labels of people, so nothing shows how good these grades are." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "judge"], "--by judge needs --judge MODEL, --providers FILE, --budget-usd USD"),
        (
            ["--by", "number"],
            "80 of 80 answers could not be graded, 100 % of those of good (80: the reference has no number); expected",
        ),
        (["--by", "exact", "--reference", "gold"], "no column 'gold' for --reference"),
        (["--by", "regex:("], "look-around, no back references; --by python takes any): unclosed group"),
        (["--by", "exact", "--out", "a/outcomes.parquet"], "got a folder that does not exist"),
        (["--by", "exact", "--out", "outcomes.csv"], "got a table ending in '.csv', expected '.parquet'"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROUTER_PROVIDERS", raising=False)
    write_answers(tmp_path, right_or_wrong)
    done = run_command("grade", "answers.parquet", "--out", "outcomes.parquet", *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "outcomes.parquet").exists()


def test_a_model_that_nobody_serves_is_refused(world, judge_server):
    write_answers(world, right_or_wrong)
    done = grade(world, "--judge", "unknown")
    assert done.returncode == 2
    assert "unknown" in done.stderr
    assert judge_server.bodies == []
