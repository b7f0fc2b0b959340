"""What objects show of themselves: ten lines of text or so, and a table in a notebook, with every text escaped."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import polars as pl
import pytest

import router_model
from router_model import Router, RouterModelError, compare, evaluate, read_outcomes
from router_model.features.featuriser import featurise
from router_model.plan import PlanStep
from router_model.summary import Summary

MOST_LINES, MOST_CHARACTERS = 12, 1600


@pytest.fixture(scope="module")
def shown(trained, table):
    router, outcomes = trained.router, read_outcomes(table)
    decision = router.route("add 12 and 45", explain=True)
    measured = evaluate(trained.path, table)
    return [
        router, decision, decision.explanation, router.predict(["add 1", "a poem"]), outcomes, measured,
        measured.calibration, compare(router, trained.path, outcomes, include_seen=True), trained.report,
        router.catalog, router.certificates[0], router.artifact, router.artifact.spend_curve,
        router.artifact.predictor, measured.frontier, featurise(["a"], router.encoder),
    ]  # fmt: skip


def test_every_object_shows_itself_in_about_ten_lines(shown):
    for one in shown:
        assert repr(one).startswith("<"), type(one)
        assert repr(one).count("\n") < MOST_LINES, repr(one)
        assert len(repr(one)) < MOST_CHARACTERS, repr(one)


def test_tables_of_a_notebook_are_whole_html(shown):
    tables = [one._repr_html_() for one in shown if hasattr(one, "_repr_html_")]
    assert len(tables) >= 12
    for table in tables:
        ET.fromstring(f"<div>{table}</div>")


def test_a_router_shows_its_models_and_prices(trained):
    head, titles, *rows = repr(trained.router).split("\n")
    assert re.fullmatch(r"<Router of 3 models, sha256:\w{12}>", head)
    assert titles.split()[:3] == ["model", "per", "million"]
    assert [row.split()[:3] for row in rows] == [
        ["coder", "$0.50", "$1.50"],
        ["large", "$5.00", "$15.00"],
        ["small", "$0.10", "$0.30"],
    ]
    assert re.fullmatch(r"<Artifact of 3 models, sha256:\w{12}>", repr(trained.router.artifact))


def test_a_plan_of_many_models_is_cut_and_its_names_are_escaped(trained):
    decision = trained.router.route("add 12 and 45")
    many = replace(decision, plan=tuple(PlanStep(f"<b>{at}", 0.5, 0.001, 10) for at in range(400)))
    assert repr(many).split("\n")[-1] == "and 395 more"
    html = many._repr_html_()
    assert "<b>" not in html
    assert html.count("<tr>") == 21
    assert "and 380 more" in html


def test_a_long_line_is_cut():
    assert len(Summary("x" * 1000).as_text()) == 160


def test_what_is_unknown_is_shown_as_unknown():
    assert repr(read_outcomes({"prompt": ["a"], "model": ["m"], "quality": [None]})).split("\n")[2].split() == [
        "m", "0", "-", "-",
    ]  # fmt: skip


def test_an_error_of_ours_is_one_sentence_in_a_notebook(capsys):
    """IPython would print the whole traceback, and the sentence that says what to do would be its last line."""
    shell_of = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    shell = shell_of()
    shell.run_cell("from router_model import evaluate\nevaluate('no-router', 'no-table.parquet')")
    printed = capsys.readouterr().out.strip()
    assert printed.startswith("ArtifactError: no-router: ")
    assert "\n" not in printed
    assert RouterModelError("x")._render_traceback_() == ["RouterModelError: x"]


def test_every_public_name_is_there():
    assert all(getattr(router_model, name) is not None for name in router_model.__all__)
    assert router_model.__all__ == sorted(router_model.__all__)


def test_a_router_is_taken_as_it_is_or_by_its_path(trained):
    assert Router.of(trained.router) is trained.router
    assert Router.of(str(trained.path)).models == trained.router.models
    frame = pl.DataFrame({"prompt": ["add 1"] * 3, "model": ["small", "coder", "large"], "quality": [1.0, 0.0, 1.0]})
    assert evaluate(trained.path, frame).n_prompts == evaluate(trained.router, frame).n_prompts == 1
