"""Charts of every kind, in every width and theme."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("altair", reason="extra 'report' is not installed")

from router_model.charts import (
    Attempt,
    Bin,
    CostCurve,
    CostPoint,
    IntervalRow,
    Moment,
    attempts,
    frontier,
    intervals,
    plan,
    reliability,
    series,
    shares,
    stacked,
    to_html,
    to_png,
    to_spec,
    to_svg,
)
from router_model.charts.labels import Anchor, place_labels, text_width
from router_model.charts.theme import DARK, LIGHT, PAGE

NASTY = "<script>alert(1)</script> & \"'$"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROWS = [IntervalRow(NASTY, 12.0, 8.0, 15.0), IntervalRow("far", -90.0, -99.0, -80.0), IntervalRow("none", None)]
POINTS = [CostPoint("small", 0.001, 0.7, 0.66, 0.74), CostPoint(NASTY, 0.02, 0.9), CostPoint("free", 0.0, 0.4)]
CURVE = CostCurve("ours", [0.001, 0.02], [0.72, 0.91], named=True)
MADE = {
    "frontier": lambda width: frontier(POINTS, [CURVE], width=width),
    "intervals": lambda width: intervals(ROWS, axis="%", description="savings", reach=(-50, 50), width=width),
    "shares of one": lambda width: shares({"r": {NASTY: 0.7, "b": 0.3}}, cheapest_first=["b"], width=width),
    "shares of two": lambda width: shares({NASTY: {"a": 1.0}, "s": {"b": 1.0}}, cheapest_first=["b"], width=width),
    "reliability": lambda width: reliability({"r": [Bin(0.2, 0.3, 9), Bin(0.9, 0.8, 9)], "s": []}, width=width),
    "plan": lambda width: plan([CostPoint("a", 0.001, 0.9, kind="chosen")], least=0.8, width=width),
    "attempts": lambda width: attempts([Attempt(NASTY, 0.0, 1.0, "failed", note="429")], width=width),
    "series": lambda width: series(
        [Moment(NOON + timedelta(hours=h), None if h == 1 else h, "p50", h - 1, h + 1) for h in range(3)],
        unit="s", description="latency", width=width,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_a_chart_is_a_valid_specification_in_every_width(name):
    for width in (320, 760, "container"):
        spec = to_spec(MADE[name](width))
        assert spec["description"]
        assert spec["$schema"].endswith(".json")


@pytest.mark.parametrize("lowest", [0.05, 0.45, 0.75, 0.93])
def test_no_two_ticks_of_a_reliability_chart_have_the_same_name(lowest):
    """The axis from 0.7 to 1 has ticks at 0.75 and 0.8, which one decimal would both call 0.8."""
    svg = to_svg(reliability({"r": [Bin(lowest, lowest, 9_000), Bin(0.99, 0.99, 9_000)]}), theme="page")
    ticks = re.findall(r">([01]\.\d+)<", svg)
    across = ticks[: len(ticks) // 2]
    assert len(across) >= 4
    assert len(set(across)) == len(across)


@pytest.mark.parametrize("name", ["frontier", "intervals"])
def test_a_picture_in_a_page_has_the_pages_colours_and_no_names_that_are_markup(name):
    """What a mark stands for is its title, escaped; colours are variables alone."""
    svg = to_svg(MADE[name](700), theme="page")
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b(?!\))", svg)
    assert "var(--chart-ours)" in svg or "var(--chart-good)" in svg
    assert "<script" not in svg
    assert re.search(r"<title>[^<]*&lt;script&gt;", svg)
    assert not re.search(r"\son\w+=|style=|href=", svg)


def test_pictures_of_one_page_share_no_id():
    first, second = (set(re.findall(r'id="([^"]+)"', to_svg(MADE[name](500)))) for name in ("frontier", "plan"))
    assert first
    assert second
    assert not first & second


def test_equal_charts_are_equal_pictures_and_a_stack_holds_them_all():
    one = to_svg(MADE["plan"](400))
    assert one == to_svg(MADE["plan"](400))
    both = stacked([one, to_svg(MADE["attempts"](400))])
    assert 'width="400"' in both
    assert both.count("<svg") == 3


def test_a_page_of_one_chart_is_whole_and_a_png_is_one():
    page = to_html(MADE["plan"](400), title=NASTY)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert to_png(MADE["plan"](400), theme="dark").startswith(b"\x89PNG")


def test_palettes_have_the_same_roles_and_one_value_for_each():
    """`repaint` finds a role by its value, so that two roles of one value would be mixed up."""
    assert LIGHT.keys() == DARK.keys() == PAGE.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


@pytest.mark.parametrize(
    ("palette", "role", "least"),
    [(palette, role, least) for palette in (LIGHT, DARK)
     for role, least in (("ink", 7), ("muted", 4.5), ("ours", 4.5), ("good", 4.5), ("bad", 4.5), ("neutral", 3))],
)  # fmt: skip
def test_text_and_marks_stand_out_from_the_page(palette, role, least):
    """The contrast of WCAG 2: (lighter + 0.05) / (darker + 0.05)."""
    high, low = sorted((_luminance(palette[role]), _luminance(palette["surface"])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least


def _luminance(colour):
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0, 300)), min_size=1, max_size=12))
def test_labels_cover_neither_lines_nor_points_nor_each_other(places):
    """A label without a free place is left out."""
    line = [(0.0, 280.0), (200.0, 60.0), (600.0, 20.0)]
    anchors = [Anchor(x, y, f"model {i}") for i, (x, y) in enumerate(places)]
    found = place_labels(anchors, [line], width=600, height=300)
    boxes = [
        (a.x + p.dx, a.y + p.dy - 7, a.x + p.dx + text_width(a.text, 12), a.y + p.dy + 7)
        for a, p in zip(anchors, found, strict=True)
        if p is not None
    ]
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= 600
        for other in boxes[:i]:
            assert not (other[0] < right and left < other[2] and other[1] < bottom and top < other[3])
        for (x0, y0), (x1, y1) in pairwise(line):
            for step in range(201):
                x, y = x0 + (x1 - x0) * step / 200, y0 + (y1 - y0) * step / 200
                assert not (left + 3 < x < right - 3 and top + 3 < y < bottom - 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: intervals([], axis="%", description="d"), "no rows to draw"),
        (lambda: frontier([]), "neither points nor curves"),
        (lambda: shares({"r": {}}, cheapest_first=[]), "no shares to draw"),
        (lambda: reliability({"r": []}), "no bins to draw"),
        (lambda: attempts([]), "no attempts to draw"),
        (lambda: series([], unit="s", description="d"), "no moments to draw"),
        (lambda: series([Moment(datetime(2026, 1, 1), 1.0)], unit="s", description="d"), "no time zone"),  # noqa: DTZ001
        (lambda: frontier(POINTS, width=100), "expected pixels from 200 on"),
        (lambda: to_png(MADE["plan"](400), theme="page"), "expected 'light' or 'dark'"),
        (lambda: stacked([]), "no pictures to stack"),
    ],
)
def test_bad_input_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
