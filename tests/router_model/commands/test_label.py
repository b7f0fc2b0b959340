"""`router-model label`: which prompts of a log are drawn, and what is refused before answers are paid for."""

import stat

import polars as pl
import pytest
from billing_provider import billing_provider, catalog_toml
from command_line import run_command

from router_model.commands.label import draw_prompts


def test_a_long_conversation_is_drawn_as_often_as_a_short_one():
    """One conversation of 20 turns and one of one: each is drawn in half of 400 samples, to within 3 deviations.

    Each turn of the long one is drawn as often, too: about 10 times, and never 30.
    """
    turns = [{"prompt_id": f"t{n}", "prompt": f"turn {n}", "session_id": "long"} for n in range(20)]
    log = pl.DataFrame([*turns, {"prompt_id": "alone", "prompt": "hello", "session_id": None}])
    drawn = [draw_prompts(log, 1, seed=seed, one_per_session=True)["prompt_id"][0] for seed in range(400)]
    assert drawn.count("alone") / 400 == pytest.approx(0.5, abs=3 * 0.025)
    of_turn = [drawn.count(f"t{n}") for n in range(20)]
    assert min(of_turn) > 0
    assert max(of_turn) < 30
    both = draw_prompts(log, 21, seed=0, one_per_session=True)
    assert both.height == 2


@pytest.fixture
def provider(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with billing_provider() as running:
        (tmp_path / "providers.toml").write_text(running.providers_toml(("small", "large")))
        (tmp_path / "catalog.toml").write_text(catalog_toml("small", "large", "nobody"))
        rows = [{"prompt_id": f"p{n}", "prompt": f"Prompt {n}", "session_id": None} for n in range(3)]
        pl.DataFrame(rows, schema_overrides={"session_id": pl.String}).write_parquet(tmp_path / "log.parquet")
        yield running


def label(*more):
    return run_command(
        *("label", "--log", "log.parquet", "--models", "small,large", "--providers", "providers.toml"),
        *("--catalog", "catalog.toml", "--budget-usd", 1, "--out", "labelled.parquet", *more),
    )


@pytest.mark.skipif("os.name != 'posix'", reason="rights of files are those of POSIX")
def test_answers_are_graded_and_whole_prompts_are_private(provider, tmp_path):
    done = label("--by", "regex:echo.*[12]")
    assert done.returncode == 0, done.stderr
    graded = pl.read_parquet("labelled.parquet").sort("prompt_id", "model")
    assert graded["quality"].to_list() == [0, 0, 1, 1, 1, 1]
    assert len(provider.bill.bodies) == 6
    mine = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("labelled.*")}
    assert mine.pop("labelled.parquet") == stat.S_IMODE((tmp_path / "log.parquet").stat().st_mode)
    assert {"labelled.sample.parquet", "labelled.answers.parquet", "labelled.collected.parquet"} < mine.keys()
    assert set(mine.values()) == {0o600}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "exakt"], "no grader 'exakt'"),
        (["--by", "exact"], "--by exact compares with right answers, and a decision log has none"),
        (["--by", "judge"], "--by judge needs --judge MODEL"),
        (["--by", "judge", "--judge", "nobody"], "--judge: no provider serves 'nobody'"),
        (["--by", "judge", "--judge", "small", "--rubric", "none.txt"], "--rubric: none.txt cannot be read"),
        (["--by", "regex:1", "--labels", "none.csv"], "none.csv: no such file"),
        (["--by", "regex:1", "--labels", "others.csv"], "none of its 1 labels is of a prompt and a model"),
        (["--by", "regex:1", "--out", "no-folder/labelled.parquet"], "in a folder that exists"),
    ],
)
def test_mistakes_in_grading_are_said_before_answers_are_paid_for(arguments, message, provider, tmp_path):
    (tmp_path / "others.csv").write_text("prompt_id,model,label\np0,other,1\n")
    done = label(*arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert provider.bill.bodies == []
    assert list(tmp_path.glob("labelled.*")) == []
