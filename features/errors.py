"""The errors that the package `features` raises, about encoders and about prompts.

FeatureError(ValueError)
├── EncoderError      an encoder cannot be found, loaded or verified
└── PromptError       a value is neither text nor chat messages

``router_model.errors`` has the errors of the other packages.
"""


class FeatureError(ValueError):
    """Base of all errors that this package raises on purpose."""


class EncoderError(FeatureError):
    """Raise when an encoder cannot be found, loaded or verified."""


class PromptError(FeatureError):
    """Raise when a value is neither text nor a list of chat messages."""
