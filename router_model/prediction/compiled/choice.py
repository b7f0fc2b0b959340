"""Choose whether compiled code predicts, and by which of the processor's instructions."""

import copyreg
import logging
import os
from typing import Any

from router_model.errors import RouterModelError
from router_model.prediction.compiled.errors import NotCompilableError
from router_model.prediction.predictor import Predictor

SWITCH = "ROUTER_MODEL_COMPILED"
"""Environment variable: 0 for the numpy code, or the instructions to use (``baseline``, ``avx2``, ``avx512``)."""

_logger = logging.getLogger(__name__)


def compiled(predictor: Predictor) -> Predictor:
    """Return a predictor with the same predictions that compiled code computes, if possible.

    The given predictor is returned without the extension module, with ``ROUTER_MODEL_COMPILED=0``, or if the predictor
    has parts that the module does not cover (`NotCompilableError` says which). The log then says why.

    Raises
    ------
    RouterModelError
        If the environment names instructions that this machine does not have.
    """
    processor = os.environ.get(SWITCH, "")
    if processor == "0":
        _logger.info("numpy predicts: %s=0", SWITCH)
        return predictor
    try:
        from router_model.prediction.compiled import _native  # noqa: PLC0415  it may not be there
        from router_model.prediction.compiled.predictor import CompiledPredictor  # noqa: PLC0415
    except ImportError as exc:
        _logger.warning("numpy predicts, which is several times slower: the extension module was not built (%s)", exc)
        return predictor
    if processor and processor not in _native.PROCESSORS:
        raise RouterModelError(
            f"{SWITCH}={processor!r}; expected one of {', '.join((*_native.PROCESSORS, '0'))} on this machine"
        )
    copyreg.pickle(CompiledPredictor, _pickled)
    processor = processor or _native.PROCESSORS[0]
    if isinstance(predictor, CompiledPredictor) and predictor.processor == processor:
        return predictor
    try:
        return CompiledPredictor.of(predictor, processor)
    except NotCompilableError as exc:
        _logger.warning("numpy predicts, which is several times slower: %s", exc)
        return predictor


def _pickled(made: Any) -> tuple[Any, ...]:
    """Pickle the reference; the process that loads it chooses anew."""
    return compiled, (made.by_numpy(),)
