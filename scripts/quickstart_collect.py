"""The quickstart's first step: ask models prompts, and grade their answers, without a network.

The sample has the grade and the bill of each answer, but not its text. So the provider that runs here answers with the
recorded grade, and the grader reads it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

N_PROMPTS = 50

GRADER = '''\
def grade(answer, reference, row):
    """Read the grade that the quickstart's provider answers with. Yours would look at the answer itself."""
    return float(answer)
'''
PROVIDER = """\
[recorded]
kind = "openai"
base_url = "http://127.0.0.1:{port}/v1"
models = ["*"]
"""


def collect_and_grade(run: Callable[..., None], sample: Path, folder: Path) -> None:
    """Ask the sample's models its first prompts, and grade the answers.

    Parameters
    ----------
    run : shows a command of ``router-model`` and runs it
    sample : JSON lines with ``prompt`` and ``arms``, each with ``reward`` and ``cost``
    folder : of the quickstart
    """
    records = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()[:N_PROMPTS]]
    prompts, outcomes = folder / "first-prompts.jsonl", folder / "first-outcomes.parquet"
    for name in ("first-outcomes.parquet", "first-answers.parquet", "first-outcomes.calls.db"):
        (folder / name).unlink(missing_ok=True)  # a second quickstart begins anew
    prompts.write_text("".join(json.dumps({"prompt": one["prompt"]}) + "\n" for one in records), encoding="utf-8")
    (folder / "first_grade.py").write_text(GRADER, encoding="utf-8")
    with _provider({one["prompt"]: one["arms"] for one in records}) as port:
        (folder / "first-providers.toml").write_text(PROVIDER.format(port=port), encoding="utf-8")
        run(
            *("collect", str(prompts), "--models", ",".join(records[0]["arms"])),
            *("--providers", f"{folder}/first-providers.toml", "--budget-usd", "5", "--out", str(outcomes)),
        )
    by = f"python:{folder}/first_grade.py"
    run("grade", f"{folder}/first-answers.parquet", "--by", by, "--out", str(outcomes))


@contextmanager
def _provider(recorded: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[int]:
    """Answer chats on a free port of this machine until the end of the block; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            content = json.dumps(_answer(body, recorded)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(body: Mapping[str, Any], recorded: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    prompt = body["messages"][-1]["content"]
    outcome = recorded[prompt][body["model"]]
    message = {"role": "assistant", "content": str(outcome["reward"])}
    n_input = max(len(prompt) // 4, 1)
    usage = {"prompt_tokens": n_input, "completion_tokens": 1, "total_tokens": n_input + 1, "cost": outcome["cost"]}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {
        "id": "recorded", "object": "chat.completion", "created": 0, "model": body["model"], "choices": choices,
        "usage": usage,
    }  # fmt: skip
