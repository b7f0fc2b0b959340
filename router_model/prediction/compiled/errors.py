"""The error that says why a predictor cannot be compiled."""


class NotCompilableError(ValueError):
    """The predictor has a part that compiled decisions do not cover; it decides by numpy and LightGBM."""
