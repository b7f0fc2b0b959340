"""Coding agents as command lines: how each is pointed at us, and what its cells are."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import environments
from environments import Environment

SCHEMA: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Agent:
    """A command line.

    Attributes
    ----------
    name, package : str
    environment : Environment
    command : the prompt -> program and arguments
    env : the service's address -> its environment
    settings : files in its home directory
    structured : arguments that ask for `SCHEMA`, where it can
    whole : arguments that ask for answers that are not streamed, where it can
    """

    name: str
    package: str
    environment: Environment
    command: Callable[[str, str], Sequence[str]]
    env: Callable[[str], Mapping[str, str]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    structured: Callable[[Path], Sequence[str]] | None = None
    whole: Sequence[str] | None = None


def _codex(prompt: str, url: str) -> Sequence[str]:
    provider = f"{{name='router',base_url='{url}/v1',env_key='ROUTER_KEY',wire_api='responses'}}"
    settings = ("model_provider=router", f"model_providers.router={provider}", "web_search=disabled")
    options = [option for one in settings for option in ("-c", one)]
    # the sandbox of Codex needs rights that containers lack; the commands are the script's
    return ["codex", "exec", "--skip-git-repo-check", "-s", "danger-full-access", "-m", "gpt-5.1", *options, prompt]


def _schema_file(home: Path) -> Sequence[str]:
    path = home / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return ["--output-schema", str(path)]


def _opencode(url: str) -> Mapping[str, str]:
    config = {"provider": {"openai": {"options": {"baseURL": f"{url}/v1", "apiKey": "any"}}}, "autoupdate": False}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def _aider(prompt: str, url: str) -> Sequence[str]:
    del url
    options = "--edit-format whole --yes-always --no-git --no-check-update --analytics-disable --no-show-release-notes"
    model = ["--model", "openai/auto", "--no-show-model-warnings"]
    return ["aider", *model, *options.split(), "--message", prompt, "notes.txt"]


AGENTS: Final = (
    Agent(
        "Codex CLI",
        "@openai/codex",
        environments.CODEX,
        _codex,
        lambda _: {"ROUTER_KEY": "any"},
        structured=_schema_file,
    ),
    Agent(
        "Claude Code",
        "@anthropic-ai/claude-code",
        environments.CLAUDE,
        lambda prompt, _: ["claude", "-p", prompt, "--permission-mode", "acceptEdits"],
        lambda url: {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": "any",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
        structured=lambda _: ["--output-format", "json", "--json-schema", json.dumps(SCHEMA)],
    ),
    Agent(
        "opencode",
        "opencode-ai",
        environments.OPENCODE,
        lambda prompt, _: ["opencode", "run", "-m", "openai/gpt-5.1", prompt],
        _opencode,
    ),
    Agent(
        "Gemini CLI",
        "@google/gemini-cli",
        environments.GEMINI,
        lambda prompt, _: ["gemini", "--skip-trust", "-y", "-m", "gemini-2.5-pro", "-p", prompt],
        lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "any"},
        settings={
            ".gemini/settings.json": {
                "security": {"auth": {"selectedType": "gemini-api-key"}},
                "privacy": {"usageStatisticsEnabled": False},
                "general": {"enableAutoUpdate": False},
            }
        },
    ),
    Agent(
        "aider",
        "aider-chat",
        environments.AIDER,
        _aider,
        lambda url: {
            "OPENAI_API_BASE": f"{url}/v1",
            "OPENAI_API_KEY": "any",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        whole=("--no-stream",),
    ),
)
