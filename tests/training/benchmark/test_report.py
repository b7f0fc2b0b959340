import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from fake_results import METHODS, NASTY, NASTY_MODEL, fake_results
from rich.console import Console

from router_model.training.benchmark.report import tables
from router_model.training.benchmark.report.html import ROUTING, benchmark_page
from router_model.training.benchmark.report.terminal import show_results

pytestmark = pytest.mark.slow

pytest.importorskip("altair", reason="extra 'report' is not installed")

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects a page's tables and what it loads; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.loads, self.tags, self.ids, self.anchors = [], [], [], [], []
        self.tables: list[list[list[str]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "srcset", "data", "action")]
        self.anchors += [attributes["href"]] if "href" in attributes else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        assert not [name for name in attributes if name.startswith("on")], attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def html() -> str:
    from router_model.training.benchmark.report.html import render_html

    return render_html(fake_results(two_models=True), shift=fake_results(shift=True))


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_the_page_nests_and_its_links_lead_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    assert page.anchors
    assert {anchor.removeprefix("#") for anchor in page.anchors} <= set(page.ids)


def test_the_page_loads_nothing_and_runs_nothing(page, html):
    assert page.loads == []
    assert page.tags.count("svg") == 2 * page.tags.count("figure")  # in two widths
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}


def test_names_from_a_table_are_escaped(html):
    assert not [name for name in NASTY if name in html and name != "<img"]
    assert "&lt;script&gt;" in html
    assert "&lt;img src=x onerror=alert(2)&gt;.parquet" in html


def test_every_method_stands_in_both_tables_by_aiq(page):
    names = [method.name for method in sorted(fake_results().methods, key=lambda m: -m.metrics["aiq"].value)]
    chosen, best, predicting = page.tables[:3]
    assert [row[0] for row in best[1:]] == names
    assert [row[0] for row in predicting[1:]] == names
    assert [row[0] for row in chosen[1:]] == names
    assert {len(row) for row in best} == {len(best[0])}
    assert best[0][2:5] == ["AIQ", "AIQ gain (null)", "AIQ-log"]


def test_two_models_and_shift_stand_there_only_where_they_are():
    """Charts are not drawn until a page is written, so sections cost nothing here."""

    def titles(results, shift=None):
        return {section.title for section in benchmark_page(results, shift).sections}

    results, shift = fake_results(two_models=True), fake_results(shift=True)
    assert {"Two models", "Shift"} <= titles(results, shift)
    assert not {"Two models", "Shift"} & titles(fake_results())
    assert "Shift" in titles(shift, shift)


def test_reasons_leakage_and_the_command_are_told(html):
    for said in ("needs two models, this table has 13", "near duplicates", "--seeds 3 --out report", "41"):
        assert said in html


def test_a_benchmark_of_one_method_without_probabilities_has_a_report():
    from router_model.training.benchmark.report.html import render_html

    results = fake_results()
    lonely = replace(results, methods=(results.method("paretobandit"),), leakage={}, not_run={}, provenance={})
    text = render_html(lonely)
    Page(text)
    assert "Ours was not run" in text
    assert "No audit was made." in text
    assert 'reliability"' not in text


def test_the_summary_has_dollars(html):
    """Our configuration costs 0.03 x (1 - saving) a prompt: saving x $30 of $30 are saved on 1,000 prompts."""
    reference = fake_results().method("ours")
    saving = sum(trial.chosen.saving for trial in reference.trials) / len(reference.trials)
    assert f"${30 * saving:.1f}" in html
    assert "of $30.0" in html


@pytest.mark.parametrize("missing", ["altair", "jinja2", "vl_convert"])
def test_a_missing_library_names_the_extra(monkeypatch, missing):
    from router_model.charts import extra
    from router_model.pages import render
    from router_model.training.benchmark.report.html import render_html

    for cached in (extra.altair, extra.vl_convert, render._environment):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install '.*\[report\]'"):
        render_html(fake_results())
    for cached in (extra.altair, extra.vl_convert, render._environment):
        cached.cache_clear()


@pytest.mark.parametrize("width", [80, 130])
def test_the_terminal_shows_every_method_within_its_width(width):
    lines = printed(fake_results(), width)
    assert max(len(line) for line in lines) <= width
    for name, *_ in METHODS:
        assert [line for line in lines if line.startswith(f"{name} ")], name
    text = " ".join(" ".join(lines).split())
    for said in ("behind", "within noise", "ahead", "not run: routellm: needs two models", "near duplicates 41"):
        assert said in text
    assert NASTY_MODEL in text


def test_the_terminal_tells_of_incomplete_prompts_of_the_first_trial():
    results = fake_results()
    first, second = (trial.name for trial in results.trials[:2])
    notes = [f"{first}, test: 9 of 30 prompts lack an outcome", f"{second}, test: 8 of 30 prompts lack an outcome"]
    shown = " ".join(printed(replace(results, provenance={**results.provenance, "notes": notes}), 120))
    assert "note: " + notes[0] in shown
    assert notes[1] not in shown


def test_the_terminal_takes_no_name_for_markup():
    """A method called ``[bold]x[/]`` is shown so."""
    results = fake_results()
    named = replace(results.methods[5], name="[bold]x[/]")
    lines = printed(replace(results, methods=(*results.methods[:5], named, *results.methods[6:])), 120)
    assert [line for line in lines if line.startswith("[bold]x[/] ")]


def test_the_terminal_tells_of_tasks_never_seen():
    assert "Tasks never seen: ours is number 1 of 9" in " ".join(printed(fake_results(shift=True), 120))


def test_a_metric_reached_in_some_trials_is_starred_and_one_in_none_said():
    """ridge + cost reaches the best single model's quality with seeds 0 and 2, its mean is 24.4 %; cheapest never."""
    rows = {row.cells[0].text: row for row in tables.best_on_test(fake_results(), ROUTING).rows}
    column = 2 + ROUTING.index("cost_save")
    ridge, cheapest = rows["ridge + cost"].cells[column], rows["cheapest"].cells[column]
    assert (ridge.text, ridge.note[:24]) == ("24.4 %*", "reached in 2 of 3 trials")
    assert cheapest.text == "not reached"


def test_the_best_learned_method_is_marked_bounds_are_not():
    rows = {row.cells[0].text: row for row in tables.best_on_test(fake_results(), ROUTING).rows}
    assert rows["ours"].cells[2].mark == "best"
    assert rows["ours"].cells[3].text.endswith(" (+0.0018)")
    assert rows["kNN 40 + cost"].cells[4].mark == "best"
    assert rows["oracle"].cells[2].mark == ""


def printed(results, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    show_results(results, console)
    return [re.sub(r"\s+$", "", line) for line in console.file.getvalue().splitlines()]
