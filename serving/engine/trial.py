"""Try an artifact in a separate process, because a crash there does not end the service.

The files of an artifact are read by native code. Its text is checked before (`router_model.prediction.booster_text`),
but a service should not depend on every fault having been foreseen.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from router_model.errors import ArtifactError, RouterModelError
from router_model.features import FeatureError, load_encoder
from router_model.router import Router
from router_model.serving.engine.self_check import check_router

DEADLINE_S = 100.0
_SAID_AT_MOST = 300


def try_artifact(folder: Path, *, catalog: Path | None = None, encoder: str | None = None) -> str:
    """Load an artifact and let it decide in a child process; return its content hash. It blocks for seconds.

    Parameters
    ----------
    folder : of the artifact
    catalog : prices that replace its own
    encoder : name or path of the encoder; None for the one that the artifact names

    Raises
    ------
    ArtifactError
        If it is refused there, or the process dies of it or takes longer than `DEADLINE_S`.
    """
    # -P: modules in the folder where the service was started must not be imported instead of installed ones.
    command = [sys.executable, "-P", "-m", __name__, str(folder)]
    command += [] if catalog is None else ["--catalog", str(catalog)]
    command += [] if encoder is None else ["--encoder", encoder]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as exc:
        raise ArtifactError(f"{folder}: did not decide within {DEADLINE_S:.0f} s; train it again") from exc
    said = _last_line(ended.stdout)
    if ended.returncode == 0 and "content_hash" in said:
        return str(said["content_hash"])
    if "refused" in said:
        raise ArtifactError(str(said["refused"]))
    why = _signal_name(-ended.returncode) if ended.returncode < 0 else f"exit status {ended.returncode}"
    last = ended.stderr.decode(errors="replace").strip()[-_SAID_AT_MOST:]
    raise ArtifactError(
        f"{folder}: the process that tried it died ({why}); train it again. Its last line of output: {last}"
    )


def _last_line(output: bytes) -> dict[str, object]:
    lines = output.splitlines()
    with suppress(ValueError, IndexError):
        said = json.loads(lines[-1])
        return said if isinstance(said, dict) else {}
    return {}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main() -> int:
    """Try one artifact, and print what came of it as a line of JSON."""
    parser = argparse.ArgumentParser(description="Load an artifact, let it decide, and say what came of it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--encoder")
    given = parser.parse_args()
    _stand_back()
    try:
        encoder = None if given.encoder is None else load_encoder(given.encoder)
        router = Router.load(given.folder, catalog=given.catalog, encoder=encoder)
        check_router(router)
    except (RouterModelError, FeatureError) as exc:
        print(json.dumps({"refused": str(exc)}))  # noqa: T201  how the parent is told
        return 1
    print(json.dumps({"content_hash": router.artifact.content_hash}))  # noqa: T201
    return 0


def _stand_back() -> None:
    """Die before the service where memory is short, and leave no core behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
