"""The folder of Parquet segments: a local one, or any place that fsspec reaches.

A file appears under its name when it is complete, or not at all.
"""

import os
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from router_model.serving.common.service_errors import SettingsError

_UNFINISHED = ".tmp-"


class Folder(Protocol):
    """Files by name; names are relative and use slashes."""

    def check(self, *, create: bool) -> None:
        """Make sure that the folder is there. OSError if it is not reachable, SettingsError if it never will be."""

    def names(self, prefix: str) -> list[str]:
        """Return the names of complete files in a sub-folder, sorted."""

    def read(self, name: str) -> bytes:
        """Return a file's content; FileNotFoundError if it is gone."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file, replacing what has its name."""

    def delete(self, name: str) -> None:
        """Delete a file that may be gone already."""


class LocalFolder:
    """A folder on a disk of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, *, create: bool) -> None:
        """Make the folder."""
        if not create and not self.path.is_dir():
            raise SettingsError(f"{self.path}: no such log; give the folder the service writes, as parquet:folder")
        self.path.mkdir(parents=True, exist_ok=True)

    def names(self, prefix: str) -> list[str]:
        """List complete files."""
        paths = (self.path / prefix).glob("*.parquet")
        return sorted(f"{prefix}/{path.name}" for path in paths if not path.name.startswith(_UNFINISHED))

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write under another name, bring it to the disk, rename."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{_UNFINISHED}{uuid4().hex}")
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                # Before the rename: after a power failure no file may have its final name without its content.
                os.fsync(file.fileno())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Delete a file."""
        (self.path / name).unlink(missing_ok=True)


class RemoteFolder:
    """A folder in an object store or elsewhere, by fsspec."""

    def __init__(self, uri: str) -> None:
        try:
            import fsspec  # noqa: PLC0415  (only such logs need it)
        except ImportError as exc:
            raise ImportError(f"parquet:{uri} needs fsspec: pip install fsspec, and its package for the store") from exc
        try:
            self._files, self._root = fsspec.url_to_fs(uri)
        except (ImportError, ValueError) as exc:
            raise SettingsError(f"parquet:{uri}: {exc}") from exc

    def check(self, *, create: bool) -> None:
        """Make the folder, if the store has folders."""
        if not create and not self._files.exists(self._root):
            raise SettingsError(f"{self._root}: no such log; give the folder the service writes")
        self._files.makedirs(self._root, exist_ok=True)

    def names(self, prefix: str) -> list[str]:
        """List complete files."""
        # fsspec keeps listings, and would not show the files that other workers have written since.
        self._files.invalidate_cache()
        try:
            found: list[Any] = self._files.ls(f"{self._root}/{prefix}", detail=False)
        except FileNotFoundError:
            return []
        names = (str(path).rsplit("/", 1)[-1] for path in found)
        return sorted(
            f"{prefix}/{name}" for name in names if name.endswith(".parquet") and not name.startswith(_UNFINISHED)
        )

    def read(self, name: str) -> bytes:
        """Read a file."""
        data: bytes = self._files.cat_file(f"{self._root}/{name}")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write under another name, move."""
        target = f"{self._root}/{name}"
        folder = target.rsplit("/", 1)[0]
        self._files.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/{_UNFINISHED}{uuid4().hex}"
        self._files.pipe_file(unfinished, data)
        self._files.mv(unfinished, target)

    def delete(self, name: str) -> None:
        """Delete a file."""
        if self._files.exists(f"{self._root}/{name}"):
            self._files.rm_file(f"{self._root}/{name}")


def folder_at(place: str) -> Folder:
    """Return the folder at a path, or at a URI with a scheme.

    Raises
    ------
    SettingsError
        If the scheme is not known.
    ImportError
        If fsspec is needed and missing.
    """
    return RemoteFolder(place) if urlsplit(place).scheme and "://" in place else LocalFolder(Path(place))
