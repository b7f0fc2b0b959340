"""Secrets planted everywhere, and a search of everything that comes out.

Point it at an application in four steps::

    canaries = Canaries.plant(tmp_path, monkeypatch)             # a key file, and secrets in the environment
    settings = Settings(keys=canaries.key_file, log=canaries.url("postgresql+asyncpg://router:{}@localhost/log"), …)
    with canaries.watched_logs() as sinks:                       # every logger, at DEBUG
        for request in canaries.requests(["/v1/route", …], body):
            sinks.add_response(client.request(**request))
        sinks.add_files(tmp_path / "router-log.db", tmp_path / "spool")
        sinks.add("standard output", capfd.readouterr().out)
    assert sinks.leaks() == []

Secrets in the body of a request are not planted: prompts are kept where the settings say so.
"""

import base64
import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from router_model.serving.access.issuing import create_key
from router_model.serving.access.keys import new_key_text
from router_model.serving.common.callers import Role

PASSWORD = "Canary/P@ss:word" + "x7Q9" * 4
PROVIDER_KEY = "sk-proj-" + "CanaryProvider42" * 2
QUERY_TOKEN = "CanaryToken" + "8sKd" * 6
KEYRING_SECRET = "CanaryKeyringSecret" + "0aZ1" * 6


@dataclass
class Canaries:
    """The planted secrets.

    Attributes
    ----------
    key_file : with one key that has every role
    valid_key, invalid_key : texts
    secrets : by name, all that must come out nowhere
    """

    key_file: Path
    valid_key: str
    invalid_key: str
    secrets: dict[str, str]

    @classmethod
    def plant(cls, folder: Path, monkeypatch) -> "Canaries":
        """Make a key file in `folder`, and set the environment."""
        monkeypatch.setenv("ROUTER_KEYS_SECRET", KEYRING_SECRET)
        monkeypatch.setenv("OPENAI_API_KEY", PROVIDER_KEY)
        _, valid = create_key(folder / "keys.toml", name="canary", roles=Role)
        _, invalid = new_key_text()
        secrets = {
            "valid key": valid[16:],  # what is before is its id, which may be shown
            "invalid key": invalid[16:],
            "keyring secret": KEYRING_SECRET,
            "provider key": PROVIDER_KEY,
            "password": PASSWORD,
            "token": QUERY_TOKEN,
        }
        return cls(folder / "keys.toml", valid, invalid, secrets)

    def url(self, template: str) -> str:
        """Put the password, percent-encoded as it has to be, into a URL's ``{}``."""
        return template.format(quote(PASSWORD, safe=""))

    def requests(self, paths: Iterable[str], body: bytes = b"{}", method: str = "POST") -> Iterator[dict]:
        """Yield a client's arguments: of good requests, and of some with secrets where people put them by mistake."""
        good = {"authorization": f"Bearer {self.valid_key}"}
        for path in paths:
            send = {"method": method, "url": path, "content": body}
            yield send | {"headers": good}
            yield send | {"headers": {"x-api-key": self.valid_key}}
            yield send | {"headers": {"x-goog-api-key": self.valid_key}}
            yield send | {"headers": {**good, "x-api-key": self.invalid_key}}
            yield send | {"headers": {**good, "x-session-id": "canary session", "content-type": "text/plain"}}
            yield send | {"headers": good, "content": b"{" + body}
            for secret in (self.invalid_key, self.valid_key + "x", PROVIDER_KEY, QUERY_TOKEN):
                yield send | {"headers": {"authorization": f"Bearer {secret}"}}
                yield send | {"headers": {"authorization": f"Basic {secret}"}}
                yield send | {"headers": {"authorization": secret}}
                yield send | {"headers": {"x-api-key": secret}}
                yield send | {"headers": {"x-goog-api-key": secret}}
            for secret in (self.valid_key, self.invalid_key, PROVIDER_KEY, QUERY_TOKEN):
                for name in ("cookie", "user-agent", "x-goog-api-key", "content-type", "accept", "idempotency-key"):
                    yield send | {"headers": {**good, name: secret}}
                yield send | {"headers": {**good, "content-type": f"application/json; key={secret}"}}
                yield send | {"headers": good, "url": f"{path}?key={secret}&api_key={secret}"}
                yield send | {"headers": {}, "url": f"{path}?access_token={secret}"}
                yield send | {"headers": {**good, "host": secret}}
                yield send | {"headers": {**good, "host": f"{secret}.example.com"}}
        for key in (self.valid_key, self.invalid_key):
            yield {"method": "GET", "url": f"/v1/decisions/{key}", "headers": good}
            yield {"method": "GET", "url": f"/{key}", "headers": {}}

    @contextmanager
    def watched_logs(self) -> Iterator["Sinks"]:
        """Collect what every logger says, at DEBUG, and yield what to add the other sinks to."""
        sinks = Sinks(self)
        handler = _Collector(sinks)
        loggers = [logging.getLogger(), *map(logging.getLogger, logging.Logger.manager.loggerDict)]
        before = [(log, log.level, log.disabled) for log in loggers]
        for log in loggers:
            log.setLevel(logging.DEBUG)
            log.disabled = False
            if log is loggers[0] or not log.propagate:
                log.addHandler(handler)
        try:
            yield sinks
        finally:
            for log, level, disabled in before:
                log.removeHandler(handler)
                log.setLevel(level)
                log.disabled = disabled


@dataclass
class Sinks:
    """What came out, by where."""

    canaries: Canaries
    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, sink: str, content: bytes | str) -> None:
        """Add what came out somewhere."""
        self.texts.append((sink, content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content))

    def add_response(self, response) -> None:
        """Add a response, headers and body."""
        sink = f"answer {response.status_code}"
        self.add(sink, response.content)
        self.add(sink, repr(list(response.headers.multi_items())))

    def add_files(self, *paths: Path) -> None:
        """Add files' bytes, of folders all that is in them."""
        for path in paths:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    self.add(f"file {file.name}", file.read_bytes())

    def leaks(self) -> list[str]:
        """Return which secret came out where, without repeating it."""
        found = {
            f"{name} in {sink}"
            for name, secret in self.canaries.secrets.items()
            for spelling in _spellings(secret)
            for sink, text in self.texts
            if spelling in text
        }
        return sorted(found)


class _Collector(logging.Handler):
    """Puts records, with their arguments, extra fields and tracebacks, among the sinks."""

    def __init__(self, sinks: Sinks) -> None:
        super().__init__(logging.DEBUG)
        self._sinks = sinks

    def emit(self, record: logging.LogRecord) -> None:
        sink = f"log {record.name}"
        self._sinks.add(sink, record.getMessage())
        fields = {name: value for name, value in vars(record).items() if name not in {"exc_info", "msg"}}
        self._sinks.add(sink, repr(fields))
        if record.exc_info:
            self._sinks.add(sink, "".join(traceback.format_exception(*record.exc_info)))


def _spellings(secret: str) -> set[bytes]:
    """Return how the beginning of a secret may be written: shortened ones are leaks, too."""
    start = secret[:18]
    shifted = (base64.b64encode(b"." * skip + start.encode())[4:-4] for skip in (1, 2, 3))
    return {start.encode(), quote(start, safe="").encode(), quote(start).encode(), repr(start)[1:-1].encode(), *shifted}
