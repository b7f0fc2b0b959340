"""The error that says why a predictor cannot be compiled."""


class NotCompilableError(ValueError):
    """Raised if compiled code does not cover a part of the predictor, which then uses numpy and LightGBM."""
