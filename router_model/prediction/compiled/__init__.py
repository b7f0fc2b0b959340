"""Predict for a single prompt by compiled code, several times as fast as `router_model.prediction.predictor`.

The predictions are the same. The code with numpy and LightGBM remains the reference. It also answers batches of many
prompts, and every request of a base install: compiling needs numba, which the extra ``serve`` installs.
"""

import importlib.util
import logging
import os

from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.predictor import Predictor

__all__ = ["SWITCH", "NotCompilableError", "compile_predictor"]

SWITCH = "ROUTER_MODEL_COMPILED"
"""Environment variable; 0 leaves predictors uncompiled."""

_logger = logging.getLogger(__name__)


def compile_predictor(predictor: Predictor) -> Predictor:
    """Return a predictor with the same predictions that answers single prompts by compiled code, if possible.

    The given predictor is returned without numba, with ``ROUTER_MODEL_COMPILED=0``, or if the predictor has parts that
    compiled code does not cover (`NotCompilableError` says which). The log then says why.
    """
    if os.environ.get(SWITCH) == "0":
        _logger.info("single decisions are not compiled: %s=0", SWITCH)
        return predictor
    if importlib.util.find_spec("numba") is None:
        _logger.info("single decisions are not compiled: numba is missing (pip install 'router-model[serve]')")
        return predictor
    from router_model.prediction.compiled.predictor import CompiledPredictor  # noqa: PLC0415  numba takes half a second

    try:
        return CompiledPredictor.of(predictor)
    except (NotCompilableError, OSError) as exc:  # numba writes its cache while it compiles, and the disk may be full
        _logger.warning("single decisions are not compiled: %s", exc)
        return predictor
