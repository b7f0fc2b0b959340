"""A check of the gate before a router is published, and the limits that checks apply."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from router_model.catalog import OLD_PRICE_DAYS
from router_model.errors import RequestError
from router_model.training.measuring.verdict import MARGIN

MAX_CALIBRATION_ERROR: Final = 0.05


class Status(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate.

    Attributes
    ----------
    name : str
    status : Status
    said : what was found, in words
    figures : the same as numbers
    """

    name: str
    status: Status
    said: str
    figures: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self) | {"status": self.status.value}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate allows.

    Attributes
    ----------
    max_quality_loss : the loss of mean quality that does not matter, if cost falls
    max_calibration_error : of predicted success, above what chance alone would show
    max_price_age_days : int
    """

    max_quality_loss: float = MARGIN
    max_calibration_error: float = MAX_CALIBRATION_ERROR
    max_price_age_days: int = OLD_PRICE_DAYS

    def check(self) -> None:
        """Raise a RequestError if a limit is outside its range."""
        for name, most in (("max_quality_loss", 1.0), ("max_calibration_error", 1.0), ("max_price_age_days", np.inf)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise RequestError(f"{name}={value!r}; expected a number from 0 to {most:g}")
