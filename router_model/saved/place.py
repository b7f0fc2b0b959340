"""A place: a folder of published routers, the pointer to the one that is served, and the way back.

    9f86d081884c/    a published router, named by the first digits of its content hash; never changed
    current          a file with one line, the name of the router that is served
    previous         the one that was served before; gone after a rollback
    challenger       a file with one line of JSON, the router that is tried beside the current one; usually none
    history.jsonl    who published, forced or rolled back what, when and why; a line each

Servers watch `current` (`router-model serve PLACE`). A pointer is replaced by a rename, so readers see the old or the
new name and nothing between. Each change is written in this order: the router's folder, the history, the pointer that
must not be wrong if the process is killed between the two. So whatever a kill leaves behind is a place whose `current`
names a whole router, and whose `previous`, if it differs from `current`, names the one that was served before.
"""

import getpass
import json
import math
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from router_model.errors import ArtifactError
from router_model.saved.artifact import CURRENT, MANIFEST, copy_artifact, load_artifact, read_manifest, sync_folder

PREVIOUS: Final = "previous"
CHALLENGER: Final = "challenger"
HISTORY: Final = "history.jsonl"

_LOCK: Final = ".lock"
_N_DIGITS: Final = 12
_LONGEST_POINTER: Final = 4096


class Mode(StrEnum):
    """What services do with a challenger."""

    SHADOW = "shadow"
    """It decides after the answer, and its choice is only written down."""
    EXPLORE = "explore"
    """Where it disagrees with the champion, the choice is drawn between the two."""
    CANARY = "canary"
    """It decides for a share of the sessions."""


