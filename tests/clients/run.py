"""Run the real clients against the service, before a provider that follows a script: ``make test-clients``.

Every client is installed with its pinned version into an environment of its own. Each does what it can of: a whole
answer, a stream, a loop of tool calls (agents edit a file), an answer by a JSON schema, and a provider's refusal. The
table of docs/clients.md is written from what was seen. The run fails where a cell fails that is not in `KNOWN`, or one
that is there works.

Two kinds of provider are tried at a time, each with a service of its own. ``--quick`` is for CI: SDKs before every
kind, and each agent before one kind.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import environments
import script
from agents import AGENTS, Agent
from environments import AT_ONCE, Environment
from processes import free_port, running
from scripted_upstream import ScriptedUpstream, scripted_upstream

HERE: Final = Path(__file__).parent
CASES: Final = ("plain", "stream", "tools", "structured", "errors")
KINDS: Final = ("openai", "anthropic", "gemini", "openai-responses")
LIMIT_S: Final = 300
"""Seconds for one case. Agents need fewer than 20 on an idle machine; beside other work 120 were too few for one."""
PAGE: Final = HERE.parents[1] / "docs" / "clients.md"
KNOWN: Final[Mapping[tuple[str, str, str], str]] = {}
"""(client, case, kind of provider) -> why it fails."""

Cells = dict[str, str]
"""Case -> why it failed; empty where it worked."""


@dataclass(frozen=True)
class Sdk:
    """A library.

    Attributes
    ----------
    name, package, module : str
    """

    name: str
    package: str
    environment: Environment
    module: str


SDKS: Final = (
    Sdk("OpenAI SDK, chat", "openai", environments.SDKS, "openai_chat"),
    Sdk("OpenAI SDK, Responses", "openai", environments.SDKS, "openai_responses"),
    Sdk("Anthropic SDK", "anthropic", environments.SDKS, "anthropic"),
    Sdk("Google Gen AI SDK", "google-genai", environments.SDKS, "google"),
    Sdk("OpenRouter SDK, Python", "openrouter", environments.SDKS, "openrouter"),
    Sdk("OpenRouter SDK, TypeScript", "@openrouter/sdk", environments.JAVASCRIPT, "openrouter"),
    Sdk("OpenAI Agents SDK", "openai-agents", environments.SDKS, "openai_agents"),
    Sdk("Pydantic AI", "pydantic-ai-slim", environments.SDKS, "pydantic_ai"),
    Sdk("LangChain", "langchain-openai", environments.SDKS, "langchain"),
    Sdk("LlamaIndex", "llama-index-llms-openai-like", environments.OLDER_SDKS, "llama_index"),
    Sdk("LiteLLM SDK", "litellm", environments.OLDER_SDKS, "litellm"),
    Sdk("Vercel AI SDK", "@ai-sdk/openai", environments.JAVASCRIPT, "vercel_ai"),
)
CLIENTS: Final = (*AGENTS, *SDKS)
EXPECTED: Final[Mapping[str, Callable[[Any], bool]]] = {
    "plain": lambda got: got == script.SAID,
    "stream": lambda got: len(got) > 1 and "".join(got) == script.SAID,
    "tools": lambda got: got == [script.CITY, script.SAID],
    "structured": lambda got: got == script.CITY,
    "errors": lambda got: "scripted refusal 400" in got,
}


def main() -> None:
    """Run them and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="clients whose names have this in them; the page is left as it is")
    parser.add_argument("--provider", choices=KINDS, help="one kind of provider; the page is left as it is")
    parser.add_argument("--quick", action="store_true", help="each agent before one kind; the page is left as it is")
    options = parser.parse_args()
    clients = [one for one in CLIENTS if options.only.lower() in one.name.lower()]
    begun = time.monotonic()
    absent = _absent(clients)
    print(f"{len(clients) - len(absent)} clients are installed ({time.monotonic() - begun:.0f} s)", flush=True)
    present = [one for one in clients if one.name not in absent]
    kinds = [options.provider] if options.provider else KINDS
    found = _found({kind: [one for one in present if not options.quick or _is_quick(one, kind)] for kind in kinds})
    if not (options.only or options.provider or options.quick or absent):
        _write(found)
    wrong = list(_wrong(found))
    wrong += [f"{name}: {why}" for name, why in absent.items() if why != "npm is not here"]
    sys.exit("\n".join(["", *wrong]) if wrong else 0)


