"""The quickstart's last step: a chat through the proxy, with a provider that needs no account."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from router_model.progress import working

PROVIDERS = """\
# 'echo' answers without a network, by repeating the prompt. docs/providers.md: how to name those you have keys of.
# Change a copy of this file (`make serve PROVIDERS=copy.toml`): every `make quickstart` writes it anew.
[echo]
kind = "echo"
models = ["*"]
"""
_WAIT_S = 180.0


def chat(command: str, folder: Path, prompt: str) -> list[str]:
    """Start the service, send one chat with ``model: auto``, stop it; return what came, line by line.

    Parameters
    ----------
    command : path of ``router-model``
    folder : of the quickstart; ``providers.toml`` is written into it
    prompt : str
    """
    providers = folder / "providers.toml"
    providers.write_text(PROVIDERS, encoding="utf-8")
    arguments = [
        *(command, "serve", str(folder / "router"), "--insecure", "--port", "0", "--providers", str(providers)),
        *("--log", f"sqlite:///{folder}/router-log.db", "--log-spool", str(folder / "spool")),
        *("--decision-deadline-s", "10"),
    ]
    with working("starting the service"), _served(arguments) as address:
        body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
        answer, headers = _post(f"{address}/v1/chat/completions", body)
    usage = answer["usage"]
    tokens = f"{usage['prompt_tokens']} tokens in, {usage['completion_tokens']} out"
    return [
        f"answer  {answer['choices'][0]['message']['content']}",
        f"model   {answer['model']}, at {headers['x-router-provider']}",
        f"cost    ${usage['cost']:.6f} by list price ({tokens})",
    ]


@contextmanager
def _served(arguments: Sequence[str]) -> Iterator[str]:
    """Run the service until the end of the block; yield its address."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603  (our own command)
        try:
            yield _address(process)
        finally:
            process.terminate()
            process.communicate(timeout=_WAIT_S)


def _address(process: "subprocess.Popen[str]") -> str:
    """Return where it listens, which it says once it does; warnings may come before."""
    said = ""
    for line in process.stdout or ():
        if line.startswith("listening on "):
            return line.removeprefix("listening on ").strip()
        said += line
    sys.exit(f"the service did not start: {said}")


def _post(url: str, body: object) -> tuple[dict[str, Any], dict[str, str]]:
    """Send JSON; while the router is still being loaded, the answer is waited for."""
    content = json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"})  # noqa: S310  (loopback)
    with urllib.request.urlopen(request, timeout=_WAIT_S) as response:  # noqa: S310  (loopback)
        return json.loads(response.read()), dict(response.headers)
