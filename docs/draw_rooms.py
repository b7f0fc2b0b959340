"""Draw the picture of docs/architecture.md: the folders, and what passes between them.

``python docs/draw_rooms.py`` writes ``docs/figures/rooms.svg``. Whoever adds a folder adds it here, too.
"""

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

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
        Floor("reporting · benchmark", "pages for people; rivals side by side"),
        Floor("promotion · drift · offpolicy", "the gate; what changed; other policies"),
        Floor("measuring · new_model", "savings, certificates; add a model"),
        Floor("fitting", "from arrays to a predictor"),
        Floor("table · metrics · near_duplicates", "splits, prices, targets; AIQ, AUC; twins"),
        Floor("importing · grading · distributed", "files of others; grades; work on a cluster"),
    )),
    House("serving", 7.4, 10.2, "#009E73", (
        Floor("commands · integrations", "serve, keys, log; LiteLLM's hook"),
        Floor("app · simulation · doctor", "puts it together; plays production; examines"),
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
        Floor("pages · charts", "reports as one file; pictures, dark and light"),
    )),
    House("features", 0.0, -0.6, "#CC79A7", (Floor("features", "a prompt becomes numbers"),)),
)  # fmt: skip
_WIDTH, _HEIGHT, _DARK = 5.6, 0.82, "#333333"
_SCALE = 56.0  # pixels a unit
_LEFT, _TOP, _RIGHT, _BOTTOM = -0.3, 10.9, 13.3, -1.7
_FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"


def main() -> None:
    """Draw the picture."""
    width, height = (_RIGHT - _LEFT) * _SCALE, (_TOP - _BOTTOM) * _SCALE
    arrows = (
        ((2.8, 4.4), (2.8, 4.1), "trains"),
        ((2.8, 0.25), (2.8, -0.15), "reads prompts with"),
        ((7.3, 5.68), (5.7, 5.68), "outcomes"),
        ((7.3, 2.8), (5.7, 2.8), "asks"),
    )
    parts = [line for house in HOUSES for line in _house(house)]
    parts += [line for start, end, says in arrows for line in _arrow(start, end, says)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" '
        f'font-family="{_FONT}" role="img" aria-label="The folders of the four packages"><defs><marker id="end" '
        f'markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto"><path d="M0,0L6,3L0,6Z" fill="{_DARK}"/>'
        f'</marker></defs><rect width="{width:g}" height="{height:g}" fill="#ffffff"/>'
    )
    PICTURE.write_text("\n".join([head, *parts, "</svg>\n"]), encoding="utf-8")


def _at(x: float, y: float) -> tuple[str, str]:
    """Return the pixels of a place, whose y grows upwards."""
    return f"{(x - _LEFT) * _SCALE:g}", f"{(_TOP - y) * _SCALE:g}"


def _text(place: tuple[float, float], says: str, look: str) -> str:
    x, y = _at(*place)
    return f'<text x="{x}" y="{y}" {look}>{escape(says)}</text>'


def _house(house: House) -> list[str]:
    strong = f'fill="{house.colour}" font-size="18" font-weight="bold"'
    found = [_text((house.left, house.top + 0.12), house.name, strong)]
    for row, floor in enumerate(house.floors):
        bottom = house.top - (row + 1) * _HEIGHT
        x, y = _at(house.left, bottom + _HEIGHT - 0.05)
        size = f'width="{_WIDTH * _SCALE:g}" height="{(_HEIGHT - 0.1) * _SCALE:g}" rx="5"'
        found.append(f'<rect x="{x}" y="{y}" {size} fill="{house.colour}" fill-opacity="0.14"/>')
        name = f'fill="{_DARK}" font-size="13" font-weight="bold"'
        found.append(_text((house.left + 0.2, bottom + 0.45), floor.rooms, name))
        found.append(_text((house.left + 0.2, bottom + 0.16), floor.does, f'fill="{_DARK}" font-size="11.5"'))
    return found


def _arrow(start: tuple[float, float], end: tuple[float, float], says: str) -> list[str]:
    (x0, y0), (x1, y1) = _at(*start), _at(*end)
    line = f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{_DARK}" stroke-width="1.5" marker-end="url(#end)"/>'
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    is_upright = start[0] == end[0]
    place = (middle[0] + 0.12, middle[1] - 0.07) if is_upright else (middle[0], middle[1] + 0.12)
    look = f'fill="{_DARK}" font-size="12" text-anchor="{"start" if is_upright else "middle"}"'
    return [line, _text(place, says, look)]


if __name__ == "__main__":
    main()
