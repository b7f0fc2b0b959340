"""The decision service: an API that gateways and applications ask which model to call."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Import the application when it is asked for: what is beside it needs no web framework."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from serving.app import create_app  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"the decision service needs the extra 'serve' ({exc.name} is missing): pip install 'router-model[serve]'"
        ) from exc
    return create_app
