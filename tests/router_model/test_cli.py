"""The command as people type it; in a process of its own where that is what is tested."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields

import grimp
import pytest
from command_line import run_command
from simulated_world import simulate

from router_model import Constraints
from router_model.cli import COMMANDS
from router_model.commands.route import command as route_command


def run(*arguments, stdin=None, check=True):
    done = run_command(*arguments, stdin=stdin)
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


def test_every_command_is_seen_by_import_linter():
    graph = grimp.build_graph("router_model", cache_dir=None)
    seen = graph.find_modules_directly_imported_by("router_model.cli")
    assert {module for module, _ in COMMANDS.values()} == {name for name in seen if ".commands." in name}


def test_a_mistyped_command_is_answered_with_the_nearest_one():
    assert "No such command 'trian'. Did you mean 'train'?" in run("trian", check=False).stderr
    assert run("xyz", check=False).stderr.strip().endswith("No such command 'xyz'.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    assert "Usage: " in run(name, "--help").stdout


def test_a_process_of_its_own_ends_with_the_same_words_and_status():
    typed = [sys.executable, "-m", "router_model", "rout", "no-such-folder", "x"]
    process = subprocess.run(typed, capture_output=True, text=True, check=False, timeout=60)
    here = run(*typed[3:], check=False)
    error, error_here = (each.stderr.splitlines()[-1] for each in (process, here))  # above it stands how it was started
    assert (process.returncode, process.stdout, error) == (here.returncode, here.stdout, error_here)


def test_routing_loads_no_training_library_nor_lightgbm(trained):
    _, names = loaded("route", trained.path, "x", "--json", among="mlflow,polars,torch,training,lightgbm")
    assert names == "[]"


def test_train_route_evaluate_inspect(table, tmp_path, catalog):
    (tmp_path / "catalog.toml").write_text(catalog.dump())
    (tmp_path / "train.toml").write_text("[fit.boosters]\nmax_rounds = 20\n")
    report = json.loads(
        run(
            "train", table, "--out", tmp_path / "router", "--catalog", tmp_path / "catalog.toml",
            "--config", tmp_path / "train.toml", "--quality-bars", "0.5", "--keep-prompts", "--no-track", "--json",
        ).stdout
    )  # fmt: skip
    assert report["tracking"] == "not tracked (--no-track)"
    decision = json.loads(run("route", tmp_path / "router", "moon verse", "--explain", "--json").stdout)
    assert decision["artifact"] == report["content_hash"]
    assert "moon" in decision["explanation"]["neighbours"][0]["text"]
    evaluation = json.loads(run("evaluate", tmp_path / "router", table, "--json").stdout)
    assert evaluation["n_prompts"] == 500 - report["n_train"]
    described = json.loads(run("inspect", tmp_path / "router", "--json").stdout)
    assert described["content_hash"] == report["content_hash"]
    assert described["keeps_prompt_texts"] is True
    assert [row["model"] for row in described["models"]] == ["coder", "large", "small"]


def test_certify_replaces_the_certificates_of_the_artifact(trained, table, tmp_path):
    """On its own training table only the calibration prompts count; on another one, every prompt."""
    router = tmp_path / "router"
    shutil.copytree(trained.path, router)
    said = json.loads(run("certify", router, table, "--target-success", "0.7", "--json").stdout)
    assert said["source"] == "the calibration prompts of its training table (seed 0)"
    assert said["n_prompts"] == trained.report.n_calibration
    assert [(c["target_success"], c["n_targets"]) for c in said["certificates"]] == [(0.7, 1)]
    assert said["content_hash"] != trained.report.content_hash
    decision = json.loads(run("route", router, "moon verse", "--target-success", "0.7", "--json").stdout)
    assert decision["artifact"] == said["content_hash"]
    assert decision["certificate"] == said["certificates"][0]
    simulate(300, seed=31).write_parquet(tmp_path / "new.parquet")
    arguments = ("--target-success", "0.7", "--target-success", "0.999", "--delta", "0.2")
    shown = " ".join(run("certify", router, tmp_path / "new.parquet", *arguments).stdout.split())
    assert "Tested on 300 prompts: all prompts of the table the router was not trained on." in shown
    assert "certified: success >= 0.7 on average" in shown
    assert "not certified: success >= 0.999 on average. 300 calibration prompts" in shown
    assert "are too few: " in shown
    assert "each target was tested at 0.1." in shown
    described = json.loads(run("inspect", router, "--json").stdout)
    assert [c["certified"] for c in described["certificates"]] == [True, False]
    assert "certificate 2" in run("inspect", router).stdout
    said = " ".join(run("route", router, "moon verse", "--target-success", "0.999").stdout.split())
    assert "(safest model)" in said
    assert "Requests for it go to large, the best single model on these prompts" in said
    other = " ".join(run("route", router, "moon verse", "--target-success", "0.71").stdout.split())
    assert "success >= 0.71 has no certificate at quality bar 0.5 (certified: success >= 0.7; see" in other


def test_tables_for_people_hold_the_same_facts(trained, table):
    assert "P(success)" in run("route", trained.path, "moon verse").stdout
    assert "large *" in run("evaluate", trained.path, table).stdout
    assert "$/Mtok in" in run("inspect", trained.path).stdout


def test_standard_input_is_text_or_a_chat_body(trained):
    text = json.loads(run("route", trained.path, "-", "--json", stdin="moon verse").stdout)
    assert text["excluded"] == []
    body = json.dumps({"messages": [{"role": "user", "content": "moon verse"}], "tools": [{"type": "function"}]})
    chat = json.loads(run("route", trained.path, "-", "--json", stdin=body).stdout)
    detail = "the request has tools, the model takes none"
    assert chat["excluded"] == [{"model": "small", "reason": "tools", "detail": detail}]


def test_half_a_chat_body_is_refused_unless_it_is_meant_as_text(trained):
    half = '{"messages": [{"role": "user"'
    refused = run("route", trained.path, "-", stdin=half, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "error: standard input begins like a chat body but is not JSON" in refused.stderr
    text = json.loads(run("route", trained.path, "-", "--text", "--json", stdin=half).stdout)
    assert text["plan"] == json.loads(run("route", trained.path, half, "--json").stdout)["plan"]


def test_the_dial_is_an_option(trained):
    said = json.loads(run("route", trained.path, "moon verse", "--cost-quality-tradeoff", "10", "--json").stdout)
    assert (said["model"], said["quality_value_usd"]) == ("small", 0.0)


def test_command_and_library_decide_alike(trained):
    """Golden decisions: one code path."""
    for prompt in ("add 3 numbers", "moon verse rhyme", "def loop", "数学"):
        said = json.loads(run("route", trained.path, prompt, "--json").stdout)
        assert said == json.loads(json.dumps(trained.router.route(prompt).as_dict()))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["route", "no-such-folder", "x"], "no-such-folder: no such folder. Expected a router"),
        (["train", "none.parquet", "--out", "r"], "none.parquet: no such file. 'router-model import"),
        (["train", "none.parquet", "--out", "r", "--quality-bars", "a"], "got 'a', expected numbers separated"),
        (["train", "none.parquet"], "Missing option '--out'"),
        (["certify", "r", "t.parquet"], "Missing option '--target-success'"),
        (["certify", "r", "t.parquet", "--target-success", "90"], "expected one or more rates above 0 and below 1"),
        (["rout"], "No such command 'rout'"),
        (["keys", "make"], "Expected one of create, list, revoke"),
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
    assert "ruled out by not_allowed (3 of 3)" in " ".join(done.stderr.split())


def test_every_constraint_is_an_option():
    options = (
        "--allow * --deny none --provider a --provider b --ignore-provider b --max-cost-usd 1 --max-price-input 1 "
        "--max-price-output 2 --max-price-request 0 --max-latency-s 9 --max-output-tokens 50"
    )
    given = route_command.make_context("route", ["router", "x", *options.split()]).params
    names = {field.name for field in fields(Constraints)}
    assert Constraints(**{name: value for name, value in given.items() if name in names}) == Constraints(
        allow=("*",), deny=("none",), providers=("a", "b"), ignore_providers=("b",), max_cost_usd=1,
        max_usd_per_mtok_input=1, max_usd_per_mtok_output=2, max_usd_per_request=0, max_latency_s=9,
        max_output_tokens=50,
    )  # fmt: skip
    assert names - given.keys() == {"unavailable"}  # what no provider serves: the proxy's to know


def test_the_table_says_why_a_model_is_left_out(trained):
    said = run("route", trained.path, "x", "--max-price-output", "1", "--deny", "coder").stdout
    assert "left out: coder (denied: matches coder)" in said
    assert "left out: large (max_usd_per_mtok_output: 15 USD per million output tokens, allowed 1)" in said
