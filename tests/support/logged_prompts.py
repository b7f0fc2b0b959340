"""Prompts as a log without texts keeps them."""

from collections.abc import Sequence

from router_model.features import Prompt, load_encoder
from router_model.features.featuriser import featurise
from router_model.features.logged import LogKeys, pack
from router_model.saved.artifact import prompt_hash


def seal_prompts(prompts: Sequence[object], keys: LogKeys) -> list[str]:
    """Return the sealed features of prompts, as the service logs them with the static encoder."""
    encoder = load_encoder("static")
    sealed = []
    for value in prompts:
        prompt = Prompt.parse(value)
        features = featurise([prompt], encoder)
        record = pack(features, prompt, text_hash=prompt_hash(prompt.text), encoder_hash=encoder.content_hash)
        sealed.append(keys.seal(record))
    return sealed
