"""Say that a file or a folder is missing, and which one with a near name is there."""

from difflib import get_close_matches
from pathlib import Path


def no_such(path: Path, kind: str = "file") -> str:
    """Return the first sentence of an error about a path that names nothing.

    Parameters
    ----------
    kind : what was expected, such as "file" or "folder"

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "outcomes.parquet").touch()
    >>> no_such(folder / "outcome.parquet").removeprefix(f"{folder}/")
    "outcome.parquet: no such file; did you mean 'outcomes.parquet'?"
    >>> no_such(folder / "none" / "outcomes.parquet").endswith("no such file, and no folder 'none'.")
    True
    """
    if not path.parent.is_dir():
        return f"{path}: no such {kind}, and no folder {path.parent.name!r}."
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:  # the folder may be closed to us
        names = []
    near = get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"{path}: no such {kind}" + (f"; did you mean {near[0]!r}?" if near else ".")
