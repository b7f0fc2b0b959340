"""Start the image's service as a container engine would, without one, and measure it: ``make image-check``.

    start_in_chroot.py IMAGE ROUTER       as root; IMAGE is the folder that in_chroot.sh has made, ROUTER an artifact

The root is read-only and the user is the Dockerfile's, without a home and without capabilities. The service is process
1 of its namespace, and has the Dockerfile's variables. This prints what it saw, and fails where something is wrong;
being slow is not.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

DOCKERFILE = Path(__file__).resolve().parents[1] / "Dockerfile"
VOLUMES = {"/var/lib/router": 0o750, "/tmp": 0o1777}  # noqa: S108  what the Dockerfile says may be written
MOUNTED = ("/etc/router", "/srv/router")
PORT = 18484
N_DECISIONS = 200
_PATIENCE_S = 60
# As root of a mount namespace: the image read-only, what is mounted into it, and then nobody's rights.
_IN_ROOT = """
image=$1 work=$2 user=$3 group=$4; shift 4
mount --make-rprivate /
mount --bind "$image" "$image"
mount -t proc proc "$image/proc"
mount --bind /dev "$image/dev"
for one in VOLUMES MOUNTED; do mount --bind "$work$one" "$image$one"; done
mount -o remount,bind,ro "$image"
for one in READ_ONLY; do mount -o remount,bind,ro "$image$one"; done
exec chroot "$image" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all \
  --inh-caps=-all env --ignore-environment --chdir=/var/lib/router "$@"
