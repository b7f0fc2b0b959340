"""Calls of the proxy over a plain HTTP client, and what came back, whichever surface it was."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
from scripted_answers import hear
from scripted_request import Heard

PROMPT = "What is 6 times 7?"
PROVIDER_KIND = {"chat": "openai", "messages": "anthropic", "generate": "gemini"}
LIMIT_S = 40.0


@dataclass
class Outcome:
    """What a caller got.

    Attributes
    ----------
    status : int
    text : str
    errors : of the body or of the stream, in the surface's words
    ends : how often the answer said that it had ended well
    is_complete : whether the body ended as its framing and its format say
    headers : dict
    seconds : float
    """

    status: int
    text: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)
    ends: int = 0
    is_complete: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def body_of(surface: str, model: str, *, stream: bool, prompt: str = PROMPT) -> tuple[str, dict[str, Any]]:
    """Return path and body of a request."""
    if surface == "generate":
        action = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": prompt}]}]
        return f"/v1beta/models/{model}:{action}", {"contents": contents, "generationConfig": {"maxOutputTokens": 1000}}
    body = {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}], "stream": stream}
    return "/v1/chat/completions" if surface == "chat" else "/v1/messages", body


def heard(surface: str, *, prompt: str = PROMPT) -> Heard:
    """Return what the upstream hears of such a request, so what it answers."""
    path, body = body_of(surface, "m", stream=False, prompt=prompt)
    return hear(PROVIDER_KIND[surface], path, body)


async def ask(
    client: httpx2.AsyncClient, surface: str, model: str, *, stream: bool, prompt: str = PROMPT, **headers: str
) -> Outcome:
    """Call the proxy; `TimeoutError` where it hangs."""
    path, body = body_of(surface, model, stream=stream, prompt=prompt)
    began = asyncio.get_running_loop().time()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with asyncio.timeout(LIMIT_S), client.stream("POST", path, json=body, headers=named) as response:
        content = await response.aread()
    outcome = Outcome(response.status_code, headers=dict(response.headers))
    outcome.seconds = asyncio.get_running_loop().time() - began
    if response.headers["content-type"].startswith("text/event-stream"):
        _read_events(outcome, surface, content)
    else:
        _read_document(outcome, surface, json.loads(content))
    return outcome


def _read_document(outcome: Outcome, surface: str, document: dict[str, Any]) -> None:
    outcome.is_complete = True
    if "error" in document:
        outcome.errors.append(document["error"])
    else:
        _read(outcome, surface, document)


def _read_events(outcome: Outcome, surface: str, content: bytes) -> None:
    blocks = [block for block in content.replace(b"\r\n", b"\n").split(b"\n\n") if block.strip()]
    datas = [block.partition(b"data: ")[2] for block in blocks if not block.startswith(b":")]
    if surface == "chat":
        outcome.is_complete = datas.pop() == b"[DONE]"
    for data in datas:
        document = json.loads(data)
        if "error" in document:
            outcome.errors.append(document["error"])
        else:
            _read(outcome, surface, document)
    if surface != "chat":
        outcome.is_complete = content.endswith((b"\n\n", b"\r\n\r\n"))


def _read(outcome: Outcome, surface: str, document: dict[str, Any]) -> None:
    if surface == "chat":
        for choice in document["choices"]:
            said = choice.get("message") or choice["delta"]
            outcome.text += said.get("content") or ""
            outcome.ends += choice["finish_reason"] == "stop"
    elif surface == "messages":
        for block in document.get("content", []):
            outcome.text += block.get("text", "")
        outcome.text += document.get("delta", {}).get("text", "")
        outcome.ends += (document.get("delta") or document).get("stop_reason") == "end_turn"
    else:
        for candidate in document.get("candidates", []):
            for part in candidate.get("content", {}).get("parts", []):
                outcome.text += part.get("text", "")
            outcome.ends += candidate.get("finishReason") == "STOP"
