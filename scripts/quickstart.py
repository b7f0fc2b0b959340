"""``make quickstart``: from prompts alone to a forwarded chat, in commands a person can repeat.

The outcomes are the sample of the package `paretobandit` (extra ``sample``): 1,785 prompts to learn from and
1,824 others to measure on, each answered by three current models, graded and billed.
"""

import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from quickstart_chat import chat
from quickstart_collect import N_PROMPTS, collect_and_grade

from router_model.install_line import install_line

EXAMPLE = "A train leaves at 9:40 and arrives at 13:05. How long is the journey? Think step by step."


def main() -> None:
    """Run the quickstart: ``python scripts/quickstart.py FOLDER [PROMPT]``."""
    folder = Path(sys.argv[1])
    prompt = " ".join(sys.argv[2:]).strip()
    copy_sample(folder)
    train, unseen, router = folder / "train.parquet", folder / "unseen.parquet", folder / "router"
    say(f"1. No outcomes yet? Ask models {N_PROMPTS} prompts, and grade what they answer")
    sys.stdout.write("   (this provider needs no account; it answers with the grades that the sample recorded)\n")
    collect_and_grade(run, folder / "val.jsonl", folder)
    say("2. The sample was made so: what three models made of thousands of prompts, graded and billed")
    run("import", f"{folder}/val.jsonl", "--out", str(train))
    run("import", f"{folder}/test_holdout.jsonl", "--out", str(unseen))
    say("3. Learn from the first")
    run("train", str(train), "--out", str(router), "--no-holdout", "--no-track")
    say("4. What would it have saved on the second, which it never saw?")
    run("evaluate", str(router), str(unseen))
    say("5. Which model for a prompt of yours?")
    prompt = prompt or ask()
    run("route", str(router), prompt)
    say("6. The same through the proxy: POST /v1/chat/completions with model 'auto', to the provider 'echo'")
    sys.stdout.write("   (it needs no account, and repeats the prompt)\n")
    say(f"$ router-model serve {router} --insecure --providers {folder}/providers.toml      # one chat, then it stops")
    say("\n".join(chat(command(), folder, prompt)))
    say(f'Another prompt: .venv/bin/router-model route {router} "your prompt"')
    sys.stdout.write("For your SDK: make serve, then base_url http://127.0.0.1:8484/v1   Your logs: docs/training.md\n")


def copy_sample(folder: Path) -> None:
    """Copy the sample's two files, so that the commands have short names."""
    try:
        sample = files("pareto_bandit").joinpath("data/examples")
    except ModuleNotFoundError:
        sys.exit(f"the sample is missing: {install_line('sample')}")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("val.jsonl", "test_holdout.jsonl"):
        (folder / name).write_bytes(sample.joinpath(name).read_bytes())


def ask() -> str:
    """Ask a person for a prompt; the example where there is none."""
    if not sys.stdin.isatty():
        return EXAMPLE
    try:
        return input("Your prompt (Enter for an example): ").strip() or EXAMPLE
    except EOFError:
        return EXAMPLE


def run(*arguments: str) -> None:
    """Show a command and run it; end with its status where it fails."""
    shown = [f'"{argument}"' if " " in argument else argument for argument in arguments]
    say(f"$ router-model {' '.join(shown)}")
    status = subprocess.run([command(), *arguments], check=False).returncode  # noqa: S603  (our own command)
    if status:
        sys.exit(status)


def command() -> str:
    """Return the command of the environment that runs this."""
    return shutil.which("router-model", path=str(Path(sys.executable).parent)) or "router-model"


def say(text: str) -> None:
    """Print a line above a command's output."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
