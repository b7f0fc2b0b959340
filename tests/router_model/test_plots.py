"""Objects that draw themselves: pictures without scripts, of the numbers that the objects hold."""

import re

import pytest

from router_model import compare, evaluate, read_outcomes
from router_model.charts.drawing import Drawing
from router_model.saving import saving_cell

pytest.importorskip("altair", reason="extra 'report' is not installed")
pytest.importorskip("vl_convert", reason="extra 'report' is not installed")


@pytest.fixture(scope="module")
def measured(trained, table):
    return evaluate(trained.router, table)


def words(drawing):
    return " ".join(re.findall(r"<text[^>]*>([^<]*)", drawing._repr_svg_()))


@pytest.mark.parametrize(
    ("picture", "said"),
    [("frontier", "the router"), ("tasks", "poetry ("), ("shares", "share of prompts"), ("reliability", "predicted")],
)
def test_an_evaluation_draws_itself(measured, picture, said):
    drawing = measured.plot(picture)
    assert said in words(drawing)
    assert "<script" not in drawing._repr_svg_()
    assert not re.findall(r'(?:href|src)="http', drawing._repr_svg_())


def test_a_task_has_the_saving_that_was_measured(measured):
    task, (n, router, _) = max(measured.by_task.items(), key=lambda item: item[1][0])
    assert f"{task} ({n:,})" in words(measured.plot("tasks"))
    assert saving_cell(router.saving) in words(measured.plot("tasks"))


def test_what_cannot_be_drawn_says_why(measured, trained, table):
    with pytest.raises(ValueError, match="picture is 'pie'; expected one of frontier, tasks, shares, reliability"):
        measured.plot("pie")
    untold = evaluate(trained.router, read_outcomes(table).select_models(("coder", "large", "small")))
    assert untold.plot("tasks")
    with pytest.raises(ValueError, match="the table has no tasks to draw"):
        type(measured).plot(_without(measured, by_task={}), "tasks")
    with pytest.raises(ValueError, match="nothing was held out to draw"):
        _without(trained.report, held_out=None).plot()


def _without(of, **changes):
    from dataclasses import replace

    return replace(of, **changes)


def test_decisions_comparisons_and_reports_draw_themselves(trained, table):
    decision = trained.router.route("add 12 and 45")
    assert decision.model in words(decision.plot())
    assert "quality, points" in words(compare(trained.router, trained.router, table).plot())
    assert "the router" in words(trained.report.plot())


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a.html", b"<!doctype html>")])
def test_a_drawing_is_saved_in_the_format_of_its_suffix(measured, tmp_path, name, start):
    measured.plot("shares").save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert repr(measured.plot("shares")) == "<Drawing: Share of prompts that each model gets>"


def test_another_suffix_is_refused(measured, tmp_path):
    drawing: Drawing = measured.plot("shares")
    with pytest.raises(ValueError, match=r"got the suffix '.gif', expected .svg, .png or .html"):
        drawing.save(tmp_path / "a.gif")
