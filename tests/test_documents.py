"""What the documents point to exists, and what the README tells to type works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("notebooks/*.md")]
)
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OUTSIDE = ("http://", "https://", "mailto:")


def slug(heading):
    """Return the anchor that GitHub gives a heading.

    >>> slug("What is paid of calls that fail: `n`, and [more](x.md)")
    'what-is-paid-of-calls-that-fail-n-and-more'
    """
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path):
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def broken(document):
    links = LINK.findall(CODE.sub("", document.read_text(encoding="utf-8")))
    for link in (link for link in links if not link.startswith(OUTSIDE)):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_project_resolves(document):
    assert list(broken(document)) == []


def test_a_broken_link_is_found(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(
        "# One `x`\n[a](#one-x) [b](#two) [c](gone.md) `[d](code.md)` [e](page.md#one-x)\n", encoding="utf-8"
    )
    assert list(broken(document)) == ["#two", "gone.md"]


def test_every_document_is_reachable_from_the_readme():
    """A page that nothing links to is a page that nobody reads; decisions are reached by their folder."""
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        if document in reached:
            continue
        reached.add(document)
        links = [link.partition("#")[0] for link in LINK.findall(document.read_text(encoding="utf-8"))]
        targets = [(document.parent / link).resolve() for link in links if link.endswith(".md") and "//" not in link]
        ahead += [target for target in targets if target.exists()]
    assert [path.name for path in (ROOT / "docs").glob("*.md") if path not in reached] == []


def test_every_decision_says_first_what_holds_now():
    for decision in sorted(ROOT.glob("docs/decisions/*.md")):
        title, first = [line for line in decision.read_text(encoding="utf-8").splitlines() if line][:2]
        assert title.startswith("# ")
        assert first.startswith("**Now:** "), decision.name


@pytest.mark.parametrize("package", ["training", "serving", "router_model"])
def test_every_folder_is_in_the_picture_of_the_rooms(package):
    """Where this fails, add the folder to docs/draw_rooms.py, run it, and look at docs/architecture.md."""
    drawn = set(re.findall(r"\w+", (ROOT / "docs" / "figures" / "rooms.svg").read_text(encoding="utf-8")))
    folders = [path.parent for path in ROOT.joinpath(package).glob("*/__init__.py")]
    assert [folder.name for folder in folders if folder.name not in drawn] == []


@pytest.mark.slow
def test_what_the_readme_tells_to_type_by_hand_works(tmp_path):
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("Or by hand, with the sample")[2]
    sh, python, printed = re.findall(r"^```\w*\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)[:3]
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": commands}
    shell = shutil.which("sh")
    subprocess.run([shell, "-ec", sh], cwd=tmp_path, env=environment, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True, capture_output=True, text=True)
    expected, got = ([line.split()[0] for line in text.strip().splitlines()] for text in (printed, done.stdout))
    assert got == expected
    probabilities = [[float(p) for p in re.findall(r"with ([\d.]+)", text)] for text in (printed, done.stdout)]
    assert probabilities[1] == pytest.approx(probabilities[0], abs=0.02)
