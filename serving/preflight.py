"""What is looked at before a service starts, and what it says then."""

import logging

from features import FeatureError, load_encoder
from router_model.errors import RouterModelError
from router_model.router import Router
from serving.access.authentication import Access
from serving.access.start import check_access
from serving.decision_log.opening import open_log
from serving.engine.artifact_source import ArtifactSource
from serving.masking import masked_url
from serving.providers.config import load_providers
from serving.settings import Settings

_SHOWN = 6  # models named


def about(settings: Settings) -> list[str]:
    """Check the settings by opening what they name, and say what it is; ``{address}`` stands for where it listens.

    Raises
    ------
    SettingsError, ArtifactError, CatalogError, EncoderError
        If the service cannot start like this.
    """
    logging.disable(logging.WARNING)  # the workers say it, too
    try:
        keyring = check_access(settings)
        Access.of(settings, keyring).close()  # opens the file of budgets, where there are any
        open_log(settings)
        router = _router_in_words(settings)
        providers = () if settings.providers is None else load_providers(settings.providers)
    finally:
        logging.disable(logging.NOTSET)
    header = "" if keyring is None else " -H 'Authorization: Bearer KEY'"
    return [
        f"deciding: {router}",
        f"logging: {masked_url(settings.log)}",
        "callers: everybody on this machine (--insecure)" if keyring is None else f"callers: keys of {settings.keys}",
        f"forwarding: {', '.join(one.name for one in providers) or 'to nobody (no --providers)'}",
        f"try: curl http://{{address}}/v1/{'chat/completions' if providers else 'route'}"
        + header
        + ' --json \'{"messages": [{"role": "user", "content": "Hi"}]}\'',
    ]


def _router_in_words(settings: Settings) -> str:
    """Load the router once, as the workers will, and say what is in it."""
    try:
        encoder = None if settings.encoder is None else load_encoder(settings.encoder)
        router = Router.load(
            ArtifactSource(settings.artifact, settings.catalog).look().folder, catalog=settings.catalog, encoder=encoder
        )
    except (RouterModelError, FeatureError) as exc:
        if not settings.default_plan:
            raise
        return f"nothing yet, default plan {', '.join(settings.default_plan)}: {exc}"
    models = router.models
    more = f" and {len(models) - _SHOWN} more" * (len(models) > _SHOWN)
    return f"{', '.join(models[:_SHOWN])}{more} ({router.artifact.content_hash[:19]}, {settings.artifact})"
