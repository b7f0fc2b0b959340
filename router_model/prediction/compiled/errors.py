"""Why a predictor stays uncompiled."""


class NotCompilableError(ValueError):
    """The predictor has a part that compiled decisions do not cover; it decides by numpy and LightGBM."""
