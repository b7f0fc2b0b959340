"""What mkdocs calls while it builds the site: pages that are made, and Markdown as GitHub reads it.

The repository's pages stay as they are. Four files from outside ``docs/`` become pages, the decisions get an index, and
the API's page is written from the service itself.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from endpoints import endpoints_page

ROOT = Path(__file__).resolve().parents[2]

FROM_OUTSIDE = {
    "README.md": "index.md",
    "data/README.md": "outcome-tables.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "tests/README.md": "tests.md",
}
"""File of the repository -> page of the site."""

_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
_LOADS = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]+>"
    r"|<link\b[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload)\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]+>"
    r"|(?:@import\s+|url\()[\"']?(?:https?:)?//[^)\s]+"
)
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files of ``docs/``."""
    from mkdocs.structure.files import File  # noqa: PLC0415

    made = {page: (ROOT / source).read_text("utf-8") for source, page in FROM_OUTSIDE.items()}
    made["decisions/index.md"] = decisions_page(ROOT / "docs" / "decisions")
    made["endpoints.md"] = endpoints_page()
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page's text with links that work in the site, and with the blank lines that Python's Markdown needs."""
    sources = {made: source for source, made in FROM_OUTSIDE.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return "".join(
        part if n % 2 else _LINK.sub(lambda link: relinked(link, here, page.file.src_uri), spaced(part))
        for n, part in enumerate(_CODE.split(markdown))
    )


def on_post_build(config: Any, **_: Any) -> None:
    """Fail where a page loads anything from another host; a reader may be offline, and nobody else has to know."""
    from mkdocs.exceptions import PluginError  # noqa: PLC0415

    site = Path(config["site_dir"])
    loading = [
        f"{path.relative_to(site)}: {found}"
        for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")])
        for found in _LOADS.findall(path.read_text("utf-8"))
    ]
    if loading:
        raise PluginError(f"pages must load nothing from other hosts: {'; '.join(loading[:5])}")


def relinked(link: re.Match[str], source: str, page: str) -> str:
    """Return a link of the file `source` as it has to be in the page `page`; what is no page is only named.

    >>> relinked(_LINK.match("[speed](docs/speed.md#memory)"), "README.md", "index.md")
    '[speed](speed.md#memory)'
    >>> relinked(_LINK.match("[tables](../data/README.md)"), "docs/training.md", "training.md")
    '[tables](outcome-tables.md)'
    >>> relinked(_LINK.match("[NOTICE](NOTICE)"), "README.md", "index.md")
    'NOTICE'
    """
    before, target, after = link.groups()
    path, mark, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return link[0]
    found = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if not (ROOT / found).exists():
        return link[0]  # the strict build says so
    if found in FROM_OUTSIDE:
        made = FROM_OUTSIDE[found]
    elif found == "docs/decisions":
        made = "decisions/index.md"
    elif found.startswith("docs/") and found.endswith((".md", ".svg", ".png")):
        made = found.removeprefix("docs/")
    else:
        return before.lstrip("!").strip("[](") or found
    return f"{before}{posixpath.relpath(made, posixpath.dirname(page) or '.')}{mark}{anchor}{after}"


def spaced(text: str) -> str:
    r"""Drop comments, and put a blank line before a table or a list that follows a paragraph; GitHub needs none.

    >>> spaced("as follows:\n- one\n- two")
    'as follows:\n\n- one\n- two'
    """
    text = re.sub(r"^<!--.*?-->$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(?![-*|\s]|\d+\. )(.+)\n(?=(?:[-*]|\d+\.) )", r"\1\n\n", text, flags=re.MULTILINE)
    return re.sub(r"^(?![|\s])(.+)\n(?=\|)", r"\1\n\n", text, flags=re.MULTILINE)


def decisions_page(folder: Path) -> str:
    """Return the list of decisions, each with what holds now."""
    lines = ["# Decisions", "", "Each page says what was decided, what was measured, and what was tried and left.", ""]
    for path in sorted(folder.glob("0*.md")):
        text = path.read_text("utf-8")
        title = re.search(r"^# (?:\d+[.:]? *)?(.+)$", text, re.MULTILINE)
        now = re.search(r"^\*\*Now:\*\* *(.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
        said = "" if now is None else re.sub(r"\s+", " ", re.split(r"(?<=\.)\s", now[1])[0])
        said = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", said)
        lines.append(f"- [{path.stem[:4]} {path.stem[5:] if title is None else title[1]}]({path.name}): {said}")
    return "\n".join([*lines, ""])