@dataclass(frozen=True, slots=True)
class Challenger:
    """A published router that is tried beside the one that is served.

    Attributes
    ----------
    router : name of its folder in the place
    mode : Mode
    share : float
        Shadow: the largest share of one CPU that it may take in each process. Explore: the probability of the
        challenger's choice where the two disagree, at most 0.5. Canary: the share of the sessions.
    since : when the pointer was written

    Raises
    ------
    ArtifactError
        If a value is not one of these.
    """

    router: str
    mode: Mode
    share: float
    since: datetime

    def __post_init__(self) -> None:
        most = 0.5 if self.mode is Mode.EXPLORE else 1.0
        if not (math.isfinite(self.share) and 0.0 < self.share <= most):
            raise ArtifactError(f"share: got {self.share}; expected a number above 0 and at most {most} ({self.mode})")

    def as_line(self) -> str:
        """Return the pointer's line."""
        since = self.since.isoformat(timespec="seconds")
        return json.dumps({"router": self.router, "mode": self.mode.value, "share": self.share, "since": since})

    @classmethod
    def of_line(cls, line: str) -> "Challenger":
        """Read the pointer's line.

        Raises
        ------
        ValueError, TypeError, KeyError, ArtifactError
            If it is not what `as_line` writes.
        """
        said = json.loads(line)
        router, share = said["router"], said["share"]
        if not isinstance(router, str) or not router.strip(".") or Path(router).name != router:
            raise ValueError(f"router: got {router!r}; expected the name of a published router")
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise TypeError(f"share: got {share!r}; expected a number")
        since = datetime.fromisoformat(said["since"])
        if since.tzinfo is None:
            raise ValueError(f"since: got {said['since']!r}; expected a time with its zone")
        return cls(router, Mode(said["mode"]), float(share), since)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of published routers.

    Attributes
    ----------
    folder : Path
        It need not exist before the first router is published.
    """

    folder: Path

    @classmethod
    def at(cls, path: Path) -> "Place | None":
        """Return the place that a service follows which was given its folder, or the pointer in it; None elsewhere."""
        folder = path.parent if path.name == CURRENT and path.is_file() else path
        return cls(folder) if (folder / CURRENT).is_file() and not (folder / MANIFEST).exists() else None

    @property
    def current(self) -> Path | None:
        """The folder of the router that is served; None if nothing was published yet."""
        return self._pointed(CURRENT)

    @property
    def previous(self) -> Path | None:
        """The folder of the router that was served before; None if there is none to return to."""
        previous = self._pointed(PREVIOUS)
        return None if previous == self.current else previous

    @property
    def challenger(self) -> Challenger | None:
        """The router that is tried beside the current one; None if there is none.

        Raises
        ------
        ArtifactError
            If the pointer is damaged.
        """
        pointer = self.folder / CHALLENGER
        try:
            with pointer.open(encoding="utf-8") as file:
                line = file.read(_LONGEST_POINTER)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise ArtifactError(f"{pointer}: cannot be read ({exc}); remove it, or set it again") from exc
        try:
            return Challenger.of_line(line)
        except (ValueError, TypeError, KeyError, RecursionError, ArtifactError) as exc:
            why = f"no {exc}" if isinstance(exc, KeyError) else exc
            raise ArtifactError(
                f"{pointer}: is damaged ({why}); set it again with 'router-model challenge', or remove the file"
            ) from exc

    def challenge(self, artifact: Path, mode: Mode, share: float) -> Challenger:
        """Copy a verified router into the place and let services try it beside the current one.

        Parameters
        ----------
        artifact : folder of the router
        mode : Mode
        share : see `Challenger`

        Raises
        ------
        ArtifactError
            If the router or the share cannot be used, the place serves no router, or this very router. The challenger
            is then as it was.
        """
        digits = folder_name(str(read_manifest(artifact)["content_hash"]))
        challenger = Challenger(digits, mode, share, datetime.now(UTC))
        if not self.folder.is_dir() or self.current is None:
            raise ArtifactError(
                f"{self.folder}: no router is served here that it could challenge; 'router-model promote' publishes one"
            )
        with self._alone():
            if self.current == self.folder / digits:
                raise ArtifactError(f"{self.folder}: serves {digits} itself; expected another router as challenger")
            self._adopt(artifact, digits)
            self._write_history({"action": "challenge", "artifact": digits, "mode": mode.value, "share": share})
            self._write(CHALLENGER, challenger.as_line())
        return challenger

    def stop_challenge(self, reason: str | None = None, *, only: Challenger | None = None) -> bool:
        """Let services forget the challenger; return whether there was one.

        Parameters
        ----------
        reason : what the history says
        only : leave another challenger that was set meanwhile alone; default: whichever it is, damaged, too

        Raises
        ------
        ArtifactError
            If the place cannot be written.
        """
        if not (self.folder / CHALLENGER).exists():
            return False
        with self._alone():
            try:
                found = self.challenger
            except ArtifactError:  # damaged: removing it is the way out
                found = None
            if only is not None and found != only:
                return False
            self._write_history(
                {"action": "stop challenge", "artifact": found and found.router}
                | ({} if reason is None else {"reason": reason})
            )
            (self.folder / CHALLENGER).unlink(missing_ok=True)
            sync_folder(self.folder)
        return True

    def publish(self, artifact: Path, entry: Mapping[str, Any], *, instead_of: Path | None) -> Path:
        """Copy a verified router into the place and let `current` name it; return its folder.

        Parameters
        ----------
        artifact : folder of the router
        entry : what the history says beside who, when and which router
        instead_of : `current` when the router was examined

        Raises
        ------
        ArtifactError
            If the router is damaged, the place cannot be written or serves another router by now. `current` is then as
            it was.
        """
        self._refuse_foreign()
        digits = folder_name(str(read_manifest(artifact)["content_hash"]))
        with self._alone():
            before = self.current
            if before != instead_of:
                names = [None if one is None else one.name for one in (before, instead_of)]
                raise ArtifactError(
                    f"{self.folder}: serves {names[0]} by now, and {digits} was compared with {names[1]}; run it again"
                )
            folder = self._adopt(artifact, digits)
            self._write_history({"action": "promote", "artifact": digits, "before": before and before.name, **entry})
            if before is not None and before != folder and _is_intact(before):
                self._point(PREVIOUS, before)
            self._point(CURRENT, folder)
            if self._challenges(digits):
                (self.folder / CHALLENGER).unlink(missing_ok=True)  # it is the champion now
                sync_folder(self.folder)
        return folder

    def rollback(self, reason: str | None = None) -> tuple[Path, Path]:
        """Let `current` name the previous router again; return the folders of the one left and the one returned to.

        Afterwards there is no previous router, so that a second rollback cannot return to the one that was left.

        Parameters
        ----------
        reason : what the history says

        Raises
        ------
        ArtifactError
            If there is no previous router, or it is damaged. Nothing is changed then.
        """
        if not self.folder.is_dir() or self.current is None:
            raise ArtifactError(f"{self.folder}: no router was published here; 'router-model promote' publishes one")
        with self._alone():
            left, previous = self.current, self.previous
            if left is None or previous is None:
                raise ArtifactError(f"{self.folder}: {self._why_no_previous()}; nothing was changed")
            try:
                load_artifact(previous)
            except ArtifactError as exc:
                raise ArtifactError(
                    f"{self.folder}: the previous router cannot serve, so {left.name} stays; publish another one with "
                    f"'router-model promote' ({exc})"
                ) from exc
            self._write_history(
                {"action": "rollback", "artifact": previous.name, "before": left.name}
                | ({} if reason is None else {"reason": reason})
            )
            self._point(CURRENT, previous)
            (self.folder / PREVIOUS).unlink()
            sync_folder(self.folder)
        return left, previous

    def history(self) -> list[dict[str, Any]]:
        """Return the entries of the history, oldest first; a line that a kill cut off is left out."""
        try:
            lines = (self.folder / HISTORY).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def _pointed(self, name: str) -> Path | None:
        """Return the folder that a pointer names, which may be damaged or gone; None without the pointer."""
        pointer = self.folder / name
        try:
            said = pointer.read_text("utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise ArtifactError(f"{pointer}: cannot be read ({exc}); expected one line, a published router") from exc
        if not said or Path(said).name != said:
            raise ArtifactError(f"{pointer}: got {said[:80]!r}; expected one line, the name of a published router")
        return self.folder / said

    def _challenges(self, digits: str) -> bool:
        try:
            return self.challenger is not None and self.challenger.router == digits
        except ArtifactError:
            return False

    def _adopt(self, artifact: Path, digits: str) -> Path:
        """Return the folder of a router in the place; it is copied there and verified if it is not yet."""
        folder = self.folder / digits
        if not _is_intact(folder):
            copy_artifact(artifact, folder)
        return folder

    def _why_no_previous(self) -> str:
        entries = [one for one in self.history() if one["action"] in ("promote", "rollback")]
        if entries and entries[-1]["action"] == "rollback":
            last = entries[-1]
            return (
                f"it was rolled back already, from {last['before']} to {last['artifact']} ({last['at']}, {last['by']})"
            )
        return "there is no previous router to return to"

    def _refuse_foreign(self) -> None:
        """Raise an error where routers and pointers would lie among other people's files."""
        if not self.folder.exists() or (self.folder.is_dir() and (self.folder / CURRENT).is_file()):
            return
        if not self.folder.is_dir():
            raise ArtifactError(f"{self.folder}: is a file; expected a folder to publish routers in")
        strangers = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        # Killed before its first pointer was written, it holds nothing but what a place holds.
        if any(name != HISTORY and not (self.folder / name / MANIFEST).is_file() for name in strangers):
            raise ArtifactError(
                f"{self.folder}: holds files that are not published routers ({', '.join(strangers[:3])}); expected a "
                "new folder, or one that 'router-model promote' made"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time change the place; others wait for it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / _LOCK).open("a") as lock:
                if sys.platform != "win32":
                    import fcntl  # noqa: PLC0415

                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise ArtifactError(
                f"{self.folder}: cannot be written ({exc}); nothing else is served than before"
            ) from exc

    def _write_history(self, entry: Mapping[str, Any]) -> None:
        """Add a line; a process that was killed between it and the pointer has left it, and it is not written twice."""
        last = self.history()[-1:]
        if last and {name: last[0][name] for name in last[0] if name not in {"at", "by"}} == _plain(entry):
            return
        at = datetime.now(UTC).isoformat(timespec="seconds")
        line = json.dumps({"at": at, "by": _who(), **entry}, ensure_ascii=False)
        path = self.folder / HISTORY
        cut = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * cut + line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _point(self, name: str, folder: Path) -> None:
        self._write(name, folder.name)

    def _write(self, name: str, line: str) -> None:
        """Replace a pointer in one step."""
        handle, beside = tempfile.mkstemp(prefix=f".{name}.", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)  # the service may run as another user
        Path(beside).replace(self.folder / name)
        sync_folder(self.folder)


def _plain(entry: Mapping[str, Any]) -> Any:
    """Return an entry as it comes back from the history."""
    return json.loads(json.dumps(dict(entry)))


def folder_name(content_hash: str) -> str:
    """Return the name of the folder in which a router with this hash is published.

    >>> folder_name("sha256:9f86d081884c7d659a2feaa0c55ad015")
    '9f86d081884c'
    """
    return content_hash.partition(":")[2][:_N_DIGITS]


def _is_intact(folder: Path) -> bool:
    if not folder.exists():
        return False
    try:
        load_artifact(folder)
    except ArtifactError:
        return False
    return True


def _who() -> str:
    """Return the user and the machine, for the history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"
