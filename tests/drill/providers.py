"""Two providers of the same models. Each can be made to fail in its own way, or to listen no more."""

import contextlib
import time
from collections.abc import Iterator

from scripted_request import Heard
from scripted_upstream import scripted_upstream

PLAY = "paced"
"""What they do when all is well: events come 20 ms apart."""
KEY_VARIABLE = "DRILL_PROVIDER_KEY"
MODELS = ("small", "coder", "large")


class MockProvider:
    """A provider on a port that stays its own.

    Attributes
    ----------
    name : str
    play : what it does with each call, a name of `scripted_faults.FAULTS`
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.play = PLAY
        self._running = contextlib.ExitStack()
        self._port = 0
        self.listen()

    def listen(self) -> None:
        upstream = self._running.enter_context(scripted_upstream(self._port))
        upstream.script = self._script
        self._port = upstream.port

    def leave(self) -> None:
        """Refuse connections, and break those that are open."""
        self._running.close()

    def as_toml(self) -> str:
        models = ", ".join(f'{model} = "{model}"' for model in MODELS)
        return (
            f'[{self.name}]\nkind = "openai"\nbase_url = "http://127.0.0.1:{self._port}/ok/openai/v1"\n'
            f'keys = ["{KEY_VARIABLE}"]\nmodels = {{ {models} }}\n'
        )

    def _script(self, heard: Heard) -> tuple[Heard, str]:
        return heard, self.play

    @contextlib.contextmanager
    def playing(self, play: str) -> Iterator[None]:
        """Fail in this way until the end of the block."""
        self.play = play
        try:
            yield
        finally:
            self.play = PLAY

    @contextlib.contextmanager
    def gone(self) -> Iterator[float]:
        """Refuse connections until the end of the block; the value is the time from which it does."""
        self.leave()
        try:
            yield time.monotonic()
        finally:
            self.listen()


@contextlib.contextmanager
def two_providers() -> Iterator[tuple[MockProvider, MockProvider]]:
    """Run them until the end of the block; the first is the one that is asked first."""
    first, second = MockProvider("alpha"), MockProvider("beta")
    try:
        yield first, second
    finally:
        first.leave()
        second.leave()
