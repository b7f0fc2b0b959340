"""Make `release_0_1.tar.gz`: what a service of 0.1 leaves behind. Run it with 0.1, the commit of docs/upgrading.md:

    git worktree add /tmp/router-0.1 9c923308
    python3.11 -m venv /tmp/router-0.1/.venv
    /tmp/router-0.1/.venv/bin/pip install "/tmp/router-0.1[serve,postgres]"
    /tmp/router-0.1/.venv/bin/python tests/upgrade/make_0_1.py tests/upgrade/release_0_1.tar.gz

It trains a router, makes a key with a budget, runs the service twice, with SQLite and with PostgreSQL, asks both for
the same, and writes down what they answered. `known.json` also has every option of 0.1's commands.
"""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

import click

from router_model.cli import group

BIN = Path(sys.executable).parent
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))
WORDS = {
    "sums": ["add", "subtract", "multiply", "divide", "number", "sum", "12", "45", "7", "total", "minus", "plus"],
    "poems": ["rose", "moon", "river", "verse", "rhyme", "autumn", "silence", "wind", "lantern", "dusk", "heart"],
}
P_SUCCESS = {"sums": {"small": 0.95, "large": 0.95}, "poems": {"small": 0.1, "large": 0.95}}
PROMPTS = ["add subtract multiply divide number sum 12 45", "river moon verse rhyme autumn silence wind", "hello"]
CATALOG = """
[models.small]
usd_per_mtok_input = 100
usd_per_mtok_output = 300
context_window = 4000

[models.large]
usd_per_mtok_input = 5000
usd_per_mtok_output = 15000
context_window = 200000
"""
PROVIDERS = '[echo]\nkind = "echo"\nmodels = ["*"]\n'
TRAINING = "max_quality_loss = 0.05\n[fit]\nboosters = { max_rounds = 4 }\namount_boosters = { max_rounds = 4 }\n"


def main(out: Path) -> None:
    """Make everything in a folder of its own, and copy what is kept."""
    work = Path(tempfile.mkdtemp(prefix="router-0.1-"))
    work.chmod(0o755)
    os.chdir(work)
    write_table(Path("outcomes.csv"))
    for name, text in {"catalog.toml": CATALOG, "providers.toml": PROVIDERS, "training.toml": TRAINING}.items():
        Path(name).write_text(text)
    settings = ("--catalog", "catalog.toml", "--config", "training.toml", "--no-track")
    run("import", "outcomes.csv", "--out", "outcomes.parquet")
    run("train", "outcomes.parquet", "--out", "router", *settings)
    roles = [word for role in ("decide", "feedback", "proxy") for word in ("--role", role)]
    key = run("keys", "create", "--name", "ann", *roles, "--budget-usd", "20", "--budget-per", "total").strip()
    asked = with_service(key, "sqlite:///log.db")
    with sqlite3.connect("log.db") as database:
        database.execute("VACUUM")
    with sqlite3.connect("router-budgets.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spent = database.execute("SELECT sum(nano_usd) FROM spent").fetchone()[0]
    with_postgres(key)
    routed = {prompt: json.loads(run("route", "router", prompt, "--json")) for prompt in PROMPTS}
    known = {"key": key, "asked": asked, "spent_nanos": spent, "routed": routed, "options": options(group)}
    Path("known.json").write_text(json.dumps(known, indent=1))
    with tarfile.open(out, "w:gz") as archive:
        for name in ("router", "log.db", "log.sql", "router-budgets.db", "keys.toml", "keys.toml.secret", "known.json"):
            archive.add(name)


def options(command: click.Command, path: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Return the options of a command and of those below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        below = ((name, command.get_command(context, name)) for name in command.list_commands(context))
        return {name: found for of, one in below for name, found in options(one, (*path, of)).items()}
    return {" ".join(path): sorted({name for one in command.params for name in one.opts if name.startswith("--")})}


def write_table(path: Path) -> None:
    """Draw 90 prompts of two kinds: small fails at poems."""
    rng = random.Random(0)
    lines = ["prompt_id,prompt,model,quality,input_tokens,output_tokens,task"]
    for n in range(90):
        task = rng.choice(list(WORDS))
        text = f"{' '.join(rng.choices(WORDS[task], k=8))} #{n}"
        for model, p in P_SUCCESS[task].items():
            lines.append(f"p{n},{text},{model},{int(rng.random() < p)},14,{rng.randint(50, 99)},{task}")
    path.write_text("\n".join(lines) + "\n")


def with_service(key: str, log: str) -> list[dict]:
    """Ask a service: three decisions, one of them judged, and two calls; return the ids that its answers have."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = ("--keys", "keys.toml", "--providers", "providers.toml", "--log", log, "--log-prompts", "full")
    service = subprocess.Popen([BIN / "router-model", "serve", "router", *files, "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/readyz", service)
        asked = []
        for prompt in PROMPTS:
            body = {"messages": [{"role": "user", "content": prompt}], "user": "u1"}
            answer = post(f"{url}/v1/route", key, body)
            asked.append({"decision_id": answer["id"], "model": answer["model"], "prompt": prompt})
        post(f"{url}/v1/feedback", key, {"decision_id": asked[0]["decision_id"], "score": 0.25, "source": "test"})
        for prompt in PROMPTS[:2]:
            body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
            answer = post(f"{url}/v1/chat/completions", key, body)
            asked.append({"response_id": answer["id"], "prompt": prompt})
        time.sleep(3)
    finally:
        service.terminate()
        service.wait(60)
    return asked


def with_postgres(key: str) -> None:
    """Do the same with PostgreSQL, and write its database as statements."""
    folder, user = Path("postgres").absolute(), {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    data = folder / "data"
    at = ["-h", "127.0.0.1", "-p", "5499", "-U", "router"]
    subprocess.run([POSTGRES / "initdb", "-D", data, "-U", "router", "--auth=trust", "-E", "UTF8"], **user, check=True)
    server = subprocess.Popen([POSTGRES / "postgres", "-D", data, "-p", "5499", "-k", folder], **user)
    try:
        for _ in range(100):
            if subprocess.run([POSTGRES / "pg_isready", *at], check=False).returncode == 0:
                break
            time.sleep(0.1)
        subprocess.run([POSTGRES / "createdb", *at, "log"], check=True)
        with_service(key, "postgresql://router@127.0.0.1:5499/log")
        options = ["--inserts", "--no-owner", "--no-comments", "--restrict-key=fixture"]
        dump = [POSTGRES / "pg_dump", *at, *options, "log"]
        said = subprocess.run(dump, capture_output=True, text=True, check=False)
        if said.returncode:  # an older pg_dump has no --restrict-key
            said = subprocess.run([*dump[:-2], "log"], capture_output=True, text=True, check=True)
        lines = [line for line in said.stdout.splitlines() if line and not line.startswith(("--", "\\", "SET "))]
        Path("log.sql").write_text("\n".join(lines) + "\n")
    finally:
        server.terminate()
        server.wait(60)


def run(*arguments: str) -> str:
    """Return what a command of 0.1 printed."""
    done = subprocess.run([BIN / "router-model", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def post(url: str, key: str, body: dict) -> dict:
    """Return the answer to a body."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def wait_for(url: str, service: subprocess.Popen) -> None:
    """Wait until the service is ready."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert service.poll() is None
            time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
