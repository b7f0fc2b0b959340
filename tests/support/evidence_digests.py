"""What a router makes of some prompts, as digests of its bits: ``python tests/support/evidence_digests.py ROUTER``."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from plain_router import by_numpy
from simulated_world import simulate

from router_model import Router
from router_model.features.featuriser import featurise
from router_model.prediction.compiled.predictor import CompiledPredictor

ODD = ["?", "zzzzqqq " * 3, "Докажите, что 17 — простое число.", "证明十七是质数。", "Explain. " * 20_000]


def digests(router: Path) -> dict[str, str]:
    """Return digests of what the boosters read, by the way that computes it, and of the models that are chosen."""
    ready = Router.load(router)
    plain, predictor = by_numpy(ready), ready.artifact.predictor
    assert isinstance(predictor, CompiledPredictor)
    prompts = [*simulate(80, seed=7)["prompt"].unique(maintain_order=True).to_list(), *ODD]
    features, model = featurise(prompts, plain.encoder), predictor.evidence_model
    alone = [model.evidence(features.take(np.array([row]))) for row in range(len(prompts))]
    together, native = model.evidence(features), predictor.evidence(features)
    found = {
        "features": [features.embedding, features.surface],
        "together": [together.values, together.familiarity],
        "alone": [
            np.concatenate(parts) for parts in zip(*((one.values, one.familiarity) for one in alone), strict=True)
        ],
        "compiled": [native.values, native.familiarity],
        "choices": [np.array([router.route(prompt).model for prompt in prompts for router in (plain, ready)])],
    }
    return {name: hashlib.sha256(b"".join(map(bytes, arrays))).hexdigest() for name, arrays in found.items()}


if __name__ == "__main__":
    print(json.dumps(digests(Path(sys.argv[1]))))
