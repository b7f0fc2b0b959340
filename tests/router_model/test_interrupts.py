"""Ctrl-C before and after a router was saved; the interrupt is raised where it would have to be hit by chance."""

import shutil
import sys

import click
import pytest

from router_model import cli
from router_model.interrupts import NOTHING_SAVED, after_saving, what_was_saved
from router_model.saved.artifact import load_artifact, save_artifact


def interrupt(*_, **__):
    raise KeyboardInterrupt


def said(arguments, capsys, monkeypatch):
    """Run the command in this process and return its message."""
    monkeypatch.setattr(sys, "argv", ["router-model", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    return capsys.readouterr().err.strip()


def test_an_interrupt_before_saving_says_that_nothing_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("router_model.training.train.train", interrupt)
    assert said(["train", "t.parquet", "--out", tmp_path], capsys, monkeypatch) == f"interrupted; {NOTHING_SAVED}"


def test_an_interrupt_while_the_run_is_tracked_says_that_the_router_is_saved(trained, monkeypatch, capsys):
    monkeypatch.setattr("router_model.training.train.train", lambda *_, **__: trained.report)
    monkeypatch.setattr("router_model.training.tracking.track_run", interrupt)
    expected = f"interrupted; the router in {trained.path} had been saved by then and is complete"
    assert said(["train", "t.parquet", "--out", trained.path], capsys, monkeypatch) == expected


def test_an_interrupt_after_the_swap_says_so_and_leaves_the_new_router(trained, tmp_path, monkeypatch, capsys):
    """The rename is done and only waits to be written through."""
    router = tmp_path / "router"
    shutil.copytree(trained.path, router)
    monkeypatch.setattr("router_model.saved.artifact.sync_folder", interrupt)
    message = said(["remove-model", router, "--model", "small"], capsys, monkeypatch)
    assert message == f"interrupted; the router in {router} had been saved by then and is complete"
    assert load_artifact(router).predictor.models == ("coder", "large")


def test_an_interrupted_swap_leaves_the_old_router(trained, tmp_path, monkeypatch):
    router = tmp_path / "router"
    shutil.copytree(trained.path, router)
    monkeypatch.setattr("router_model.saved.artifact._write", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        save_artifact(trained.router.artifact, router)
    assert what_was_saved(caught.value) == NOTHING_SAVED
    assert load_artifact(router).content_hash == trained.report.content_hash
    assert [path.name for path in tmp_path.iterdir()] == ["router"]


def test_other_errors_carry_no_note():
    with pytest.raises(click.ClickException) as caught, after_saving("router"):
        raise click.ClickException("no")
    assert what_was_saved(caught.value) == NOTHING_SAVED
