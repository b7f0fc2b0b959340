"""Say how an extra of this package is installed, so that the line works before a release and after it."""

from importlib.metadata import PackageNotFoundError, distribution
from json import loads
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_line(extra: str) -> str:
    """Return the command that adds an extra: from the checkout that this package was installed from, else by its name.

    Nothing by this package's name is in the index before its first release. pip notes where a package came from in
    ``direct_url.json`` (PEP 610); a package of an index has no such note.

    Examples
    --------
    >>> install_line("serve").endswith("[serve]'")
    True
    """
    checkout = _checkout()
    return f"pip install '{'router-model' if checkout is None else checkout}[{extra}]'"


def _checkout() -> str | None:
    """Return the folder or file that this package was installed from, or that its code lies in; None if an index."""
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").is_file():
        return "." if root == Path.cwd() else str(root)
    try:
        noted = distribution("router-model").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    url = "" if noted is None else str(loads(noted).get("url", ""))
    path = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    return path if path and Path(path).exists() else None  # in an image the wheel that was installed is gone
