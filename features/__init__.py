"""A prompt becomes numbers here: encoders, a bag of word pieces, surface features.

Knows nothing of language models, prices or HTTP.
"""

from features.bag import BagVocabulary
from features.encoder import Encoder
from features.encoders import load_encoder
from features.errors import EncoderError, FeatureError, PromptError
from features.prompt import Prompt, PromptLike
from features.surface import SURFACE_NAMES, surface_features
from features.word_pieces import N_WORD_PIECES, TextBatch, tokenise

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
