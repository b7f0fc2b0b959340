"""Read the proxy's own fields of a body, ours and OpenRouter's; all other fields are for the provider."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field

from router_model.serving.http_edge.requests import Envelope, ShortText

OURS: Final = ("model", "router", "models", "session_id", "provider", "plugins")
"""Fields that do not go out as they came; ``provider`` and ``plugins`` do where the provider is OpenRouter."""
AUTO_ROUTER: Final = "auto-router"
TRADEOFFS: Final = {"low": 10.0, "medium": 7.0, "high": 3.0}
"""OpenRouter's ``cost_tier`` as our ``cost_quality_tradeoff``: 0 is quality alone, 10 cost alone, 7 the default."""


def _number(value: object) -> object:
    """Read a price that is written as text, as OpenRouter allows."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Price = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]


class MaxPrice(BaseModel, extra="allow", strict=True):
    """OpenRouter's ``max_price``: numbers in USD per *million* tokens, and per request."""

    prompt: Price | None = Field(None, description="USD per million tokens in.")
    completion: Price | None = Field(None, description="USD per million tokens out.")
    request: Price | None = Field(None, description="USD per request.")


class Sort(BaseModel, extra="allow", strict=True):
    """OpenRouter's ``sort`` as an object."""

    by: Literal["price", "throughput", "latency"]


class ProviderOptions(BaseModel, extra="allow", strict=True):
    """OpenRouter's ``provider``: which providers may be called, and in which order."""

    order: list[ShortText] | None = Field(None, description="Providers that are tried first, in this order.")
    allow_fallbacks: bool | None = Field(None, description="false: call one candidate only.")
    require_parameters: bool | None = Field(None, description="true: only models known to take what the body asks.")
    data_collection: Literal["allow", "deny"] | None = Field(None, description="deny: only who keeps no prompts.")
    only: list[ShortText] | None = Field(None, description="Only these providers.")
    ignore: list[ShortText] | None = Field(None, description="None of these providers.")
    sort: Literal["price", "throughput", "latency"] | Sort | None = Field(None, description="Within each model.")
    max_price: MaxPrice | None = None


class Plugin(BaseModel, extra="allow", strict=True):
    """One of OpenRouter's plugins; ``auto-router`` is read, others are the provider's."""

    id: ShortText
    enabled: bool | None = None
    allowed_models: list[ShortText] | None = Field(None, description="Globs over model ids.")
    excluded_models: list[ShortText] | None = Field(None, description="Globs over model ids; wins over allowed ones.")
    cost_tier: Literal["low", "medium", "high"] | None = None
    cost_quality_tradeoff: float | None = Field(None, ge=0, le=10)


class StreamOptions(BaseModel, strict=True):
    """The fields that are read from ``stream_options``."""

    include_usage: bool | None = None


class ProxyEnvelope(Envelope):
    """The fields that are read from a body on the proxy's surfaces besides the prompt; every request is checked."""

    model: ShortText | None = Field(
        None, description="A model's id, which is forwarded as asked; 'auto' or nothing: the router decides."
    )
    models: list[ShortText] | None = Field(
        None, description="With 'auto' the candidates, else what to fall back to, in this order."
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    provider: ProviderOptions | None = None
    plugins: list[Plugin] | None = None

    @property
    def auto_router(self) -> Plugin | None:
        """The plugin that tells the router what to do, if it is switched on."""
        for plugin in self.plugins or ():
            if plugin.id == AUTO_ROUTER and plugin.enabled is not False:
                return plugin
        return None


def fields_for_openrouter(body: dict[str, Any], ours: frozenset[str]) -> dict[str, Any]:
    """Return what OpenRouter itself is to read of a body.

    Parameters
    ----------
    body : as the caller sent it, checked
    ours : names of our providers, in lower case; who is called is decided here, so they say nothing to OpenRouter

    Examples
    --------
    >>> body = {"provider": {"only": ["mine", "azure"], "sort": "price"}, "plugins": [{"id": "auto-router"}]}
    >>> fields_for_openrouter(body, frozenset({"mine"}))
    {'provider': {'only': ['azure'], 'sort': 'price'}}
    """
    fields: dict[str, Any] = {}
    options = body.get("provider")
    if options:
        left = {name: _not_ours(value, ours) for name, value in options.items()}
        fields["provider"] = {name: value for name, value in left.items() if value not in ([], None)}
    plugins = [plugin for plugin in body.get("plugins") or () if plugin["id"] != AUTO_ROUTER]
    if plugins:
        fields["plugins"] = plugins
    return fields


def _not_ours(value: Any, ours: frozenset[str]) -> Any:
    if not isinstance(value, list):
        return value
    return [name for name in value if not (isinstance(name, str) and name.lower() in ours)]
