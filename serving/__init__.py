"""The decision service: an API that gateways and applications ask which model to call."""

from typing import TYPE_CHECKING, Any

from router_model.serving.common.extra import needing_serve

if TYPE_CHECKING:
    from router_model.serving.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Import the application on first use, because the other modules here need no web framework."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needing_serve("the decision service"):
        from router_model.serving.app import create_app  # noqa: PLC0415
    return create_app