def _absent(clients: Sequence[Sdk | Agent]) -> dict[str, str]:
    """Install them; return those that cannot be, with the reason."""
    failed = environments.install(client.environment for client in clients)
    absent = {client.name: failed[client.environment] for client in clients if client.environment in failed}
    for name, why in absent.items():
        print(f"{name}: not installed: {why}", flush=True)
    return absent


def _is_quick(client: Sdk | Agent, kind: str) -> bool:
    """Whether a short run has a client before a kind: each agent before one, in turn."""
    return isinstance(client, Sdk) or KINDS[AGENTS.index(client) % len(KINDS)] == kind


def _found(clients: Mapping[str, Sequence[Sdk | Agent]]) -> dict[str, dict[str, Cells]]:
    """Run clients before kinds of providers, some kinds at a time; return the cells by client and kind."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = dict(zip(clients, pool.map(_of_kind, clients, clients.values()), strict=True))
    names = dict.fromkeys(client.name for some in clients.values() for client in some)
    return {name: {kind: seen[kind][name] for kind in seen if name in seen[kind]} for name in names}


def _of_kind(kind: str, clients: Sequence[Sdk | Agent]) -> dict[str, Cells]:
    """Run clients before one kind of provider."""
    seen = {}
    with tempfile.TemporaryDirectory() as folder, scripted_upstream() as upstream:
        upstream.script = script.answer
        with service(Path(folder), kind, upstream) as url:
            for client in clients:
                begun = time.monotonic()
                seen[client.name] = _sdk(client, url) if isinstance(client, Sdk) else _agent(client, url, upstream)
                _say(client.name, kind, seen[client.name], time.monotonic() - begun)
    return seen


@contextlib.contextmanager
def service(folder: Path, kind: str, upstream: ScriptedUpstream) -> Iterator[str]:
    """Run the service in a process of its own before one provider of this kind; yield its address."""
    providers = folder / "providers.toml"
    aliases = "".join(f'"{one}-*" = "auto"\n' for one in ("gpt", "claude", "gemini"))
    providers.write_text(
        f'[aliases]\n{aliases}\n[scripted]\nkind = "{kind}"\nbase_url = "{upstream.url(kind)}"\n'
        'models = ["scripted"]\nstream_whole_answers = false\n'
    )
    port = free_port()
    command = [sys.executable, "-m", "router_model", "serve", "--insecure", "--providers", str(providers)]
    command += ["--port", str(port), "--log", "none"]
    url = f"http://127.0.0.1:{port}"
    options = {"output": folder / "said", "env": os.environ, "cwd": folder, "limit_s": 2 * LIMIT_S}
    with running(command, ready_url=f"{url}/healthz", **options):
        yield url


def _sdk(client: Sdk, url: str) -> Cells:
    """Return the cells of a library, all of one process."""
    folder = client.environment.folder
    if client.environment.is_node:
        command = ["node", str(folder / "run_adapter.mjs"), client.module]
    else:
        command = [str(client.environment.programs / "python"), str(HERE / "sdks/run_adapter.py"), client.module]
    with tempfile.TemporaryDirectory() as home:
        status, output = _ended(command, Path(home), {"ROUTER_URL": url, "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    if status:
        return dict.fromkeys(CASES, f"ended with {status}: {output[-300:]}")
    seen = json.loads(output.strip().splitlines()[-1])
    return {case: one.get("failed") or _unlike(case, one["got"]) for case, one in seen.items()}


def _unlike(case: str, got: Any) -> str:
    return "" if EXPECTED[case](got) else f"got {got!r}"


def _agent(client: Agent, url: str, upstream: ScriptedUpstream) -> Cells:
    """Return the cells of a command line, a process for each."""
    cells: Cells = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            home, notes = Path(folder) / "home", Path(folder) / "work" / "notes.txt"
            home.mkdir()
            notes.parent.mkdir()
            notes.write_text(script.BEFORE)
            more = _arguments(client, case, home)
            if more is None:
                continue
            for name, content in client.settings.items():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                (home / name).write_text(json.dumps(content))
            program, *arguments = client.command(_prompt(case, notes), url)
            command = [str(client.environment.programs / program), *arguments, *more]
            n_before = len(upstream.received)
            status, output = _ended(command, notes.parent, dict(client.env(url)), home=home)
            streamed = {bool(one.body.get("stream") or ":stream" in one.path) for one in upstream.received[n_before:]}
            cells[case] = _judged(case, status, output, notes.read_text(), streamed)
    return cells


def _arguments(client: Agent, case: str, home: Path) -> Sequence[str] | None:
    """Return what a case adds to the command; None where the client has no such thing."""
    if case == "structured":
        return client.structured(home) if client.structured else None
    return client.whole if case == "plain" else ()


def _prompt(case: str, notes: Path) -> str:
    if case == "tools":
        return f"Please {script.EDITED} {notes}"
    return {"structured": script.WHERE, "errors": script.REFUSED}.get(case, "Say something.")


def _judged(case: str, status: int | str, output: str, notes: str, streamed: set[bool]) -> str:
    """Return why a case failed."""
    wanted = {"structured": rf'{{\\?"city\\?": ?\\?"{script.CITY}', "errors": "scripted refusal 400", "tools": ""}
    right = re.search(wanted.get(case, re.escape(script.SAID)), output)
    right = right and (case != "tools" or notes == script.AFTER)
    right = right and (case == "errors" or status == 0)
    right = right and (case not in {"plain", "stream"} or (case == "stream") in streamed)
    return "" if right else f"ended with {status}, file {notes!r}, streamed {streamed}: {output[-1500:]}"


def _ended(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], home: Path | None = None
) -> tuple[int | str, str]:
    """Run a command until it ends or its time is over; return its status and what it said.

    It sees nothing of the caller's own settings, and gets a home directory that is empty.
    """
    given = {"PATH": os.environ["PATH"], "HOME": str(home or cwd), "NO_PROXY": "127.0.0.1", **env}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        return f"the limit of {LIMIT_S} s", errors + output
    return process.returncode, errors + output


def _say(name: str, kind: str, cells: Cells, took_s: float) -> None:
    words = " ".join(f"{case}={'FAILED' if cells[case] else 'ok'}" for case in CASES if case in cells)
    print(f"{name:28}{kind:18}{words} ({took_s:.1f} s)", flush=True)


def _wrong(found: Mapping[str, Mapping[str, Cells]]) -> Iterator[str]:
    for name, kinds in found.items():
        for kind, cells in kinds.items():
            for case, why in cells.items():
                known = (name, case, kind) in KNOWN
                if why and not known:
                    yield f"{name}, {case}, provider {kind}: {why}"
                if known and not why:
                    yield f"{name}, {case}, provider {kind}: works; take it out of KNOWN"


def _write(found: Mapping[str, Mapping[str, Cells]]) -> None:
    """Put the table between its markers."""
    lines = [f"| client | version | {' | '.join(CASES)} |", "|---|---|" + "---|" * len(CASES)]
    for client in CLIENTS:
        version = client.environment.version(client.package)
        cells = " | ".join(_cell(case, found[client.name]) for case in CASES)
        lines.append(f"| {client.name} | `{client.package}` {version} | {cells} |")
    notes = [f"- {name}, {case}, provider `{kind}`: {why}" for (name, case, kind), why in KNOWN.items()]
    text = "\n".join([*lines, "", f"Run on {datetime.now(UTC):%-d %B %Y}.", *(["", *notes] if notes else [])])
    page = PAGE.read_text(encoding="utf-8")
    replaced = re.sub(
        r"(<!-- clients -->\n).*(<!-- /clients -->)", lambda at: f"{at[1]}{text}\n{at[2]}", page, flags=re.DOTALL
    )
    PAGE.write_text(replaced, encoding="utf-8")


def _cell(case: str, kinds: Mapping[str, Cells]) -> str:
    if not any(case in cells for cells in kinds.values()):
        return ""
    failed = [kind for kind, cells in kinds.items() if cells.get(case)]
    return f"fails: {', '.join(failed)}" if failed else "yes"


if __name__ == "__main__":
    main()
