"""A certificate that holds, for tests of what is said about certificates."""

from router_model.certificate import Certificate

CERTIFIED = Certificate(
    target_success=0.8,
    quality_bar=0.5,
    delta=0.1,
    n_targets=2,
    split_hash="sha256:0",
    n_prompts=200,
    realised_success=0.85,
    success_value_usd=0.001,
    safest_model="large",
    safest_success=0.9,
    reason=None,
)
