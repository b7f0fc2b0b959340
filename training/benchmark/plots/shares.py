"""Plot the share of prompts that goes to each model."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl

from router_model.training.benchmark.plots.style import OURS, label, new_figure, short_model, short_name
from router_model.training.benchmark.results import MethodResult

_MODELS = 8
_LEGIBLE = 0.06
_BRIGHT = 0.55
_OTHER = "other models"


def mean_shares(method: MethodResult) -> dict[str, float]:
    """Return the share of prompts a method's chosen configuration sends to each model, the mean over trials."""
    found: dict[str, float] = {}
    for trial in method.trials:
        for model, share in trial.shares.items():
            found[model] = found.get(model, 0.0) + share / len(method.trials)
    return found


def decision_shares(
    shares: Mapping[str, Mapping[str, float]], *, cheapest_first: Sequence[str], emphasised: str = ""
) -> Any:
    """Draw the share of prompts that goes to each model, with one stacked bar for each method.

    Parameters
    ----------
    shares : method -> model -> share, the method on top first
    cheapest_first : models by their cost
        Colours and segments go from cheap (dark) to dear (bright). The eight models with the largest shares are shown,
        and the others together.
    emphasised : the method whose name is emphasised

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = _largest(shares, cheapest_first)
    figure = new_figure(10, 1.5 + 0.32 * len(shares))
    axes = figure.add_subplot()
    places = range(len(shares) - 1, -1, -1)
    left = dict.fromkeys(shares, 0.0)
    colours = _colours(len(models))
    for model, colour in zip([*models, _OTHER], [*colours, (0.85, 0.85, 0.85, 1.0)], strict=True):
        widths = [_share(of, model, models) for of in shares.values()]
        if model == _OTHER and not any(widths):
            continue
        axes.barh(places, widths, left=list(left.values()), color=colour, height=0.78, label=label(short_model(model)))
        for place, method, width in zip(places, shares, widths, strict=True):
            if width >= _LEGIBLE:
                axes.text(
                    left[method] + width / 2, place, f"{width:.0%}", ha="center", va="center", fontsize=7,
                    color="black" if sum(colour[:3]) / 3 > _BRIGHT or model == _OTHER else "white",
                )  # fmt: skip
            left[method] += width
    axes.set_yticks(places, [label(short_name(name, 30)) for name in shares])
    for text, name in zip(axes.get_yticklabels(), shares, strict=True):
        if name == emphasised:
            text.set(color=OURS, fontweight="bold")
    axes.set(xlim=(0, 1), xlabel="share of prompts")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(title="cheap to dear", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, alignment="left")
    return figure


def _largest(shares: Mapping[str, Mapping[str, float]], cheapest_first: Sequence[str]) -> list[str]:
    """Return the models with the largest shares over all methods, by cost."""
    total: dict[str, float] = {}
    for of in shares.values():
        for model, share in of.items():
            total[model] = total.get(model, 0.0) + share
    known = {model: place for place, model in enumerate(cheapest_first)}
    largest = sorted((model for model in total if total[model] > 0), key=lambda model: -total[model])[:_MODELS]
    return sorted(largest, key=lambda model: known.get(model, len(known)))


def _share(of: Mapping[str, float], model: str, models: Sequence[str]) -> float:
    if model == _OTHER:
        return max(sum(of.values()) - sum(of.get(each, 0.0) for each in models), 0.0)
    return of.get(model, 0.0)


def _colours(n_models: int) -> list[tuple[float, float, float, float]]:
    """Return colours of cividis, whose order is visible with every kind of colour-blindness."""
    scale = mpl.colormaps["cividis"]
    return [scale(0.05 + 0.9 * step / max(n_models - 1, 1)) for step in range(n_models)]
