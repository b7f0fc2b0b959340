"""A real LiteLLM proxy with our hook, in an environment of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import free_port, running

from router_model.training.benchmark.method import MethodUnavailableError
from router_model.training.benchmark.packages.environment import NO_INDEX, PackageEnvironment

REQUIREMENT = "litellm[proxy]==1.105.0"
MASTER_KEY = "sk-master-canary"
_MODEL = """
  - model_name: {name}
    litellm_params:
      model: openai/{name}
      api_base: {provider}
      api_key: sk-upstream
      input_cost_per_token: 0.000001
      output_cost_per_token: 0.000002
"""


def litellm_python() -> Path:
    """Return the Python of `ROUTER_LITELLM_PYTHON`, or of an environment that is made on first use."""
    try:
        return installed_python()
    except MethodUnavailableError as exc:
        if NO_INDEX in str(exc) and not os.environ.get("CI"):
            pytest.skip(f"litellm: {exc}")
        raise


def installed_python() -> Path:
    """Return the same, and raise `MethodUnavailableError` where it cannot be made."""
    if given := os.environ.get("ROUTER_LITELLM_PYTHON"):
        return Path(given)
    return PackageEnvironment("litellm", (REQUIREMENT,)).python()


@dataclass(frozen=True)
class LiteLLMProxy:
    """Where it is, and the file it writes its output to."""

    url: str
    output: Path


@contextlib.contextmanager
def litellm_proxy(
    folder: Path, copy: str, *, provider: str, models: Sequence[str], settings: str, **environment: str
) -> Iterator[LiteLLMProxy]:
    """Run one until the end of the block.

    Parameters
    ----------
    folder : for its files
    copy : shell command that puts the hook there
    provider : URL of the provider, of all models
    models : names
    settings : the part of ``config.yaml`` after the models, as users write it
    **environment : the hook's settings
    """
    ours = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", copy], cwd=folder, env=os.environ | ours, timeout=60, check=True)
    listed = "".join(_MODEL.format(name=name, provider=provider) for name in models)
    config = folder / "config.yaml"
    # the settings end within general_settings
    config.write_text(f"model_list:{listed}\n{settings}  master_key: {MASTER_KEY}\n")
    port, python = free_port(), litellm_python()
    output = folder / "proxy.log"
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "DATABASE_URL"}}
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1", **environment}
    # not bin/litellm: its first line names the place where the environment was made, before it was moved
    command = [str(python), "-m", "litellm.proxy.proxy_cli", "--config", str(config), "--telemetry", "False"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with running(command, ready_url=f"{url}/health/liveliness", output=output, env=env, cwd=folder, limit_s=240):
        yield LiteLLMProxy(url, output)
