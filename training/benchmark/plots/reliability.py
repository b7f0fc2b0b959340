"""Plot a reliability diagram: predicted probabilities of success against observed success rates."""

from typing import Any

from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.plots.style import DARK, OURS, label, new_figure, plain, short_name
from router_model.training.benchmark.results import Curve, MethodResult, Results
from router_model.training.benchmark.verdicts import mean, ours, ranked

_PANELS = 8
_COLUMNS = 4


def reliability_curves(results: Results) -> Any:
    """Draw predicted against observed success, with one panel for each method and one line for each trial.

    Our method comes first, then those with the least log-loss, eight at most. The area of a point is its bin's share of
    the outcomes. The panel says how many outcomes a bin has.

    Returns
    -------
    matplotlib.figure.Figure, or None if no method has probabilities
    """
    shown = _shown(results)
    if not shown:
        return None
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    figure = new_figure(2.7 * columns, 2.9 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, method in zip(grid, shown, strict=False):
        _panel(axes, method)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel("predicted P(success)")
    for axes in grid[::columns]:
        axes.set_ylabel("observed successes")
    return figure


def _shown(results: Results) -> list[MethodResult]:
    reference = ours(results)
    having = [
        method
        for method in ranked(results.methods, "log_loss")
        if method.kind != "bound" and any(trial.reliability is not None for trial in method.trials)
    ]
    return sorted(having, key=lambda method: method is not reference)[:_PANELS]


def _panel(axes: Any, method: MethodResult) -> None:
    colour = OURS if method.kind == "ours" else DARK
    curves = [trial.reliability for trial in method.trials if trial.reliability is not None]
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.9, linestyle="--")
    for curve in curves:
        axes.plot(curve.x, curve.y, color=colour, linewidth=1, alpha=0.6)
        total = sum(curve.n)
        axes.scatter(curve.x, curve.y, s=[180 * n / total for n in curve.n] or 12, color=colour, alpha=0.6, linewidth=0)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_title(label(short_name(method.name)), fontsize=9, color=colour)
    error = GLOSSARY["calibration_error"]
    said = f"{error.label} {error.write(mean(method, error.key))}\n{_bins(curves)}"
    axes.text(0.97, 0.03, said, ha="right", va="bottom", fontsize=7, color="0.35", transform=axes.transAxes)
    plain(axes)


def _bins(curves: list[Curve]) -> str:
    """Say how many outcomes a bin holds.

    Examples
    --------
    >>> _bins([Curve((0.1, 0.9), (0.2, 0.8), (900, 1000))])
    'n = 900 to 1,000 a bin'
    """
    sizes = [n for curve in curves for n in curve.n]
    if not sizes:
        return ""
    low, high = min(sizes), max(sizes)
    return f"n = {low:,} a bin" if low == high else f"n = {low:,} to {high:,} a bin"
