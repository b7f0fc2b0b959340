"""Count the types that are made for one request, or for one table: `python tests/support/value_types.py` lists them.

A type counts if the code of the project makes an object of it on the way: between a request's arrival and the moment
when the log has its records, or while `router-model train` turns a table into a router. Each way is gone twice, and the
second time is counted, so objects that live longer than a request (the engine, the log, caches) do not count. Errors
do not count either, and neither do a plan's `PlanStep`s, which are made without their constructor for speed.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import BaseModel
from simulated_world import CATALOG, SUM, simulate
from starlette.testclient import TestClient

from router_model import Catalog
from router_model.serving.app import create_app, open_parts
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log import DecisionLog
from router_model.training.train import TrainConfig, train

PROJECT = "router_model"
PROVIDERS = """
[here]
kind = "echo"
models = ["coder", "large", "small"]
"""
ASKED = {"router": {"target_success": 0.6, "max_cost_usd": 1.0}, "session_id": "conversation"}
MESSAGES = [
    {"role": "user", "content": SUM},
    {"role": "assistant", "content": "12"},
    {"role": "user", "content": "and 7 more?"},
]
REQUESTS = {
    "decision": ("/v1/route", {"messages": MESSAGES, **ASKED}),
    "chat": ("/v1/chat/completions", {"model": "auto", "messages": MESSAGES, **ASKED}),
}


@contextmanager
def made() -> Iterator[set[type]]:
    """Collect the types of the project that objects are made of meanwhile, in any thread."""
    found: set[type] = set()
    with ExitStack() as stack:
        for one in _classes():
            for name in ("__init__", "__new__"):
                method = vars(one).get(name)
                if method is not None and not issubclass(one, BaseException | Enum):
                    stack.enter_context(patch.object(one, name, _noting(method, found)))
        stack.enter_context(patch.object(BaseModel, "model_validate", classmethod(_validating(found))))
        yield found


def _classes() -> set[type]:
    """Return the classes that the project defines in Python, as far as its modules are imported."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == PROJECT]
    values = (value for module in modules for value in vars(module).values())
    ours = {one for one in values if isinstance(one, type) and one.__module__.partition(".")[0] == PROJECT}
    return {one for one in ours if not one.__module__.endswith("._native")}


def _noting(method: Any, found: set[type]) -> Any:
    """Return a class's `__init__`, or a named tuple's `__new__`, that takes note of its class."""
    make = getattr(method, "__func__", method)

    @wraps(make)
    def noting(first: Any, *args: Any, **given: Any) -> Any:
        found.add(first if isinstance(first, type) else type(first))
        return make(first, *args, **given)

    return staticmethod(noting) if isinstance(method, staticmethod) else noting


def _validating(found: set[type]) -> Any:
    """Return `BaseModel.model_validate` that takes note of what is in its result, which is made outside of Python."""
    validate = BaseModel.model_validate.__func__  # type: ignore[attr-defined]

    def noting(cls: type[BaseModel], *args: Any, **given: Any) -> BaseModel:
        model: BaseModel = validate(cls, *args, **given)
        found.update(_models_in(model))
        return model

    return noting


def _models_in(value: object) -> Iterator[type]:
    if isinstance(value, BaseModel):
        yield type(value)
        for inner in vars(value).values():
            yield from _models_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _models_in(inner)


def of_requests(artifact: Path, folder: Path) -> dict[str, set[type]]:
    """Return the types of a decision and of a chat through the proxy, answered by a provider in this process."""
    (folder / "providers.toml").write_text(PROVIDERS, "utf-8")
    settings = Settings(
        artifact=artifact,
        insecure=True,
        providers=folder / "providers.toml",
        log=f"sqlite+aiosqlite:///{folder / 'log.db'}",
        log_spool=folder / "spool",
        decision_deadline_s=60.0,
    )
    parts = open_parts(settings)
    with TestClient(create_app(parts=parts), base_url="http://127.0.0.1:8484") as client:
        return {way: _of_request(client, parts.log, *asked) for way, asked in REQUESTS.items()}


def _of_request(client: TestClient, log: DecisionLog, path: str, body: Mapping[str, Any]) -> set[type]:
    """Ask twice, because the first request loads what all later ones use; count the second."""
    _ask(client, log, path, body)
    with made() as found:
        _ask(client, log, path, body)
    return found


def _ask(client: TestClient, log: DecisionLog, path: str, body: Mapping[str, Any]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-router-degraded"] == "false"
    client.portal.call(log.flush, 60.0)


def of_table(table: Path, folder: Path) -> set[type]:
    """Return the types of a training."""
    with made() as found:
        train(table, folder, catalog=Catalog.parse(CATALOG, origin="here"), config=TrainConfig())
    return found


def main() -> None:
    """Print the counts, then the names by the folders that define them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(120).write_parquet(folder / "outcomes.parquet")
        of_table(folder / "outcomes.parquet", folder / "router")  # imports what the next training uses
        table = of_table(folder / "outcomes.parquet", folder / "another")
        found = {**of_requests(folder / "router", folder), "table": table}
    for way, types in found.items():
        print(f"{way}: {len(types)} types")
        for place in sorted({_place(one) for one in types}):
            print(f"  {place}: {', '.join(sorted(one.__name__ for one in types if _place(one) == place))}")


def _place(one: type) -> str:
    return one.__module__.removeprefix(f"{PROJECT}.").rpartition(".")[0] or PROJECT


if __name__ == "__main__":
    main()
