"""Find leakage: test prompts that are exact or near duplicates of prompts that a method was trained on."""

from router_model.training.benchmark.leakage.audit import (
    N_EXAMPLES,
    THRESHOLD,
    LeakageAudit,
    Repeats,
    Twin,
    audit,
    audit_split,
    without_twins,
)

__all__ = [
    "N_EXAMPLES",
    "THRESHOLD",
    "LeakageAudit",
    "Repeats",
    "Twin",
    "audit",
    "audit_split",
    "without_twins",
]
