"""What a check of the log found: an effect with its threshold, in words, as JSON and as Prometheus metrics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes
    ----------
    check : str
        What was looked at: ``traffic``, ``form``, ``calibration``, ``cost``, ``tokens``, ``success``, ``price``,
        ``price age``, ``answering model``, ``unknown model``.
    subject : str
        The model, task or feature; empty if the check has only one.
    effect : float
        How large the change is, in the check's own unit; see `unit`.
    threshold : float
        The effect from which on it counts.
    unit : str
    drifted : bool
        The effect has reached the threshold, and chance does not explain it.
    n : int
        Calls or prompts it was measured on.
    says : str
        One sentence with the figures, without a full stop.
    advice : str
        What to do; empty unless it has drifted.
    low, high : float or None
        Interval of the effect, where the check has one.
    """

    check: str
    subject: str
    effect: float
    threshold: float
    unit: str
    drifted: bool
    n: int
    says: str
    advice: str = ""
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON types."""
        return {
            "check": self.check,
            "subject": self.subject,
            "effect": _finite(self.effect),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "threshold": self.threshold,
            "unit": self.unit,
            "drifted": self.drifted,
            "n": self.n,
            "says": self.says,
            "advice": self.advice,
        }


def prometheus_text(findings: Sequence[Finding]) -> str:
    """Return the findings in Prometheus' text format, for node exporter's textfile collector.

    Examples
    --------
    >>> print(prometheus_text([Finding("cost", "m", 1.5, 0.1, "share", True, 40, "says")]).splitlines()[2])
    router_drift_effect{check="cost",subject="m"} 1.5
    """
    families = (
        ("effect", "How large the change is, in the check's unit"),
        ("threshold", "The effect from which on it counts"),
        ("drifted", "1 if the check found a change, else 0"),
    )
    lines = []
    for field, says in families:
        lines += [f"# HELP router_drift_{field} {says}.", f"# TYPE router_drift_{field} gauge"]
        for one in findings:
            labels = f'check="{_escaped(one.check)}",subject="{_escaped(one.subject)}"'
            lines.append(f"router_drift_{field}{{{labels}}} {float(getattr(one, field))!r}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
