"""The name of a policy: what decides, in twelve digits."""

import hashlib
import json

from router_model.router import Router
from router_model.serving.common.settings import Settings

_THAT_DECIDE = (
    "default_plan",
    "explore_share",
    "explore_max_p_drop",
    "explore_max_cost_ratio",
    "session_ttl_s",
    "session_cache_ttl_s",
)
_N_DIGITS = 12


def policy_version(settings: Settings, router: Router | None) -> str:
    """Return the name of what decides: of the artifact, the prices and every setting that choices depend on.

    Two decisions of one name would have been the same on the same request, or had the same propensities.
    """
    artifact = "" if router is None else router.artifact.content_hash
    catalog = "" if router is None else router.catalog.dump()
    said = [artifact, catalog, {name: getattr(settings, name) for name in _THAT_DECIDE}]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_N_DIGITS]
