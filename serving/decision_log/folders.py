"""The folder of Parquet segments: a local one, or any place that fsspec reaches.

A file appears under its name when it is complete, or not at all.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from router_model.install_line import install_line
from router_model.serving.common.service_errors import SettingsError

ARCHIVED_DAY: Final = re.compile(r"day=(\d{4}-\d{2}-\d{2})")
"""The name of a day's sub-folder in an archive (`router_model.serving.decision_log.archive`)."""
_UNFINISHED: Final = ".tmp-"
_WITH_BUCKETS: Final = ("s3", "s3a", "gs", "gcs")
_CLIENTS: Final = ("botocore", "aiobotocore", "aiohttp", "s3fs", "gcsfs", "google")
"""Packages whose failures are those of the store."""


class Folder(Protocol):
    """Files by name; names are relative and use slashes."""

    def check(self, *, create: bool) -> None:
        """Make sure that the folder is there. OSError if it is not reachable, SettingsError if it never will be."""

    def names(self, prefix: str) -> list[str]:
        """Return the names of complete files in a sub-folder, sorted."""

    def folders(self) -> list[str]:
        """Return the names of the sub-folders, sorted."""

    def read(self, name: str) -> bytes:
        """Return a file's content; FileNotFoundError if it is gone."""

    def ends_with(self, name: str, end: bytes) -> bool:
        """Return whether there is such a file, and it ends like this; no more of it is read."""

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

    def folders(self) -> list[str]:
        """List sub-folders."""
        return sorted(path.name for path in self.path.iterdir() if path.is_dir())

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self.path / name).read_bytes()

    def ends_with(self, name: str, end: bytes) -> bool:
        """Read the end of a file."""
        path = self.path / name
        if not path.is_file() or path.stat().st_size < len(end):
            return False
        with path.open("rb") as file:
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end

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
    """A folder in an object store or elsewhere, by fsspec.

    Failures of the store's own packages become OSErrors that say what to look at.
    """

    def __init__(self, uri: str) -> None:
        try:
            import fsspec  # noqa: PLC0415  (only such logs need it)
        except ImportError as exc:
            raise ImportError(f"{uri} needs fsspec: {install_line('s3')}, or fsspec and its package") from exc
        try:
            self._files, self._root = fsspec.url_to_fs(uri)
        except ImportError as exc:
            raise ImportError(f"{uri}: {exc}. For s3://: {install_line('s3')}") from exc
        except ValueError as exc:
            raise SettingsError(f"{uri}: {exc}") from exc
        self._uri = uri
        self._has_buckets = urlsplit(uri).scheme in _WITH_BUCKETS

    def check(self, *, create: bool) -> None:
        """Make the folder, if the store has folders; a bucket is not made."""
        with self._reaching():
            if self._has_buckets:
                self._check_bucket()
            elif create:
                self._files.makedirs(self._root, exist_ok=True)
                return
            if not create and not self._files.exists(self._root):
                raise SettingsError(f"{self._uri}: no such log; give the folder the service writes")

    def names(self, prefix: str) -> list[str]:
        """List complete files."""
        names = self._listed(f"{self._root}/{prefix}")
        return sorted(
            f"{prefix}/{name}" for name in names if name.endswith(".parquet") and not name.startswith(_UNFINISHED)
        )

    def folders(self) -> list[str]:
        """List sub-folders."""
        return sorted(self._listed(self._root))

    def read(self, name: str) -> bytes:
        """Read a file."""
        with self._reaching():
            data: bytes = self._files.cat_file(f"{self._root}/{name}")
            return data

    def ends_with(self, name: str, end: bytes) -> bool:
        """Read the end of a file."""
        with self._reaching():
            self._files.invalidate_cache()
            try:
                size = self._files.info(f"{self._root}/{name}")["size"]
                data: bytes = self._files.cat_file(f"{self._root}/{name}", start=max(size - len(end), 0), end=size)
            except FileNotFoundError:
                return False
            return data == end

    def write(self, name: str, data: bytes) -> None:
        """Write a file: of an object store at once, as an object is there whole or not at all; else move it."""
        target = f"{self._root}/{name}"
        folder = target.rsplit("/", 1)[0]
        with self._reaching():
            if self._has_buckets:
                self._files.pipe_file(target, data)
                return
            self._files.makedirs(folder, exist_ok=True)
            unfinished = f"{folder}/{_UNFINISHED}{uuid4().hex}"
            self._files.pipe_file(unfinished, data)
            self._files.mv(unfinished, target)

    def delete(self, name: str) -> None:
        """Delete a file."""
        with self._reaching():
            if self._files.exists(f"{self._root}/{name}"):
                self._files.rm_file(f"{self._root}/{name}")

    def _listed(self, path: str) -> list[str]:
        with self._reaching():
            # fsspec keeps listings, and would not show the files that other workers have written since.
            self._files.invalidate_cache()
            try:
                found: list[Any] = self._files.ls(path, detail=False)
            except FileNotFoundError:
                return []
            return [str(each).rstrip("/").rsplit("/", 1)[-1] for each in found]

    def _check_bucket(self) -> None:
        bucket = self._root.partition("/")[0]
        try:
            self._files.ls(self._root, detail=False, refresh=True)
        except FileNotFoundError:  # nothing is there yet, or no bucket; a key for one prefix alone may not ask which
            pass
        else:
            return
        try:
            self._files.ls(bucket, detail=False, refresh=True)
        except PermissionError:
            return
        except FileNotFoundError:
            raise SettingsError(
                f"{self._uri}: there is no bucket {bucket!r}; make it, or check its name and AWS_ENDPOINT_URL"
            ) from None

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, SettingsError):
            raise
        except PermissionError as exc:
            raise PermissionError(f"{self._uri}: the store refuses the key, or its rights are too few ({exc})") from exc
        except Exception as exc:
            if not isinstance(exc, OSError) and type(exc).__module__.partition(".")[0] not in _CLIENTS:
                raise
            raise OSError(f"{self._uri}: {type(exc).__name__}: {exc}{_advice(exc)}") from exc


def _advice(exc: BaseException) -> str:
    """Return what to look at, for the causes that are common."""
    name, said = type(exc).__name__, str(exc).lower()
    if "credentials" in name.lower() or "credentials" in said:
        return ". Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where the machine has a role"
    if any(word in said for word in ("redirect", "specified endpoint", "region")):
        return ". The bucket is in another region: set AWS_DEFAULT_REGION to it"
    if "connect" in name.lower() or "connect" in said:
        return ". Check the network and AWS_ENDPOINT_URL"
    return ""


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
