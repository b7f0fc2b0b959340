"""Figures (extra ``train``: matplotlib). Each function draws one figure from results and saves it."""

from collections.abc import Sequence
from pathlib import Path

from training.evaluate import Evaluation, Realised


def cost_and_quality(evaluation: Evaluation, path: Path) -> None:
    """Draw the router's frontier and operating point among the single models, cost on a logarithmic axis.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise ImportError("figures need matplotlib: pip install 'router-model[train]'") from exc
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = [single for single in evaluation.singles if single.cost_usd > 0]
    axes.scatter([s.cost_usd * 1000 for s in shown], [s.quality for s in shown], color="0.55", label="single models")
    for single in _undominated(shown):
        axes.annotate(
            single.label.rsplit("/", 1)[-1],
            (single.cost_usd * 1000, single.quality),
            textcoords="offset points",
            xytext=(5, -9),
            fontsize=7,
            color="0.35",
        )
    frontier = evaluation.frontier
    axes.plot(frontier.cost_usd * 1000, frontier.quality, color="C0", label="router, over all values of a success")
    axes.scatter(
        [evaluation.router.cost_usd * 1000],
        [evaluation.router.quality],
        color="C3",
        zorder=3,
        label="router, default",
    )
    axes.set(xscale="log", xlabel="USD per 1,000 prompts", ylabel="mean quality")
    axes.set_title(f"{evaluation.n_prompts:,} held-out prompts")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def _undominated(singles: Sequence[Realised]) -> list[Realised]:
    """Return the models that none betters for no more money: the names worth reading."""
    return [
        single
        for single in singles
        if not any(other.quality > single.quality and other.cost_usd <= single.cost_usd for other in singles)
    ]
