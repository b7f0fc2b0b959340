"""Small disks that can be filled: file systems in memory, which only root may mount."""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_BLOCK = b"\0" * 4096


def can_mount() -> bool:
    """Tell whether a disk of our own can be mounted here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _mounts()


def _mounts() -> bool:
    """Containers have root, and may not mount all the same."""
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of this size until the end of the block; a plain folder where that is not possible."""
    folder.mkdir()
    if not can_mount():
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room on a folder's disk until the end of the block."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(_BLOCK):
                    pass
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
        yield
    finally:
        ballast.unlink()
