"""A page that a command wrote, as its tests look at it."""

import re
from pathlib import Path


def text_of(page: Path) -> str:
    """Return the words of a page, which loads nothing and runs nothing."""
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.search(r"""(?:src|href|url\()=?["']?(?:https?:)?//""", html)
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())