"""


def main() -> None:
    """Start it, ask it, end it."""
    if len(sys.argv) != 3 or os.getuid() != 0:  # noqa: PLR2004
        sys.exit(__doc__)
    image, router = (Path(one).resolve() for one in sys.argv[1:])
    with TemporaryDirectory() as folder:
        user, group = map(int, _in_dockerfile(r"USER (\d+):(\d+)"))
        work = _work_folder(Path(folder), router, user, group)
        key = _make_key(image, work, user, group)
        before = _files(image)
        watched = Service(image, work, user, group)
        watched.wait_until_ready()
        decided = [watched.decide(key, number) for number in range(N_DECISIONS)]
        explained = watched.decide(key, 0, router={"explain": True})
        refused = watched.try_to_write(image)
        took, status = watched.end()
        _report(watched, work, decided, took)
        wrong = {
            "a decision without a model": not all(one.get("model") for one in decided),
            f"no explanation: {explained}": "contributions" not in str(explained.get("explanation")),
            "the image's files have changed": _files(image) != before,
            f"written outside of the volumes: {refused}": bool(refused),
            f"it ended with status {status}": status != 0,
            "decisions are missing in the log": _n_logged(work) != N_DECISIONS + 1,
        }
    sys.exit("\n".join(name for name, is_so in wrong.items() if is_so) or 0)


@dataclass
class Service:
    """The service in its root.

    Attributes
    ----------
    listens_s, ready_s : from its start until it listens, and until ``/readyz`` says that it is ready
    health_s : what each answer of ``/healthz`` took meanwhile
    processor_s : of the process, until it was ready
    """

    image: Path
    work: Path
    user: int
    group: int
    listens_s: float = 0.0
    ready_s: float = 0.0
    processor_s: float = 0.0
    health_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        command = [*_entered(self.image, self.work, self.user, self.group), *_variables(), "router-model", "serve"]
        self._said = self.work / "said"
        self._process = subprocess.Popen(command, stdout=self._said.open("w"), stderr=subprocess.STDOUT)  # noqa: S603

    def wait_until_ready(self) -> None:
        """Ask for health and readiness all the while."""
        while time.monotonic() - self._began < _PATIENCE_S and self._process.poll() is None:
            try:
                began = time.monotonic()
                _ask("/healthz")
                self.health_s.append(time.monotonic() - began)
                self.listens_s = self.listens_s or time.monotonic() - self._began
                _ask("/readyz")
            except OSError:  # nobody listens, or it is not ready
                time.sleep(0.005)
            else:
                self.ready_s = time.monotonic() - self._began
                fields = Path(f"/proc/{self._pid()}/stat").read_text().rpartition(")")[2].split()
                self.processor_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                return
        self._process.kill()
        sys.exit(f"it was not ready after {_PATIENCE_S} s:\n{self._said.read_text()}")

    def decide(self, key: str, number: int, **more: object) -> dict[str, Any]:
        """Return a decision."""
        messages = [{"role": "user", "content": f"What is {number} times 17? Show your work."}]
        return _ask("/v1/route", {"messages": messages} | more, key)

    def try_to_write(self, image: Path) -> list[str]:
        """Return the folders outside of the volumes in which the service's user can make a file, in its own root."""
        folders = [f"/{one.relative_to(image)}" for one in image.rglob("*") if one.is_dir() and not one.is_symlink()]
        tried = [f"{one}/made" for one in folders if not one.startswith(("/proc", "/dev", "/sys", *VOLUMES))]
        script = "import sys\nfor one in sys.stdin.read().split('\\n'):\n try: open(one, 'x')\n except OSError: pass\n"
        script += " else: print(one)"
        done = subprocess.run(  # noqa: S603
            [*_entered(self.image, self.work, self.user, self.group), *_variables(), "python", "-c", script],
            input="\n".join(tried), capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    def end(self) -> tuple[float, int]:
        """Send SIGTERM to it; return how long it took to end, and its status."""
        began = time.monotonic()
        os.kill(self._pid(), signal.SIGTERM)
        status = self._process.wait(_PATIENCE_S)
        return time.monotonic() - began, status

    def _pid(self) -> int:
        """Return the number that process 1 of the namespace has outside of it."""
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _work_folder(folder: Path, router: Path, user: int, group: int) -> Path:
    folder.chmod(0o755)
    for name, mode in VOLUMES.items():
        made = folder / name[1:]
        made.mkdir(parents=True)
        os.chown(made, user, group)
        made.chmod(mode)
    (folder / "etc/router").mkdir(parents=True)
    os.chown(folder / "etc/router", user, group)
    shutil.copytree(router, folder / "srv/router")
    return folder


def _entered(image: Path, work: Path, user: int, group: int, *, writable: str = "") -> list[str]:
    """Return the command that runs what follows in the image's root."""
    script = _IN_ROOT.replace("VOLUMES", " ".join(VOLUMES)).replace("MOUNTED", " ".join(MOUNTED))
    script = script.replace("READ_ONLY", " ".join(one for one in MOUNTED if one != writable))
    arguments = [str(image), str(work), str(user), str(group)]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-eu", "-c", script, "sh", *arguments]


def _variables() -> list[str]:
    """Return those of the Dockerfile, for this machine alone."""
    (block,) = _in_dockerfile(r"^ENV (PATH=(?:.*\\\n)*.*)$")
    return [*block.replace("\\\n", " ").split(), "ROUTER_HOST=127.0.0.1", f"ROUTER_PORT={PORT}"]


def _in_dockerfile(pattern: str) -> tuple[str, ...]:
    found = re.search(pattern, DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    if found is None:
        sys.exit(f"{DOCKERFILE}: expected a line that fits {pattern}")
    return found.groups()


def _make_key(image: Path, work: Path, user: int, group: int) -> str:
    create = [
        "router-model",
        "keys",
        "create",
        "--file",
        "/etc/router/keys.toml",
        "--name",
        "check",
        "--role",
        "decide",
    ]
    command = [*_entered(image, work, user, group, writable="/etc/router"), *_variables(), *create]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def _ask(path: str, body: object = None, key: str = "") -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return dict(json.load(answer))


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of the files of the image."""
    files = ((one, one.lstat()) for one in folder.rglob("*"))
    return {str(one): (its.st_size, its.st_mtime_ns) for one, its in files if not one.is_dir()}


def _n_logged(work: Path) -> int:
    with sqlite3.connect(work / "var/lib/router/log.db") as database:
        return int(database.execute("SELECT count(*) FROM router_decisions").fetchone()[0])


def _report(service: Service, work: Path, decided: list[dict[str, Any]], took: float) -> None:
    print(
        f"listens after {service.listens_s:.2f} s, ready after {service.ready_s:.2f} s; load {os.getloadavg()[0]:.1f}"
    )
    print(f"processor time until then: {service.processor_s:.2f} s")
    slowest = 1000 * max(service.health_s)
    print(f"/healthz: {len(service.health_s)} answers until then, the slowest took {slowest:.0f} ms")
    print(f"decisions: {len(decided)} and an explanation, {_n_logged(work)} in the log")
    print(f"SIGTERM: ended after {took:.2f} s")
    written = (one for name in VOLUMES for one in (work / name[1:]).rglob("*") if one.is_file())
    print("written:", *sorted(f"/{one.relative_to(work)} ({one.stat().st_size:,} bytes)" for one in written))


if __name__ == "__main__":
    main()
