"""Check that quality did not fall: compare today's results with recorded ones on the same table."""

from typing import Final

from router_model.errors import RequestError
from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.results import Results

MARGINS: Final = {"aiq": 0.003, "aiq_log": 0.003, "auc": 0.005, "log_loss": 0.002}
"""The largest falls that count as noise: trainings that differ only in their seed spread by a third of it or less.

`tests/performance/bench_guard.py` prints the spread.
"""


def falls(results: Results, recorded: Results, *, method: str = "ours") -> list[str]:
    """Return a sentence for each metric of a method that is worse than the recorded one by more than noise.

    Raises
    ------
    RequestError
        If the two were not measured on the same tables with the same settings, or one lacks the method.
    """
    _refuse_other_setting(results, recorded)
    now, before = results.method(method), recorded.method(method)
    if now is None or before is None:
        raise RequestError(f"the {'baseline' if before is None else 'benchmark'} has no method {method!r} to compare")
    found = []
    for name, margin in MARGINS.items():
        value, baseline = now.metrics[name].value, before.metrics[name].value
        if value is None or baseline is None:
            continue
        worse = value - baseline if GLOSSARY[name].lower_is_better else baseline - value
        if worse > margin:
            found.append(
                f"{method}: {GLOSSARY[name].label} {value:.4f}, recorded {baseline:.4f}; worse by {worse:.4f}, "
                f"and up to {margin:g} is noise"
            )
    return found


def _refuse_other_setting(results: Results, recorded: Results) -> None:
    for name in ("table", "test_table", "setting"):
        now, before = results.provenance.get(name), recorded.provenance.get(name)
        if now != before:
            raise RequestError(f"the baseline was measured on another {name}: {before}, this is {now}; record it again")
