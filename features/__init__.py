"""Turn prompts into numbers: embeddings, a bag of word pieces, and surface features.

This package does not know about language models, prices or HTTP.
"""

from router_model.features.bag import BagVocabulary
from router_model.features.encoder import Encoder
from router_model.features.encoders import load_encoder
from router_model.features.errors import EncoderError, FeatureError, PromptError
from router_model.features.prompt import Prompt, PromptLike
from router_model.features.surface import SURFACE_NAMES, surface_features
from router_model.features.word_pieces import N_WORD_PIECES, TextBatch, tokenise

__all__ = [
    "N_WORD_PIECES",
    "SURFACE_NAMES",
    "BagVocabulary",
    "Encoder",
    "EncoderError",
    "FeatureError",
    "Prompt",
    "PromptError",
    "PromptLike",
    "TextBatch",
    "load_encoder",
    "surface_features",
    "tokenise",
]
