"""The documentation as a site: links that work there too, every endpoint, figures that are measured."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks():
    sys.path.insert(0, str(DOCS / "site"))  # mkdocs puts it there, too
    try:
        return runpy.run_path(str(DOCS / "site" / "hooks.py"))
    finally:
        sys.path.remove(str(DOCS / "site"))


@pytest.mark.parametrize(
    ("link", "source", "page", "made"),
    [
        ("[a](docs/speed.md#memory)", "README.md", "index.md", "[a](speed.md#memory)"),
        ("[a](docs/decisions)", "README.md", "index.md", "[a](decisions/index.md)"),
        ("[a](../data/README.md)", "docs/training.md", "training.md", "[a](outcome-tables.md)"),
        ("[a](../training.md#x)", "docs/decisions/0001-x.md", "decisions/0001-x.md", "[a](../training.md#x)"),
        ("![a](docs/figures/rooms.svg)", "README.md", "index.md", "![a](figures/rooms.svg)"),
        ("[NOTICE](NOTICE)", "README.md", "index.md", "NOTICE"),
        ("[a](https://example.org/docs/speed.md)", "README.md", "index.md", "[a](https://example.org/docs/speed.md)"),
        ("[a](docs/gone.md)", "README.md", "index.md", "[a](docs/gone.md)"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(hooks, link, source, page, made):
    assert hooks["relinked"](hooks["_LINK"].match(link), source, page) == made


def test_tables_and_lists_after_a_paragraph_get_their_blank_line(hooks):
    text = "<!-- quality -->\nSaved:\n| a |\n|---|\n| 1 |\nThen:\n1. one\n2. two\n"
    assert hooks["spaced"](text) == "\nSaved:\n\n| a |\n|---|\n| 1 |\nThen:\n\n1. one\n2. two\n"


def test_what_a_page_would_load_from_elsewhere_is_found(hooks):
    found = hooks["_LOADS"].findall(
        '<script src="https://cdn.example/x.js"></script><link href="https://a.example" rel="canonical">'
        '<link rel="stylesheet" href="//fonts.example/f.css"><a href="https://a.example">x</a><img src="a.svg">'
    )
    assert [part.partition("example/")[2] for part in found] == ['x.js">', 'f.css">']


def test_every_endpoint_and_body_is_on_the_page_of_endpoints(hooks):
    from router_model.serving.app import ENDPOINTS

    page = hooks["endpoints_page"]()
    assert all(f"`{one.method} {one.path.replace(':path', '')}`" in page for one in ENDPOINTS)
    named = set(re.findall(r"\]\(#(\w+)\)", page))
    assert named <= {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}


def test_every_page_is_in_the_navigation(hooks):
    written = {path.name for path in DOCS.glob("*.md")} | {*hooks["FROM_OUTSIDE"].values(), "endpoints.md"}
    listed = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    assert listed == written


def test_the_figures_of_the_comparison_are_those_that_were_measured():
    """Where this fails, copy the rows anew, and read the sentences below them."""
    measured = (DOCS / "speed.md").read_text("utf-8")
    rows = [line for line in (DOCS / "comparison.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    assert rows
    assert [row for row in rows if row not in measured] == []
