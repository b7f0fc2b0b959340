"""The page that all reports share."""

import re
from pathlib import Path

import click
import pytest

pytest.importorskip("altair", reason="extra 'report' is not installed")

from router_model.charts import IntervalRow, intervals
from router_model.pages.blocks import (
    Beside,
    Bullets,
    Code,
    Facts,
    Figure,
    Folded,
    Number,
    Numbers,
    Page,
    Paragraph,
    Section,
    Table,
    Verdict,
)
from router_model.pages.command_option import check_page
from router_model.pages.render import render, write_page

NASTY = '<img src=x onerror=alert(1)> "quoted" & `<b>code</b>`'


def whole_page():
    """A page with a block of every kind, all of them with a text that tries to be markup."""
    figure = Figure(
        lambda width: intervals([IntervalRow(NASTY, 1.0)], axis=NASTY, description=NASTY, width=width), NASTY
    )
    blocks = (
        Verdict(NASTY, NASTY, "good"), Numbers((Number(NASTY, NASTY, NASTY),)), Bullets((NASTY,), heading=NASTY),
        Facts(((NASTY, NASTY),)), Code(NASTY), Table.of((NASTY, NASTY), [(NASTY, NASTY)], NASTY), Paragraph(NASTY),
        Beside((figure,)), Folded(NASTY, (Paragraph(NASTY),)),
    )  # fmt: skip
    return Page(NASTY, NASTY, (Section("", blocks), Section("One", blocks[:1]), Section("Two", blocks[:1])))


@pytest.fixture(scope="module")
def html():
    return render(whole_page())


def test_every_text_is_escaped_and_backticks_are_code(html):
    assert not re.search(r"<img|<b>|<script|\son\w+=['\"]", html)
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "<code>&lt;b&gt;code&lt;/b&gt;</code>" in html


def test_a_page_loads_nothing_and_its_policy_forbids_it(html):
    assert "default-src 'none'; style-src 'sha256-" in html
    assert not re.search(r"<(link|iframe|object|script|img)\b|url\((?!#)|@import|src=[\"']", html.replace("src=x", ""))


def test_sections_are_linked_and_the_same_page_is_the_same_text(html):
    assert 'href="#one"' in html
    assert 'id="one"' in html
    assert render(whole_page()) == html


def test_a_page_is_written_where_there_is_a_folder(tmp_path):
    page = Page("Title", "Lead.", (Section("", (Paragraph("Text."),)),))
    write_page(page, tmp_path / "page.html")
    assert "<h1>Title</h1>" in (tmp_path / "page.html").read_text()
    check_page(None)
    check_page(Path("page.html"))
    for wrong in (tmp_path, tmp_path / "none" / "page.html"):
        with pytest.raises(click.UsageError, match="in a folder that exists"):
            check_page(wrong)
