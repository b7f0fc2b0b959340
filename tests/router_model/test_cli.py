"""The command as people run it: in its own process."""

import json
import subprocess
import sys

import pytest

from router_model.cli import COMMANDS


def run(*arguments, stdin=None, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "router_model", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


LOADED = """
import sys
from router_model.cli import main
try:
    main()
except SystemExit as exc:
    assert not exc.code, exc.code
print([name for name in sys.argv[-1].split(",") if name in sys.modules])
"""


def loaded(*arguments, among):
    """Run the command in a fresh process; return what it printed and which of `among` it loaded."""
    code = LOADED.replace("import sys", f"import sys; sys.argv = {['router-model', *map(str, arguments)]!r}", 1)
    code = code.replace("sys.argv[-1]", repr(among))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    *output, names = done.stdout.splitlines()
    return "\n".join(output), names


def test_help_lists_every_command_and_loads_nothing_heavy():
    output, names = loaded("--help", among="lightgbm,polars,mlflow,torch")
    assert all(name in output for name in COMMANDS)
    assert names == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    assert "Usage: " in run(name, "--help").stdout


def test_routing_loads_no_training_library(trained):
    _, names = loaded("route", trained.path, "x", "--json", among="mlflow,polars,torch,training,lightgbm")
    assert names == "['lightgbm']"


def test_train_route_evaluate_inspect(table, tmp_path, catalog):
    (tmp_path / "catalog.toml").write_text(catalog.dump())
    (tmp_path / "train.toml").write_text("[fit.boosters]\nmax_rounds = 20\n")
    report = json.loads(
        run(
            "train", table, "--out", tmp_path / "router", "--catalog", tmp_path / "catalog.toml",
            "--config", tmp_path / "train.toml", "--quality-bars", "0.5", "--no-track", "--json",
        ).stdout
    )  # fmt: skip
    assert report["tracking"] == "not tracked (--no-track)"
    decision = json.loads(run("route", tmp_path / "router", "moon verse", "--json").stdout)
    assert decision["artifact"] == report["content_hash"]
    evaluation = json.loads(run("evaluate", tmp_path / "router", table, "--json").stdout)
    assert evaluation["n_prompts"] == 500 - report["n_train"]
    described = json.loads(run("inspect", tmp_path / "router", "--json").stdout)
    assert described["content_hash"] == report["content_hash"]
    assert [row["model"] for row in described["models"]] == ["coder", "large", "small"]


def test_tables_for_people_hold_the_same_facts(trained, table):
    assert "P(success)" in run("route", trained.path, "moon verse").stdout
    assert "large *" in run("evaluate", trained.path, table).stdout
    assert "$/Mtok in" in run("inspect", trained.path).stdout


def test_standard_input_is_text_or_a_chat_body(trained):
    text = json.loads(run("route", trained.path, "-", "--json", stdin="moon verse").stdout)
    assert text["excluded"] == []
    body = json.dumps({"messages": [{"role": "user", "content": "moon verse"}], "tools": [{"type": "function"}]})
    chat = json.loads(run("route", trained.path, "-", "--json", stdin=body).stdout)
    assert chat["excluded"] == [{"model": "small", "reason": "tools"}]


def test_the_dial_is_an_option(trained):
    said = json.loads(run("route", trained.path, "moon verse", "--cost-quality-tradeoff", "10", "--json").stdout)
    assert (said["model"], said["success_value_usd"]) == ("small", 0.0)


def test_command_and_library_decide_alike(trained):
    """Golden decisions: one code path."""
    for prompt in ("add 3 numbers", "moon verse rhyme", "def loop", "数学", ""):
        said = json.loads(run("route", trained.path, prompt, "--json").stdout)
        assert said == json.loads(json.dumps(trained.router.route(prompt).as_dict()))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["route", "no-such-folder", "x"], "no manifest.json, so this is not a trained router"),
        (["train", "none.parquet", "--out", "r"], "none.parquet: no such file; make it with"),
        (["train", "none.parquet", "--out", "r", "--quality-bars", "a"], "got 'a', expected numbers with commas"),
        (["train", "none.parquet"], "Missing option '--out'"),
        (["rout"], "No such command 'rout'"),
    ],
)
def test_mistakes_end_in_one_line_and_status_two(arguments, match):
    done = run(*arguments, check=False)
    assert done.returncode == 2
    assert match in done.stderr
    assert "Traceback" not in done.stderr


def test_constraints_that_leave_nothing_are_said(trained):
    done = run("route", trained.path, "x", "--allow", "gpt-*", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ruled out by not_allowed (3 of 3)" in done.stderr
