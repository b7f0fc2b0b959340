"""Gateways beside ours, and ours: each as a process of its own before the same provider.

LiteLLM comes into an environment of its own and Portkey's gateway into a folder of its own, both once, in the cache.
None has a database but ours, which writes its decision log to SQLite; all but Portkey's check a key.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from decision_load import REPOSITORY, created_key
from litellm_proxy import MASTER_KEY, REQUIREMENT, installed_python
from processes import free_port
from served import Served, served

from router_model.saved.artifact import load_artifact
from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.cache_folder import cache_folder

PORTKEY = "@portkey-ai/gateway"
# The HTTP server is the one that Portkey's repository has a patch for. With newer ones, which its package allows, each
# stream is a 500: they keep a provider's headers immutable, and it adds to them.
PORTKEY_PACKAGE = {"dependencies": {PORTKEY: "1.15.2"}, "overrides": {"@hono/node-server": "1.13.5"}}
VERSIONS = {"litellm": REQUIREMENT, "portkey": f"{PORTKEY}@1.15.2, @hono/node-server@1.13.5"}
CHAT = "/v1/chat/completions"
_MODEL = "gpt-4o-mini"
_NO_PROXY = {"NO_PROXY": "127.0.0.1", "HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": ""}


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs.

    Attributes
    ----------
    address : host and port
    model : what is asked for
    server : its process; None: the provider itself
    headers : what is sent with each request
    log : ours: where its decision log is
    """

    address: tuple[str, int]
    model: str = _MODEL
    server: Served | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway is to run.

    Attributes
    ----------
    folder : an empty one, for its files
    provider : address of the provider
    core : None: wherever there is one
    router : folder of a trained router
    """

    folder: Path
    provider: tuple[str, int]
    core: int | None
    router: Path

    @property
    def provider_url(self) -> str:
        return "http://{}:{}/v1".format(*self.provider)


@contextmanager
def mock_provider(folder: Path) -> Iterator[tuple[str, int]]:
    """Run the provider on the core of whoever calls this."""
    port = free_port()
    command = [str(Path(__file__).with_name("mock_upstream.py")), str(port)]
    with served(command, port=port, core=None, ready="/", env={}, log=folder / "mock.log", wait_s=30) as server:
        yield server.address


@contextmanager
def direct(place: Place) -> Iterator[Gateway]:
    """No gateway: what the provider and the load themselves take."""
    yield Gateway(place.provider)


@contextmanager
def ours(place: Place, *, decides: bool, streams_whole: bool = True) -> Iterator[Gateway]:
    """Run ours: a key, metrics, and the decision log in SQLite; one worker, and all candidates at the one provider."""
    models = list(load_artifact(place.router).predictor.models)
    listed = ", ".join(json.dumps(model) for model in models)
    providers = place.folder / "providers.toml"
    providers.write_text(
        f'[mock]\nkind = "openai"\nbase_url = "{place.provider_url}"\nkeys = ["MOCK_KEY"]\nmodels = [{listed}]\n'
        f"max_connections = 400\nstream_whole_answers = {str(streams_whole).lower()}\n"
    )
    key, log = created_key(place.folder / "keys.toml", ("proxy",)), place.folder / "log.db"
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "MOCK_KEY": "sk-upstream",
        "ROUTER_PROVIDERS": str(providers),
        "ROUTER_KEYS": str(place.folder / "keys.toml"),
        "ROUTER_LOG": f"sqlite+aiosqlite:///{log}",
        "ROUTER_LOG_SPOOL": str(place.folder / "spool"),
    }
    command = ["-m", "router_model", "serve", str(place.router), "--port"]
    with _served(place, command, env=env, ready="/readyz") as server:
        model = "auto" if decides else models[0]
        yield Gateway(server.address, model, server, {"authorization": f"Bearer {key}"}, log)


@contextmanager
def litellm(place: Place) -> Iterator[Gateway]:
    """Run LiteLLM's proxy: a master key, no database, no callbacks, one worker."""
    config = place.folder / "config.yaml"
    config.write_text(
        f"model_list:\n  - model_name: {_MODEL}\n    litellm_params:\n      model: openai/{_MODEL}\n"
        f"      api_base: {place.provider_url}\n      api_key: sk-upstream\n"
        f"general_settings:\n  master_key: {MASTER_KEY}\n"
    )
    command = ["-m", "litellm.proxy.proxy_cli", "--config", str(config), "--telemetry", "False"]
    command += ["--num_workers", "1", "--host", "127.0.0.1", "--port"]
    env: dict[str, str | None] = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "PYTHONPATH": None,
        "DATABASE_URL": None,
    }
    with _served(place, command, program=installed_python(), env=env, ready="/health/liveliness") as server:
        yield Gateway(server.address, server=server, headers={"authorization": f"Bearer {MASTER_KEY}"})


@contextmanager
def portkey(place: Place) -> Iterator[Gateway]:
    """Run Portkey's gateway; the request says which provider is called, and where."""
    command = [str(portkey_script()), "--headless", "--port"]
    with _served(place, command, program="node", env={"NODE_ENV": "production"}, ready="/", joined=True) as server:
        headers = {
            "authorization": "Bearer sk-upstream",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": place.provider_url,
        }
        yield Gateway(server.address, server=server, headers=headers)


def portkey_script() -> Path:
    """Return what node runs, installing it if this is the first use.

    Raises
    ------
    MethodUnavailableError
        If npm is not here, or cannot install it.
    """
    wanted = json.dumps(PORTKEY_PACKAGE)
    folder = cache_folder() / "benchmark" / f"portkey-{sha256(wanted.encode()).hexdigest()[:12]}"
    script = folder / "node_modules" / PORTKEY / "build" / "start-server.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        except FileNotFoundError as exc:
            raise MethodUnavailableError("npm is not here; install Node 20") from exc
        except subprocess.SubprocessError as exc:
            said = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
            raise MethodUnavailableError(f"npm: {said[-1] if said else exc}") from exc
    return script


GATEWAYS: Mapping[str, Callable[[Place], AbstractContextManager[Gateway]]] = {
    "direct": direct,
    "ours": lambda place: ours(place, decides=True),
    "ours-named": lambda place: ours(place, decides=False),
    "litellm": litellm,
    "portkey": portkey,
}


def _served(
    place: Place,
    command: Sequence[str],
    *,
    ready: str,
    env: Mapping[str, str | None],
    program: str | Path = sys.executable,
    joined: bool = False,
) -> AbstractContextManager[Served]:
    """Run a command whose last option is the port; `joined`: as ``--port=1``, as some programs want it."""
    port = free_port()
    with_port = [*command[:-1], f"{command[-1]}={port}"] if joined else [*command, str(port)]
    return served(
        with_port,
        program=program,
        port=port,
        core=place.core,
        ready=ready,
        env={**_NO_PROXY, **env},
        log=place.folder / "said.log",
        wait_s=240,
    )
