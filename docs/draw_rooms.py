"""Draw the picture of docs/architecture.md: the folders, and what passes between them.

``python docs/draw_rooms.py`` writes ``docs/figures/rooms.svg``. Whoever adds a folder adds it here, too.
"""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

PICTURE = Path(__file__).parent / "figures" / "rooms.svg"


class Floor(NamedTuple):
    """One row of a house: the folders side by side, and what they do."""

    rooms: str
    does: str


class House(NamedTuple):
    """A package: where it stands, its colour, and its floors from the top down."""

    name: str
    left: float
    top: float
    colour: str
    floors: tuple[Floor, ...]


HOUSES = (
    House("training", 0.0, 10.2, "#0072B2", (
        Floor("commands", "import, train, evaluate, certify …"),
        Floor("benchmark · promotion · drift · offpolicy", "rivals; the gate; what changed; other policies"),
        Floor("measuring · new_model", "savings, certificates; add a model"),
        Floor("fitting", "from arrays to a predictor"),
        Floor("table · metrics · near_duplicates", "splits, prices, targets; AIQ, AUC; twins"),
        Floor("importing · grading", "files and logs of others; how good answers are"),
    )),
    House("serving", 7.4, 10.2, "#009E73", (
        Floor("commands · integrations", "serve, keys, log; LiteLLM's hook"),
        Floor("app · simulation", "puts it together; plays production"),
        Floor("console · api", "pages for people; decisions, feedback, operations"),
        Floor("proxy", "calls of SDKs, answered in their format"),
        Floor("http_edge · monitoring · paid_calls", "bodies, errors; metrics; many calls on a budget"),
        Floor("engine · forwarding", "decide in time; retry, fail over"),
        Floor("decision_log", "what was decided and what came of it"),
        Floor("access · formats", "keys, budgets; formats and translations"),
        Floor("providers", "who is called, with which key"),
        Floor("client · common", "a typed client; helpers of the rooms above"),
    )),
    House("router_model", 0.0, 3.6, "#D55E00", (
        Floor("commands · router · pacing", "one decision; a budget for many"),
        Floor("screening · explanation · sequential", "who may be chosen; why this one; tests in time"),
        Floor("saved · announced · prediction", "files; models nobody graded; probabilities, costs"),
    )),
    House("features", 0.0, -0.6, "#CC79A7", (Floor("features", "a prompt becomes numbers"),)),
)  # fmt: skip
_WIDTH, _HEIGHT, _DARK = 5.6, 0.82, "0.2"


def main() -> None:
    """Draw the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "router-model", "font.family": "sans-serif"})
    figure = Figure(figsize=(8.6, 7.9))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.3, 13.3), ylim=(-1.7, 10.9))
    axes.axis("off")
    for house in HOUSES:
        _draw_house(axes, house)
    _arrow(axes, (2.8, 5.2), (2.8, 4.2), "trains")
    _arrow(axes, (2.8, 1.05), (2.8, 0.05), "reads prompts with")
    _arrow(axes, (7.3, 5.68), (5.7, 5.68), "outcomes")
    _arrow(axes, (7.3, 2.8), (5.7, 2.8), "asks")
    figure.savefig(PICTURE, metadata={"Date": None}, facecolor="white")


def _draw_house(axes: Any, house: House) -> None:
    axes.text(house.left, house.top + 0.12, house.name, color=house.colour, fontsize=13, fontweight="bold", va="bottom")
    for row, floor in enumerate(house.floors):
        bottom = house.top - (row + 1) * _HEIGHT
        box = FancyBboxPatch(
            (house.left, bottom + 0.05), _WIDTH, _HEIGHT - 0.1, boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=house.colour, alpha=0.14, edgecolor="none",
        )  # fmt: skip
        axes.add_patch(box)
        axes.text(house.left + 0.2, bottom + 0.5, floor.rooms, color=_DARK, fontsize=10, fontweight="bold", va="center")
        axes.text(house.left + 0.2, bottom + 0.23, floor.does, color=_DARK, fontsize=8.5, va="center")


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], says: str) -> None:
    style = {"arrowstyle": "-|>", "color": _DARK, "linewidth": 1.5}
    axes.annotate("", end, xytext=start, arrowprops=style)
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    upright = start[0] == end[0]
    axes.annotate(
        says, middle, xytext=(5, 0) if upright else (0, 6), textcoords="offset points", color=_DARK, fontsize=9,
        ha="left" if upright else "center", va="center" if upright else "bottom",
    )  # fmt: skip


if __name__ == "__main__":
    main()
