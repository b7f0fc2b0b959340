"""The share of prompts that goes to each model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from router_model.charts.extra import altair
from router_model.charts.intervals import names_of_rows
from router_model.charts.layout import NARROW, Width, data, finished, names_above, pixels
from router_model.charts.names import short_model
from router_model.charts.theme import LIGHT, RAMP
from router_model.wording import percent

if TYPE_CHECKING:
    from altair import LayerChart

_PERCENT: Final = "round(100 * datum.value) + ' %'"
"""Of an axis, as `wording.percent` writes it."""
_MODELS: Final = 8
_OTHER: Final = "other models"
_ROW: Final = 26
_COLUMN_GAP: Final = 34
"""Pixels between names of the legend: a reader's system may show a wider font than ours."""
_NARROW_ROW: Final = 40


def shares(
    of: Mapping[str, Mapping[str, float]],
    *,
    cheapest_first: Sequence[str],
    description: str = "Share of prompts that each model gets",
    title: str = "",
    width: Width = 640,
) -> "LayerChart":
    """Draw the share of prompts that goes to each model.

    With one router there is one bar for each model. With several routers or methods, each has one bar of segments,
    coloured from cheap (dark) to dear (bright).

    Parameters
    ----------
    of : router or method -> model -> share; the one on top first
    cheapest_first : models by their cost
        The eight models with the largest shares are shown, and the others together.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    models = largest_models(of, cheapest_first)
    if not models:
        raise ValueError("no shares to draw; expected a router or method with at least one model")
    if len(of) == 1:
        (only,) = of.values()
        return _bars(only, models, width=width, description=description, title=title)
    return _segments(of, models, width=width, description=description, title=title)


def largest_models(of: Mapping[str, Mapping[str, float]], cheapest_first: Sequence[str]) -> list[str]:
    """Return the models with the largest shares over all, by cost.

    >>> largest_models({"ours": {"a": 0.2, "b": 0.8, "c": 0.0}}, ["b", "a", "c"])
    ['b', 'a']
    """
    total: dict[str, float] = {}
    for each in of.values():
        for model, share in each.items():
            total[model] = total.get(model, 0.0) + share
    known = {model: place for place, model in enumerate(cheapest_first)}
    largest = sorted((model for model in total if total[model] > 0), key=lambda model: -total[model])[:_MODELS]
    return sorted(largest, key=lambda model: known.get(model, len(known)))


def _with_rest(of: Mapping[str, float], models: Sequence[str]) -> list[tuple[str, float]]:
    rest = max(sum(of.values()) - sum(of.get(model, 0.0) for model in models), 0.0)
    return [*((model, of.get(model, 0.0)) for model in models), *([(_OTHER, rest)] if rest > 5e-4 else [])]  # noqa: PLR2004


def _bars(
    of: Mapping[str, float], models: Sequence[str], *, width: Width, description: str, title: str
) -> "LayerChart":
    alt, size = altair(), pixels(width)
    is_narrow = size < NARROW
    rows = [
        {"row": str(place), "label": short_model(model), "share": share, "said": percent(share)}
        for place, (model, share) in enumerate(_with_rest(of, models))
    ]
    y = names_of_rows([str(row["label"]) for row in rows], size)
    axis = alt.Axis(title="share of prompts", labelExpr=_PERCENT, tickCount=4)
    chart = alt.Chart(data([{**row, "full": f"{row['label']}: {row['said']} of the prompts"} for row in rows]))
    bars = chart.mark_bar(color=LIGHT["ours"], cornerRadiusEnd=2, height=14, yOffset=4 if is_narrow else 0).encode(
        x=alt.X("share:Q", axis=axis, scale=alt.Scale(domainMin=0)),
        y=y,
        description="full:N",
        tooltip=alt.Tooltip("full:N", title=" "),
    )
    text = chart.mark_text(align="left", dx=6, dy=4 if is_narrow else 0, color=LIGHT["ink"], aria=False)
    layers = [bars, text.encode(x="share:Q", y=y, text="said:N")]
    if is_narrow:
        layers += names_above(rows, y, numbers=False)
    height = len(rows) * (_NARROW_ROW if is_narrow else _ROW) + 50 + 28 * bool(title)
    return finished(layers, width=width, height=height, description=description, title=title)


def _segments(
    of: Mapping[str, Mapping[str, float]], models: Sequence[str], *, width: Width, description: str, title: str
) -> "LayerChart":
    alt, size = altair(), pixels(width)
    is_narrow = size < NARROW
    names = list(of)
    rows = [
        {
            "row": str(place),
            "model": short_model(model) if model != _OTHER else _OTHER,
            "share": share,
            "order": order,
            "full": f"{name}: {percent(share)} to {model}",
            "label": name,
        }
        for place, name in enumerate(names)
        for order, (model, share) in enumerate(_with_rest(of[name], models))
    ]
    shown = list(dict.fromkeys(str(row["model"]) for row in rows))
    step = (len(RAMP) - 1) / max(len(models) - 1, 1)
    ramp = [LIGHT[RAMP[round(place * step)]] for place in range(len(models))]
    shown = [each for each in shown if each != _OTHER] + [_OTHER] * (_OTHER in shown)
    columns = 1 if is_narrow and max(map(len, shown)) > 20 else 2 if is_narrow else max(2, size // 190)  # noqa: PLR2004
    colour = alt.Color(
        "model:N",
        sort=shown,
        scale=alt.Scale(domain=shown, range=[*ramp, LIGHT["rest"]][: len(shown)]),
        legend=alt.Legend(
            orient="top", columns=columns, title="cheap to dear", symbolType="square", columnPadding=_COLUMN_GAP
        ),
    )
    y = names_of_rows(names, size)
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=16, stroke=LIGHT["surface"], strokeWidth=1, yOffset=5 if is_narrow else 0)
        .encode(
            x=alt.X(
                "share:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title="share of prompts", labelExpr=_PERCENT, tickCount=4),
            ),
            y=y,
            color=colour,
            order="order:Q",
            description="full:N",
            tooltip=alt.Tooltip("full:N", title=" "),
        )
    )
    layers = [bars]
    if is_narrow:
        named = [{"row": str(place), "label": name} for place, name in enumerate(names)]
        layers += names_above(named, y, numbers=False)
    height = len(names) * (_NARROW_ROW if is_narrow else _ROW) + 70 + 20 * -(-len(shown) // columns) + 28 * bool(title)
    return finished(layers, width=width, height=height, description=description, title=title)
