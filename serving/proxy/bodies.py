"""Bodies of the proxy's surfaces, for the document: what is checked of them, with an example each."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from router_model.serving.api.requests import MESSAGES_EXAMPLE, Message, ShortText
from router_model.serving.proxy.envelope import ProxyEnvelope


def _open(**example: Any) -> ConfigDict:
    return ConfigDict(extra="allow", strict=True, json_schema_extra={"example": example})


_SAID: Final = "Is 2027 prime? Answer yes or no."


class ChatRequest(ProxyEnvelope):
    """OpenAI's chat body; what is not named here goes to the provider, fitted to its model."""

    model_config = _open(
        model="auto", messages=MESSAGES_EXAMPLE, max_tokens=200, router={"quality_bar": 0.5, "session_id": "chat-17"}
    )

    messages: list[Message]


class MessagesRequest(ProxyEnvelope):
    """Anthropic's Messages body; what is not named here goes to the provider, fitted to its model."""

    model_config = _open(model="auto", messages=MESSAGES_EXAMPLE, max_tokens=200)

    messages: list[Message]
    max_tokens: int | None = Field(None, ge=1)


class GenerateRequest(ProxyEnvelope):
    """Google's body; the model is in the path."""

    model_config = _open(contents=[{"role": "user", "parts": [{"text": _SAID}]}])

    contents: list[Any]


class EmbeddingsRequest(ProxyEnvelope):
    """OpenAI's embeddings body; the model is one of the providers', never chosen."""

    model_config = _open(model="text-embedding-3-small", input=_SAID)

    model: ShortText
    input: Any


class AnthropicErrorAnswer(BaseModel):
    """An error in Anthropic's shape."""

    type: Literal["error"]
    error: dict[str, Any] = Field(description="`type` and `message`.")


class GoogleErrorAnswer(BaseModel):
    """An error in Google's shape."""

    error: dict[str, Any] = Field(description="`code`, `message`, `status`, `details`.")


class AnyAnswer(BaseModel):
    """An answer of the provider, in the surface's format, with `model` and `usage.cost` (USD) of the call."""

    model_config = ConfigDict(extra="allow")
