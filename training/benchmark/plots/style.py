"""The style that all figures share: colours, names, and the cost axis.

Our method is drawn in one strong colour, other methods thin and muted, bounds dashed and black, single models grey. The
colours are Okabe and Ito's (our method, verdicts) and Paul Tol's muted scheme (other methods). Both are readable with
colour-blindness.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError as exc:
    raise ImportError("figures need matplotlib: pip install 'router-model[benchmark]'") from exc

from router_model.training.benchmark.results import MethodResult

OURS = "#D55E00"
AHEAD, BEHIND, NOISE = "#0072B2", "#D55E00", "0.55"
GREY, DARK = "0.62", "0.25"
_MUTED = ("#332288", "#44AA99", "#117733", "#999933", "#CC6677", "#882255", "#AA4499", "#88CCEE", "#DDCC77")
_SIMPLE_GREYS = ("0.2", "0.4", "0.55")
_NAME_LENGTH = 26
_PROVIDERS = re.compile(r"^([\w.@-]+/)+")


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of this size in inches, with a layout that avoids overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def short_name(text: str, length: int = _NAME_LENGTH) -> str:
    """Shorten a name to fit a figure, in the middle.

    Examples
    --------
    >>> short_name("a-model-with-a-very-long-name-indeed", 16)
    'a-model-…-indeed'
    """
    text = " ".join(text.split())
    head = length // 2
    return text if len(text) <= length else f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def short_model(model: str, length: int = _NAME_LENGTH) -> str:
    """Shorten a model's id; its provider is dropped first.

    Examples
    --------
    >>> short_model("openai/gpt-5")
    'gpt-5'
    """
    return short_name(_PROVIDERS.sub("", model) or model, length)


def label(text: str) -> str:
    r"""Escape a name so that matplotlib shows it: dollars start a formula, and a first underscore hides a label.

    Examples
    --------
    >>> print(label("_cheap$"))
     _cheap\$
    """
    escaped = text.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def method_styles(methods: Sequence[MethodResult]) -> dict[str, dict[str, Any]]:
    """Return line styles by method name.

    Our method is strong, bounds are dashed and black, simple methods dotted and grey. Learned methods are solid and
    packages dash-dotted, each in a different colour (dashed when the colours run out).
    """
    styles: dict[str, dict[str, Any]] = {}
    n_rivals = n_simple = 0
    for method in methods:
        if method.kind == "ours":
            style = {"color": OURS, "linewidth": 2.6, "zorder": 5}
        elif method.kind == "bound":
            dashes: Any = "--" if "task" not in method.name else (0, (6, 2, 1, 2))
            style = {"color": "black", "linewidth": 1.1, "linestyle": dashes, "zorder": 2}
        elif method.kind == "simple":
            grey = _SIMPLE_GREYS[n_simple % len(_SIMPLE_GREYS)]
            style = {"color": grey, "linewidth": 1.3, "linestyle": (0, (1, 1.2)), "zorder": 3}
            n_simple += 1
        else:
            dashes = (0, (4, 1, 1, 1)) if method.kind == "package" else "-"
            dashes = dashes if n_rivals < len(_MUTED) else (0, (5, 2))
            colour = _MUTED[n_rivals % len(_MUTED)]
            style = {"color": colour, "linewidth": 1.3, "linestyle": dashes, "alpha": 0.9, "zorder": 3}
            n_rivals += 1
        styles[method.name] = style
    return styles


def cost_axis(axes: Any, costs_usd: Iterable[float]) -> None:
    """Make x an axis of USD per 1,000 prompts with plain numbers; it is logarithmic if a cost is above 0."""
    positive = [cost for cost in costs_usd if cost > 0]
    axes.set_xlabel("USD per 1,000 prompts")
    if not positive:
        return
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    narrow = max(positive) < 20 * min(positive)
    if narrow:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("USD per 1,000 prompts (logarithmic)")


def plain(axes: Any, *, grid: str = "both") -> None:
    """Remove lines that carry no information."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(visible=True, axis=grid, color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
