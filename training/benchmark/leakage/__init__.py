"""Test prompts that a method has in effect been shown: exact and near duplicates across a split."""

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
